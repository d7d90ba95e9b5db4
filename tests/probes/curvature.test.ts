import { describe, expect, it } from 'vitest';

import { curvatureOf, precondition, whiten } from '../../probes/curvature.ts';
import { rowAt, rowsOf } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';
import { axpy, columnGram, columnMeans, dot } from '../../src/math/vectors.ts';
import { sines } from '../support/sines.ts';

const c = 0.6;

/** Rows about their mean, as a fit with an intercept has them. */
function centred(n: number, d: number): Rows {
  const rows = sines(n, d, 3);
  const mean = columnMeans(rows);
  return rowsOf(
    n,
    d,
    Float64Array.from(rows.data, (value, at) => value - mean[at % d]),
  );
}

/** (I + (C/4)XᵀX) v, with (Cn/4) v for an intercept in the last place. */
function bend(x: Rows, v: Float64Array): Float64Array {
  const out = v.slice();
  for (let i = 0; i < x.n; i++) {
    const row = rowAt(x, i);
    axpy((c / 4) * dot(row, v.subarray(0, x.d)), row, out.subarray(0, x.d));
  }
  if (v.length > x.d) out[x.d] = ((c * x.n) / 4) * v[x.d];
  return out;
}

describe('precondition', () => {
  it.each([
    ['more rows than columns', 20, 5],
    ['fewer rows than columns', 6, 15],
  ])('inverts the bound: %s', (_, n, d) => {
    const x = centred(n, d);
    const curvature = curvatureOf(x, c, true);
    const v = Float64Array.from({ length: d + 1 }, (__, j) => Math.cos(3 * j));
    const bent = bend(x, v);
    precondition(curvature, bent);
    bent.forEach((value, j) => expect(value).toBeCloseTo(v[j], 11));
  });
});

describe('whiten', () => {
  it.each([
    ['more rows than columns', 20, 5, 5],
    // Six centred rows vary along five directions.
    ['fewer rows than columns', 6, 15, 5],
  ])('makes the bound the identity: %s', (_, n, d, rank) => {
    const x = centred(n, d);
    const curvature = curvatureOf(x, c, true);
    const z = whiten(curvature, x);
    expect(z.d).toBe(rank + 1);
    const gram = columnGram(z);
    for (let a = 0; a <= rank; a++) {
      for (let b = 0; b <= rank; b++) {
        const penalty = a === b && a < rank ? curvature.inverse[a] : 0;
        expect((c / 4) * gram[a * z.d + b] + penalty).toBeCloseTo(a === b ? 1 : 0, 11);
      }
    }
  });
});
