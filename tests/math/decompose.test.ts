import { describe, expect, it } from 'vitest';

import { symmetricEigen } from '../../src/math/decompose.ts';
import { rowAt } from '../../src/math/rows.ts';
import { columnGram, dot } from '../../src/math/vectors.ts';
import { sines } from '../support/sines.ts';

describe('symmetricEigen', () => {
  it('matches a value worked by hand', () => {
    const { values, vectors } = symmetricEigen(Float64Array.of(2, 1, 1, 2), 2);
    expect(values[0]).toBeCloseTo(3, 14);
    expect(values[1]).toBeCloseTo(1, 14);
    expect(Math.abs(vectors[0] + vectors[1])).toBeCloseTo(Math.SQRT2, 14);
    expect(vectors[2] + vectors[3]).toBeCloseTo(0, 14);
  });

  it('gives descending values and orthonormal rows that solve Av = λv', () => {
    const n = 12;
    const a = columnGram(sines(30, n, 3));
    const { values, vectors } = symmetricEigen(a, n);
    const v = { n, d: n, data: vectors };
    const image = { n, d: n, data: a };
    for (let k = 0; k < n; k++) {
      if (k > 0) expect(values[k]).toBeLessThanOrEqual(values[k - 1]);
      for (let l = 0; l < n; l++) {
        expect(dot(rowAt(v, k), rowAt(v, l))).toBeCloseTo(k === l ? 1 : 0, 12);
        expect(dot(rowAt(image, l), rowAt(v, k))).toBeCloseTo(values[k] * rowAt(v, k)[l], 11);
      }
    }
  });

  it('stops on a matrix of another size, our defect', () => {
    expect(() => symmetricEigen(new Float64Array(5), 2)).toThrow(
      'internal error, please report it: 5 numbers for a matrix of 2 × 2',
    );
  });
});
