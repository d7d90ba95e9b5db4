/**
 * A dense matrix, one observation a row: the shape in which activations reach the statistics.
 *
 * Row-major float32 as extracted, or float64 where statistics produce it. Selections are index
 * arrays; a copy is made only where a kernel needs contiguous rows.
 */

import { invariant } from '../base/invariant.ts';

/** `[n, d]`, row-major. */
export interface Rows {
  readonly n: number;
  readonly d: number;
  readonly data: Float32Array | Float64Array;
}

/** Wraps `data`, which must hold exactly n·d numbers. */
export function rowsOf(n: number, d: number, data: Float32Array | Float64Array): Rows {
  invariant(data.length === n * d, `${data.length} numbers for a matrix of ${n} × ${d}`);
  return { n, d, data };
}

/** Row i as a view, not a copy. Shape: `[n, d] → [d]`. */
export function rowAt(x: Rows, i: number): Float32Array | Float64Array {
  return x.data.subarray(i * x.d, (i + 1) * x.d);
}

/** The chosen rows, copied to float64 in the order of `index`. Shape: `[n, d] → [index.length, d]`. */
export function takeRows(x: Rows, index: ArrayLike<number>): Rows {
  const out = new Float64Array(index.length * x.d);
  for (let i = 0; i < index.length; i++) out.set(rowAt(x, index[i]), i * x.d);
  return { n: index.length, d: x.d, data: out };
}

/** Where the first number stands that is infinite or none, or −1. */
export function firstNotFinite({ data }: Rows): number {
  // Not by `findIndex`, which costs a call for each number.
  for (let at = 0; at < data.length; at++) if (!Number.isFinite(data[at])) return at;
  return -1;
}
