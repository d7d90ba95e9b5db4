import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Random } from '../../src/base/random.ts';
import { drawCounts, percentileInterval, quantile } from '../../src/math/resample.ts';

describe('quantile', () => {
  it('interpolates as numpy does', () => {
    // numpy.quantile([1, 2, 4, 8], [0, .1, .5, .9, 1]) = 1, 1.3, 3, 6.8, 8
    const values = Float64Array.of(1, 2, 4, 8);
    const found = [0, 0.1, 0.5, 0.9, 1].map((q) => quantile(values, q));
    [1, 1.3, 3, 6.8, 8].forEach((wanted, i) => expect(found[i]).toBeCloseTo(wanted, 14));
  });
});

describe('percentileInterval', () => {
  it('leaves a fortieth of the draws on either side, in whatever order they come', () => {
    const draws = new Random(3).shuffle(Float64Array.from({ length: 1001 }, (_, i) => i));
    const before = draws.slice();
    const { low, high } = percentileInterval(draws);
    expect(low).toBeCloseTo(25, 10);
    expect(high).toBeCloseTo(975, 10);
    expect(draws).toEqual(before);
  });
});

describe('drawCounts', () => {
  it('draws n of n things', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer(), (n, seed) => {
        const counts = new Int32Array(n).fill(5);
        drawCounts(new Random(seed), counts);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(n);
      }),
    );
  });
});
