/** What goes into attention and what comes out of it, as values of a graph. */

import type { Value } from './onnx.ts';

export interface AttentionOptions {
  readonly queryHeads: number;
  readonly keyHeads: number;
  /** Factor on the scores, usually 1/√headDim. */
  readonly scale: number;
  /** c of c · tanh(score / c), which bounds the scores before the mask. */
  readonly softCap?: number | undefined;
  /** `[batch, 1, position, keys]`: which keys a query sees, instead of all up to its own. */
  readonly mask?: Value | undefined;
  /** Keys and values of earlier positions, `[batch, heads, past, headDim]` each. */
  readonly past?: KeyValue | undefined;
  readonly wantsPattern: boolean;
  readonly wantsPresent: boolean;
}

export interface KeyValue {
  readonly key: Value;
  readonly value: Value;
}

export interface AttentionResult {
  /** `[batch, position, queryHeads · headDim]` */
  readonly output: Value;
  /** Probabilities `[batch, queryHeads, position, keys]`, if wanted. */
  readonly pattern: Value | undefined;
  readonly present: KeyValue | undefined;
}

/** cos and sin of position · frequency. */
export interface Rotary {
  /** `[rows, half]`, or `[batch, position, half]` where `rows` is null. */
  readonly cos: Value;
  readonly sin: Value;
  /** `[batch, position]`: which row of the tables holds for a token. */
  readonly rows: Value | null;
}
