/**
 * What runs together: tokens of prompts, in passes.
 *
 * A segment is a run of tokens of one prompt. Other prompts may begin with the same tokens; those are read
 * once for all of them. Segments of one pass begin at the same token, so that what they go on from is
 * equally long in all rows; they are padded on the right, which no earlier token sees. A pass that goes
 * on from others comes after them.
 */

import { planBatches } from './batches.ts';

/** Tokens of a prompt from the pass's `past` to `to − 1`. */
export interface Stretch {
  readonly prompt: number;
  readonly to: number;
}

export interface Segment extends Stretch {
  /** Prompts with the same tokens up to their own `to − 1`, which are not read for them again. */
  readonly others: readonly Stretch[];
}

/** A row of an earlier pass, whose keys and values were kept. */
export interface Parent {
  readonly pass: number;
  readonly row: number;
}

export interface Pass {
  readonly segments: readonly Segment[];
  /** Tokens that each segment is padded to. */
  readonly length: number;
  /** Tokens before the first of each segment. */
  readonly past: number;
  /** What each segment goes on from; empty where there is no past. */
  readonly parents: readonly Parent[];
  /** Whether a later pass goes on from a segment of this one. */
  readonly keeps: boolean;
}

/** Every prompt by itself, longest first; see `planBatches`. */
export function plainPasses(lengths: readonly number[], batchTokens: number): Pass[] {
  return planBatches(lengths, batchTokens).map(({ prompts, length }) => ({
    segments: prompts.map((prompt) => ({ prompt, to: lengths[prompt], others: [] })),
    length,
    past: 0,
    parents: [],
    keeps: false,
  }));
}

/** Tokens that a pass reads, padding not counted. */
export function tokensOf({ segments, past }: Pass): number {
  return segments.reduce((sum, { to }) => sum + to - past, 0);
}

/** Whether some pass is padded. */
export function pads(passes: readonly Pass[]): boolean {
  return passes.some((pass) => tokensOf(pass) < pass.segments.length * pass.length);
}

/** Tokens that go through the model in all passes. */
export function tokensRead(passes: readonly Pass[]): number {
  return passes.reduce((sum, pass) => sum + tokensOf(pass), 0);
}

/** Whether some pass goes on from another. */
export function sharesPasts(passes: readonly Pass[]): boolean {
  return passes.some(({ past }) => past > 0);
}
