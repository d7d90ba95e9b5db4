/**
 * ABᵀ in float64, written so that a number once read from memory serves several sums.
 *
 * Two rows of one side go with four of the other, over stretches of columns that fit the nearest cache.
 * The sum of an entry runs in one order whatever else is computed beside it.
 */

import type { Rows } from './rows.ts';

/** Columns taken together: six rows of them are 24 kB. */
const stretch = 512;

/**
 * Inner products of the rows of two matrices. Shape: `[n, d], [m, d] → [n, m]`.
 *
 * @param isSymmetric Where both are one matrix: entries on and above the diagonal are right, others need not be.
 */
export function rowProducts(a: Rows, b: Rows, isSymmetric: boolean = false): Float64Array {
  const out = new Float64Array(a.n * b.n);
  const [left, right] = [padded(a, 2), padded(b, 4)];
  const sums = new Float64Array(8);
  for (let start = 0; start < a.d; start += stretch) {
    const width = Math.min(stretch, a.d - start);
    for (let i = 0; i < a.n; i += 2) {
      const first = isSymmetric ? i - (i % 4) : 0;
      for (let j = first; j < b.n; j += 4) {
        twoByFour(left, right, a.d, i * a.d + start, j * a.d + start, width, sums);
        const high = Math.min(2, a.n - i);
        const wide = Math.min(4, b.n - j);
        for (let p = 0; p < high; p++) {
          for (let q = 0; q < wide; q++) out[(i + p) * b.n + j + q] += sums[4 * p + q];
        }
      }
    }
  }
  return out;
}

/** The rows in float64, with rows of zeros added up to a multiple. */
function padded({ n, d, data }: Rows, multiple: number): Float64Array {
  if (n % multiple === 0 && data instanceof Float64Array) return data;
  const out = new Float64Array(Math.ceil(n / multiple) * multiple * d);
  out.set(data);
  return out;
}

/** Sums of two rows of `a` with four of `b`, `d` apart, from these places on, over `width` columns. */
function twoByFour(
  a: Float64Array,
  b: Float64Array,
  d: number,
  fromA: number,
  fromB: number,
  width: number,
  sums: Float64Array,
): void {
  let [p0, p1, p2, p3] = [0, 0, 0, 0];
  let [q0, q1, q2, q3] = [0, 0, 0, 0];
  const [b1, b2, b3] = [fromB + d, fromB + 2 * d, fromB + 3 * d];
  const a1 = fromA + d;
  for (let k = 0; k < width; k++) {
    const p = a[fromA + k];
    const q = a[a1 + k];
    const w0 = b[fromB + k];
    const w1 = b[b1 + k];
    const w2 = b[b2 + k];
    const w3 = b[b3 + k];
    p0 += p * w0;
    p1 += p * w1;
    p2 += p * w2;
    p3 += p * w3;
    q0 += q * w0;
    q1 += q * w1;
    q2 += q * w2;
    q3 += q * w3;
  }
  sums[0] = p0;
  sums[1] = p1;
  sums[2] = p2;
  sums[3] = p3;
  sums[4] = q0;
  sums[5] = q1;
  sums[6] = q2;
  sums[7] = q3;
}
