/**
 * Products of one matrix with four vectors at once, written out because they are where the time goes.
 *
 * Vectors are interleaved: entry j of vector l is at 4j + l. Two rows are taken together, so that each
 * number read from memory serves two multiplications or more; the sums run in the same order for
 * every vector, whatever the other three hold.
 */

import type { Rows } from './rows.ts';

/** How many vectors go together. */
export const lanes = 4;

/** XV. Shape: `[n, d], [d, 4] → [n, 4]`, n even. */
export function timesLanes({ n, d, data }: Rows, v: Float64Array, out: Float64Array): void {
  for (let i = 0; i < n; i += 2) {
    const first = i * d;
    const second = first + d;
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let a3 = 0;
    let b0 = 0;
    let b1 = 0;
    let b2 = 0;
    let b3 = 0;
    for (let j = 0, k = 0; j < d; j++, k += 4) {
      const a = data[first + j];
      const b = data[second + j];
      const v0 = v[k];
      const v1 = v[k + 1];
      const v2 = v[k + 2];
      const v3 = v[k + 3];
      a0 += a * v0;
      a1 += a * v1;
      a2 += a * v2;
      a3 += a * v3;
      b0 += b * v0;
      b1 += b * v1;
      b2 += b * v2;
      b3 += b * v3;
    }
    const at = 4 * i;
    out[at] = a0;
    out[at + 1] = a1;
    out[at + 2] = a2;
    out[at + 3] = a3;
    out[at + 4] = b0;
    out[at + 5] = b1;
    out[at + 6] = b2;
    out[at + 7] = b3;
  }
}

/** The rows, with one of zeros added where their number is odd. */
export function evenRows(x: Rows): Rows {
  if (x.n % 2 === 0) return x;
  const data = new Float64Array((x.n + 1) * x.d);
  data.set(x.data);
  return { n: x.n + 1, d: x.d, data };
}
