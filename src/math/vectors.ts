/**
 * The few operations on vectors and columns that statistics here are made of.
 *
 * Everything accumulates in float64, whatever the rows are stored in.
 */

import { rowProducts } from './products.ts';
import type { Rows } from './rows.ts';

/** Σ aᵢbᵢ. Shape: `[d], [d] → scalar`. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Euclidean length. Shape: `[d] → scalar`. */
export function norm(a: ArrayLike<number>): number {
  return Math.sqrt(dot(a, a));
}

/** Cosine of the angle between a and b, in [−1, 1]; NaN where either has no length. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(-1, Math.min(1, dot(a, b) / (norm(a) * norm(b))));
}

/** y ← y + αx, in place. Shape: `[d]`. */
export function axpy(alpha: number, x: ArrayLike<number>, y: Float64Array): void {
  for (let i = 0; i < y.length; i++) y[i] += alpha * x[i];
}

/** The largest of however many numbers, −∞ of none; `Math.max(...values)` has no room for some 120 000. */
export function largestOf(values: ArrayLike<number>): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, values[i]);
  return largest;
}

/** Mean of each column over the chosen rows, or over all. Shape: `[n, d] → [d]`. */
export function columnMeans({ n: all, d, data }: Rows, index?: ArrayLike<number>): Float64Array {
  const n = index?.length ?? all;
  const mean = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    const start = d * (index === undefined ? i : index[i]);
    for (let j = 0; j < d; j++) mean[j] += data[start + j];
  }
  return mean.map((sum) => sum / n);
}

/** Standard deviation of each column about `mean`, dividing by n (ddof 0). Shape: `[n, d] → [d]`. */
export function columnDeviations(
  { n: all, d, data }: Rows,
  mean: Float64Array,
  index?: ArrayLike<number>,
): Float64Array {
  const n = index?.length ?? all;
  const squares = new Float64Array(d);
  for (let i = 0; i < n; i++) {
    const start = d * (index === undefined ? i : index[i]);
    for (let j = 0; j < d; j++) {
      const gap = data[start + j] - mean[j];
      squares[j] += gap * gap;
    }
  }
  return squares.map((sum) => Math.sqrt(sum / n));
}

/** Inner products of all columns: XᵀX. Shape: `[n, d] → [d, d]`. */
export function columnGram(x: Rows): Float64Array {
  return rowGram(transposed(x));
}

/** Inner products of all rows: XXᵀ. Shape: `[n, d] → [n, n]`. */
export function rowGram(x: Rows): Float64Array {
  const out = rowProducts(x, x, true);
  mirrorUpper(out, x.n);
  return out;
}

function mirrorUpper(square: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) square[i * n + j] = square[j * n + i];
  }
}

/** Every row less the mean of its column. Shape: `[n, d] → [n, d]`. */
export function centred(x: Rows): Rows {
  const mean = columnMeans(x);
  const data = Float64Array.from(x.data);
  for (let i = 0, at = 0; i < x.n; i++) for (let j = 0; j < x.d; j++, at++) data[at] -= mean[j];
  return { n: x.n, d: x.d, data };
}

/** Inner products of the rows of two matrices: ABᵀ. Shape: `[n, d], [m, d] → [n, m]`. */
export function timesTransposed(a: Rows, b: Rows): Rows {
  return { n: a.n, d: b.n, data: rowProducts(a, b) };
}

/** Columns as rows, in float64 or as told. Shape: `[n, d] → [d, n]`. */
export function transposed(
  { n, d, data: from }: Rows,
  Kind: Float32ArrayConstructor | Float64ArrayConstructor = Float64Array,
): Rows {
  const data = new Kind(n * d);
  // By tiles: a column is then not fetched from memory anew for each of its numbers.
  const tile = 32;
  for (let top = 0; top < n; top += tile) {
    for (let left = 0; left < d; left += tile) {
      const [bottom, right] = [Math.min(n, top + tile), Math.min(d, left + tile)];
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) data[j * n + i] = from[i * d + j];
      }
    }
  }
  return { n: d, d: n, data };
}
