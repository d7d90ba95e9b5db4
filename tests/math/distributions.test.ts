import { describe, expect, it } from 'vitest';
import {
  betaCdf,
  betaQuantile,
  logChoose,
  logGamma,
  normalCdf,
  normalQuantile,
  studentCdf,
  studentQuantile,
} from '../../src/math/distributions.ts';

/** Relative to the value: the published values below have 15 digits or more. */
function expectNear(found: number, expected: number): void {
  expect(Math.abs(found / expected - 1)).toBeLessThan(1e-12);
}

describe('logGamma', () => {
  it('is the logarithm of factorials, and of √π at ½', () => {
    expectNear(logGamma(11), Math.log(3628800));
    expectNear(logGamma(0.5), Math.log(Math.PI) / 2);
    expectNear(logGamma(0.25), 1.2880225246980774);
  });
});

describe('logChoose', () => {
  it('counts', () => expectNear(Math.exp(logChoose(10, 5)), 252));
});

describe('normalCdf', () => {
  it.each([
    [0, 0.5],
    [1, 0.841344746068543],
    [-1.959963984540054, 0.025],
    [-2.5, 0.006209665325776132],
    [-6, 9.865876450376946e-10],
    [-10, 7.61985302416052e-24],
    [2.6, 0.9953388119762813],
  ])('at %d', (z, expected) => expectNear(normalCdf(z), expected));
});

describe('normalQuantile', () => {
  it('undoes normalCdf', () => {
    for (const p of [1e-12, 0.001, 0.025, 0.3, 0.5, 0.8, 0.999]) {
      expectNear(normalCdf(normalQuantile(p)), p);
    }
  });
});

describe('betaCdf', () => {
  it('is closed where a or b is 1, and symmetric', () => {
    expectNear(betaCdf(0.3, 1, 4), 1 - 0.7 ** 4);
    expectNear(betaCdf(0.3, 5, 1), 0.3 ** 5);
    expectNear(betaCdf(0.7, 2.5, 3.5), 1 - betaCdf(0.3, 3.5, 2.5));
    expect(betaCdf(-1, 2, 2)).toBe(0);
    expect(betaCdf(2, 2, 2)).toBe(1);
  });

  it('is undone by betaQuantile', () => {
    for (const p of [0.001, 0.025, 0.5, 0.975]) expectNear(betaCdf(betaQuantile(p, 8, 3), 8, 3), p);
  });
});

describe('studentCdf', () => {
  it('is Cauchy’s with one degree of freedom, and nears the normal with many', () => {
    expectNear(studentCdf(1.7, 1), 0.5 + Math.atan(1.7) / Math.PI);
    expect(studentCdf(-1.2, 1e7)).toBeCloseTo(normalCdf(-1.2), 7);
  });

  it('is undone by studentQuantile, which gives the tables’ 2.262 for nine', () => {
    expect(studentQuantile(0.975, 9)).toBeCloseTo(2.262157162798205, 11);
    expect(studentQuantile(0.025, 9)).toBeCloseTo(-2.262157162798205, 11);
  });
});
