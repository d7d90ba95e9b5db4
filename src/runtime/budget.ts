/**
 * How much memory will a run need? Answered before it starts, so that a laptop is not brought down.
 *
 * The estimate adds what was seen to matter: the process itself, the weights as float32 with the copy
 * that onnxruntime packs them into, the widest moment of a block, and what leaves the graph.
 */

import { freemem } from 'node:os';
import { UserError } from '../base/errors.ts';
import { formatBytes } from '../base/units.ts';

export interface Workload {
  /** Weights that the graph holds, in elements; one that is read in two ways counts twice. */
  readonly parameters: number;
  /** Bytes of those in half precision that are there beside their widened copies. */
  readonly halfBytes: number;
  /** Tokens of the largest batch, padding included. */
  readonly batchTokens: number;
  /** Queries that attention scores at once in each prompt. */
  readonly queriesAtOnce: number;
  readonly width: number;
  readonly mlpWidth: number;
  readonly heads: number;
  /** Elements that leave the graph in one batch. */
  readonly fetched: number;
  /** Floats that are there for a moment while weights are worked out from others. */
  readonly passing?: number;
  /** Floats of keys and values that are kept between runs, or enter and leave them. */
  readonly cached?: number;
}

/** Node with onnxruntime and a small tokenizer loaded, before any model. */
export const processBytes: number = 110 * 2 ** 20;

/** A fault in a mapped file brings in this many bytes where they are in the page cache. */
export const pagesAround: number = 2 ** 16;

/** A prompt with its columns and tokens, and an answer, as the program holds it. */
export const bytesOfPrompt: number = 6000;

/** Bytes that the process will hold at its peak. */
export function predictPeakBytes(work: Workload): number {
  const float = 4;
  const weights = work.parameters * float;
  // Originals are mapped and let go as they are packed; those in half precision are widened first.
  const stream = work.batchTokens * float * (6 * work.width + 3 * work.mlpWidth);
  const scores = work.batchTokens * work.queriesAtOnce * work.heads * float;
  const besides = ((work.passing ?? 0) + (work.cached ?? 0)) * float;
  return (
    processBytes + weights + work.halfBytes + besides + stream + scores + 2 * work.fetched * float
  );
}

/** Memory that a run may take when nobody says: four fifths of what is free. */
export function defaultBudgetBytes(): number {
  return Math.floor(freemem() * 0.8);
}

/** @throws {UserError} `NOT_ENOUGH_MEMORY` if the prediction is above the budget. */
export function requireBudget(predictedBytes: number, budgetBytes: number, what: string): void {
  if (predictedBytes <= budgetBytes) return;
  throw new UserError(
    'NOT_ENOUGH_MEMORY',
    `this run would need about ${formatBytes(predictedBytes)} of memory; ${formatBytes(budgetBytes)} are allowed`,
    {
      where: what,
      fix: 'Lower --batch-tokens, raise --memory-budget, or use a machine with more memory.',
    },
  );
}
