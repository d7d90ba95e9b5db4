/** Rows that come in bags: all tokens of each prompt. One label and one group a bag. */

import { invariant } from '../src/base/invariant.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy } from '../src/math/vectors.ts';

export interface Bags {
  readonly n: number;
  /** `[tokens, d]`; may hold tokens of other bags too. */
  readonly rows: Rows;
  /** The tokens of bag i are the rows from `first[i]` up to and without `end[i]`. `[n]`. */
  readonly first: Int32Array;
  readonly end: Int32Array;
}

/** @param sizes Tokens of each bag, at least one, in the order of `rows`. */
export function bagsOf(rows: Rows, sizes: readonly number[]): Bags {
  const first = new Int32Array(sizes.length);
  const end = new Int32Array(sizes.length);
  let at = 0;
  sizes.forEach((size, i) => {
    invariant(size > 0, `bag ${i} is empty`);
    first[i] = at;
    at += size;
    end[i] = at;
  });
  invariant(at === rows.n, `${rows.n} rows in bags of ${at}`);
  return { n: sizes.length, rows, first, end };
}

/** The chosen bags; their tokens stay where they are. */
export function takeBags({ rows, first, end }: Bags, index: ArrayLike<number>): Bags {
  return {
    n: index.length,
    rows,
    first: Int32Array.from(index, (i) => first[i]),
    end: Int32Array.from(index, (i) => end[i]),
  };
}

/** The rows of all tokens of the bags. */
export function tokensOf({ n, first, end }: Bags): Int32Array {
  const index: number[] = [];
  for (let i = 0; i < n; i++) for (let row = first[i]; row < end[i]; row++) index.push(row);
  return Int32Array.from(index);
}

/** The mean token of each bag, in float64. Shape: `[n, d]`. */
export function meanTokens({ n, rows, first, end }: Bags): Rows {
  const data = new Float64Array(n * rows.d);
  for (let i = 0; i < n; i++) {
    const out = data.subarray(i * rows.d, (i + 1) * rows.d);
    const share = 1 / (end[i] - first[i]);
    for (let row = first[i]; row < end[i]; row++) axpy(share, rowAt(rows, row), out);
  }
  return { n, d: rows.d, data };
}
