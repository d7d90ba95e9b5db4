/**
 * What runs together: tokens of prompts, in passes.
 *
 * A segment is a run of tokens that one prompt has, or that several have in common and that is then read
 * once for all of them. Segments of one pass begin at the same token, so that what they go on from is
 * equally long in all rows; they are padded on the right, which no earlier token sees. A pass that goes
 * on from others comes after them.
 */

import { planBatches } from './batches.ts';

/** The tokens of some prompts from the pass's `past` to `to − 1`, which are the same in all of them. */
export interface Segment {
  readonly prompts: readonly number[];
  readonly to: number;
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
    segments: prompts.map((prompt) => ({ prompts: [prompt], to: lengths[prompt] })),
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
