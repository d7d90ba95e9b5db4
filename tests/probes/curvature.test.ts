import { describe, expect, it } from 'vitest';

import { axesOf, varyingAxes } from '../../probes/curvature.ts';
import { rowAt, rowsOf } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';
import { columnMeans, dot } from '../../src/math/vectors.ts';
import { sines } from '../support/sines.ts';

/** Rows about their mean. */
function centred(n: number, d: number): Rows {
  const rows = sines(n, d, 3);
  const mean = columnMeans(rows);
  return rowsOf(
    n,
    d,
    Float64Array.from(rows.data, (value, at) => value - mean[at % d]),
  );
}

describe('axesOf', () => {
  it.each([
    ['more rows than columns', 20, 5, 5],
    // Six centred rows vary along five directions.
    ['fewer rows than columns', 6, 15, 5],
  ])('finds all variation along orthonormal axes: %s', (_, n, d, rank) => {
    const x = centred(n, d);
    const { directions, variation } = varyingAxes(x);
    expect(directions.n).toBe(rank);
    expect(axesOf(x).directions.n).toBeGreaterThanOrEqual(rank);
    for (let a = 0; a < rank; a++) {
      const along = Array.from({ length: n }, (__, i) => dot(rowAt(x, i), rowAt(directions, a)));
      expect(dot(along, along)).toBeCloseTo(variation[a], 10);
      for (let b = 0; b < rank; b++) {
        const product = dot(rowAt(directions, a), rowAt(directions, b));
        expect(product).toBeCloseTo(a === b ? 1 : 0, 11);
      }
    }
    const total = variation.reduce((sum, value) => sum + value, 0);
    expect(total).toBeCloseTo(dot(x.data, x.data), 10);
  });
});
