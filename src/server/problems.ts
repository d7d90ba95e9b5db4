/**
 * How does a failure look to whoever asked?
 *
 * Every refusal is an RFC 9457 problem document with the same fields as the command line's `--json`
 * errors. A defect of ours becomes a 500 that says nothing about our insides; the error itself goes
 * to `onDefect`, because this layer may not write to the console.
 */

import type { NextFunction, Request, Response } from 'express';
import { UserError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { Problem } from '../contract/api.ts';

/** A refusal with the status that fits it; `code` may also be one that only the server knows. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly where?: string;
  readonly fix?: string;
}

/** Sends `refusal` as a problem document. */
export function sendProblem(response: Response, refusal: Refusal): void {
  const body: Problem = {
    title: refusal.title,
    status: refusal.status,
    code: refusal.code,
    where: refusal.where ?? null,
    fix: refusal.fix ?? null,
  };
  response
    .status(refusal.status)
    .set('Cache-Control', 'no-store')
    .type('application/problem+json')
    .send(JSON.stringify(body));
}

/** What a run folder lacks: a `UserError` that answers 404 instead of 422. */
export class MissingError extends UserError {
  readonly status = 404;
}

/** Ends the middleware: `UserError` → 4xx with its words, anything else → 500 without a trace. */
export function failures(onDefect: (error: unknown) => void) {
  return (error: unknown, request: Request, response: Response, next: NextFunction): void => {
    if (response.headersSent) {
      next(error);
      return;
    }
    response.removeHeader('ETag');
    const refusal = refusalOf(error);
    if (refusal.status === 500) onDefect(error);
    if (request.method === 'HEAD') response.status(refusal.status).end();
    else sendProblem(response, refusal);
  };
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof UserError) {
    return {
      status: error instanceof MissingError ? error.status : statusOf(error.code),
      code: error.code,
      title: error.what,
      ...(error.where === undefined ? {} : { where: error.where }),
      ...(error.fix === undefined ? {} : { fix: error.fix }),
    };
  }
  // Express and its router put the status on what they throw, for example for a malformed %-escape.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number') {
    const { status } = error;
    if (status === 416)
      return { status, code: 'RANGE_REFUSED', title: 'the file has no such range' };
    if (status >= 400 && status < 500) {
      return { status, code: 'BAD_REQUEST', title: 'the address cannot be read' };
    }
  }
  return {
    status: 500,
    code: 'UNEXPECTED',
    title: 'internal error of the viewer server',
    fix: 'Look at the terminal where the viewer runs, and report what it says.',
  };
}

function statusOf(code: ErrorCode): number {
  return code === 'USAGE' ? 400 : 422;
}
