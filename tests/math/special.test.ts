import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { log1pExp, sigmoid } from '../../src/math/special.ts';

describe('sigmoid', () => {
  it('is symmetric about ½ and never overflows', () => {
    fc.assert(
      fc.property(fc.double({ min: -800, max: 800, noNaN: true }), (x) => {
        // Two rounded quotients: an ulp or two of 1.
        expect(sigmoid(x) + sigmoid(-x)).toBeCloseTo(1, 14);
        expect(sigmoid(x)).toBeGreaterThanOrEqual(0);
      }),
    );
    expect(sigmoid(Math.log(3))).toBeCloseTo(0.75, 15);
    expect(sigmoid(-700)).toBeGreaterThan(0);
    expect(sigmoid(-1000)).toBe(0);
  });
});

describe('log1pExp', () => {
  it('is the logarithm at ordinary arguments and linear or exponential far away', () => {
    expect(log1pExp(0)).toBeCloseTo(Math.LN2, 15);
    expect(log1pExp(1)).toBeCloseTo(Math.log(1 + Math.E), 15);
    expect(log1pExp(1000)).toBe(1000);
    expect(log1pExp(-50) / Math.exp(-50)).toBeCloseTo(1, 14);
  });

  it('has the sigmoid as its slope', () => {
    const h = 1e-5;
    for (const x of [-8, -1, 0.3, 2, 9]) {
      // Central differences err by h²/6 ≈ 2e-11 and by rounding over h ≈ 1e-10.
      expect((log1pExp(x + h) - log1pExp(x - h)) / (2 * h)).toBeCloseTo(sigmoid(x), 8);
    }
  });
});
