/**
 * The triangular root of a symmetric matrix without negative eigenvalues, by blocks; nearly all of the work is
 * products, which are asked for.
 *
 * @see Golub and Van Loan 2013, Matrix Computations, §4.2.
 */

import { times, type Steps } from './multiply.ts';

/** Rows that are worked out together. */
const block = 64;

/**
 * L with LLᵀ = A, 0 above the diagonal. Shape: `[n, n]`.
 *
 * @param ridge Added to each diagonal entry as a share of itself, so that a matrix of low rank has a root as well;
 *   a row of zeros stays one.
 */
export function* choleskySteps(a: Float64Array, n: number, ridge: number = 0): Steps<Float64Array> {
  const out = a.slice();
  for (let i = 0; i < n; i++) out[i * n + i] *= 1 + ridge;
  for (let start = 0; start < n; start += block) {
    const end = Math.min(n, start + block);
    factorPanel(out, n, start, end);
    yield* subtractPanel(out, n, start, end);
  }
  for (let i = 0; i < n; i++) out.fill(0, i * n + i + 1, (i + 1) * n);
  return out;
}

/** Columns `start` to `end` of L, for all rows from `start` on. */
function factorPanel(out: Float64Array, n: number, start: number, end: number): void {
  for (let i = start; i < n; i++) {
    for (let j = start; j < Math.min(i + 1, end); j++) {
      let sum = out[i * n + j];
      for (let k = start; k < j; k++) sum -= out[i * n + k] * out[j * n + k];
      if (i === j) out[i * n + i] = sum > 0 ? Math.sqrt(sum) : 0;
      else out[i * n + j] = out[j * n + j] === 0 ? 0 : sum / out[j * n + j];
    }
  }
}

/** What these columns explain of the rest. */
function* subtractPanel(out: Float64Array, n: number, start: number, end: number): Steps<void> {
  const [rows, width] = [n - end, end - start];
  if (rows === 0) return;
  const panel = new Float64Array(rows * width);
  const across = new Float64Array(rows * width);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < width; k++) {
      const value = out[(end + i) * n + start + k];
      panel[i * width + k] = value;
      across[k * rows + i] = value;
    }
  }
  const { data } = yield* times(
    { n: rows, d: width, data: panel },
    { n: width, d: rows, data: across },
  );
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j <= i; j++) out[(end + i) * n + end + j] -= data[i * rows + j];
  }
}

/** x with Lᵀx = b; an entry whose diagonal is 0 is 0. Shape: `[n, n], [n] → [n]`. */
export function solveUpper(l: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  const x = b.slice();
  for (let i = n - 1; i >= 0; i--) {
    const pivot = l[i * n + i];
    x[i] = pivot === 0 ? 0 : x[i] / pivot;
    for (let j = 0; j < i; j++) x[j] -= x[i] * l[i * n + j];
  }
  return x;
}
