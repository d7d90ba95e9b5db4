/**
 * The inverse of a symmetric, positive definite matrix, by sweeping out blocks of its diagonal.
 *
 * Nearly all of the work is products of blocks, which are asked for.
 *
 * @see Goodnight 1979, The American Statistician 33(3), for the sweep operator.
 */

import { invariant } from '../base/invariant.ts';
import { times, type Steps } from './multiply.ts';
import type { Rows } from './rows.ts';

/** Diagonal entries that are swept out together. */
const block = 64;

/** A⁻¹. Shape: `[n, n]`. */
export function* invertDefinite(a: Float64Array, n: number): Steps<Float64Array> {
  const out = a.slice();
  for (let start = 0; start < n; start += block) {
    const width = Math.min(block, n - start);
    const pivot = invertSmall(cut(out, n, start, start, width, width));
    const across = cut(out, n, start, 0, width, n);
    const scaled = yield* times(pivot, across);
    const down = { n, d: width, data: columnsOf(across) };
    const taken = yield* times(down, scaled);
    for (let i = 0; i < n; i++) {
      const isPivot = i >= start && i < start + width;
      for (let j = 0; j < n; j++) {
        const at = i * n + j;
        if (isPivot) out[at] = scaled.data[(i - start) * n + j];
        else out[at] -= taken.data[at];
      }
      for (let q = 0; q < width; q++) {
        out[i * n + start + q] = isPivot
          ? -pivot.data[(i - start) * width + q]
          : scaled.data[q * n + i];
      }
    }
  }
  return out.map((value) => -value);
}

function cut(a: Float64Array, n: number, top: number, left: number, rows: number, d: number): Rows {
  const data = new Float64Array(rows * d);
  for (let i = 0; i < rows; i++) {
    data.set(a.subarray((top + i) * n + left, (top + i) * n + left + d), i * d);
  }
  return { n: rows, d, data };
}

function columnsOf({ n, d, data }: Rows): Float64Array {
  const out = new Float64Array(n * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) out[j * n + i] = data[i * d + j];
  return out;
}

/** The same for a small matrix, entry by entry. */
function invertSmall(a: Rows): Rows {
  const n = a.n;
  const out = Float64Array.from(a.data);
  for (let k = 0; k < n; k++) {
    const pivot = out[k * n + k];
    invariant(pivot > 0, 'the matrix to invert is not positive definite');
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const share = out[i * n + k] / pivot;
      for (let j = 0; j < n; j++) {
        if (j !== k) out[i * n + j] -= share * out[k * n + j];
      }
      out[i * n + k] = share;
    }
    for (let j = 0; j < n; j++) if (j !== k) out[k * n + j] /= pivot;
    out[k * n + k] = -1 / pivot;
  }
  return { n, d: n, data: out.map((value) => -value) };
}
