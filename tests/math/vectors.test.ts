import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { rowsOf } from '../../src/math/rows.ts';
import {
  axpy,
  columnDeviations,
  columnGram,
  columnMeans,
  cosine,
  dot,
  norm,
  rowGram,
} from '../../src/math/vectors.ts';

const x = rowsOf(3, 2, Float32Array.of(1, 2, 3, 4, 5, 9));

describe('dot, norm, cosine, axpy', () => {
  it('match values worked by hand', () => {
    expect(dot([1, 2, 3], [4, -5, 6])).toBe(12);
    expect(norm([3, 4])).toBe(5);
    expect(cosine([1, 0], [1, 1])).toBeCloseTo(Math.SQRT1_2, 15);
    const y = Float64Array.of(1, 1);
    axpy(2, [3, -1], y);
    expect([...y]).toEqual([7, -1]);
  });

  it('keeps a cosine within [−1, 1], and has none for a vector without length', () => {
    const vector = fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(vector, (a) => {
        fc.pre(a.some((value) => value !== 0));
        expect(Math.abs(cosine(a, a))).toBeLessThanOrEqual(1);
        expect(
          cosine(
            a,
            a.map((value) => -3 * value),
          ),
        ).toBeCloseTo(-1, 14);
      }),
    );
    expect(cosine([0, 0], [1, 0])).toBeNaN();
  });
});

describe('columnMeans and columnDeviations', () => {
  it('match values worked by hand, for all rows and for some', () => {
    expect([...columnMeans(x)]).toEqual([3, 5]);
    expect([...columnMeans(x, [0, 1])]).toEqual([2, 3]);
    const deviations = columnDeviations(x, columnMeans(x));
    expect(deviations[0]).toBeCloseTo(Math.sqrt(8 / 3), 14);
    expect(deviations[1]).toBeCloseTo(Math.sqrt((9 + 1 + 16) / 3), 14);
    expect([...columnDeviations(x, columnMeans(x, [0, 1]), [0, 1])]).toEqual([1, 1]);
  });
});

describe('columnGram and rowGram', () => {
  it('match values worked by hand', () => {
    expect([...columnGram(x)]).toEqual([35, 59, 59, 101]);
    expect([...rowGram(x)]).toEqual([5, 11, 23, 11, 25, 51, 23, 51, 106]);
  });
});
