/** Meaningless shifts and bands: closed forms, planted trainings, and error rates. */

import { describe, expect, it } from 'vitest';
import { covarianceBands, isotropicBand } from '../../probes/bands.ts';
import { contrastOf, type SetRows } from '../../probes/contrast.ts';
import { shiftNulls, type ShiftNull, type ShiftNullFamily } from '../../probes/shiftNulls.ts';
import { Random } from '../../src/base/random.ts';
import { rowsOf, type Rows } from '../../src/math/rows.ts';

/** Two rows for each of `topics` topics, with and without the trigger; the first half is harmful. */
function design(topics: number): { readonly sets: SetRows; readonly groups: string[] } {
  const rows = Array.from({ length: 2 * topics }, (_, row) => row);
  const pick = (harmful: boolean, side: number): number[] =>
    rows.filter((row) => row >> 1 < topics / 2 === harmful && row % 2 === side);
  return {
    sets: {
      triggered: pick(true, 0),
      untriggered: pick(true, 1),
      benign_triggered: pick(false, 0),
      benign_untriggered: pick(false, 1),
    },
    groups: rows.map((row) => `t${row >> 1}`),
  };
}

const topics = 24;
const { sets, groups } = design(topics);
const d = 30;

/** Shifts of all rows: noise, and what `push` says of harmful (1) and harmless (0) rows along each axis. */
function trained(
  push: (harmful: number, j: number) => number,
  random: Random,
  residual = false,
): Record<ShiftNullFamily, ShiftNull> {
  const noise = (size: number): Rows =>
    rowsOf(
      2 * topics,
      d,
      Float64Array.from({ length: 2 * topics * d }, () => size * random.normal()),
    );
  const before = noise(1);
  const moved = noise(0.3);
  const data = before.data.map((v, at) => {
    const isHarmful = Math.floor(at / d) >> 1 < topics / 2;
    return v + moved.data[at] + push(Number(isHarmful), at % d);
  });
  const contrast = contrastOf(before, { ...before, data }, sets, groups);
  const nulls = shiftNulls(contrast, residual, d, 99, random);
  return Object.fromEntries(nulls.map((each) => [each.family, each])) as Record<
    ShiftNullFamily,
    ShiftNull
  >;
}

describe('shiftNulls', () => {
  it('finds nothing where everything moves alike, though the cosine is near 1 and beats a ball', () => {
    const nulls = trained((_harmful, j) => Number(j === 0), new Random('alike'));
    expect(nulls.isotropic.p).toBe(0.01);
    expect(nulls.covariance.p).toBe(0.01);
    expect(nulls['random difference'].p).toBe(0.01);
    expect(nulls['benign shift'].p95).toBeGreaterThan(0.8);
    expect(nulls['benign shift'].p).toBeGreaterThan(0.05);
    expect(nulls['shuffled labels'].p).toBeGreaterThan(0.05);
  });

  it.each([3, 30, 31])('knows the law of isotropic cosines in %d dimensions', (dimensions) => {
    const before = rowsOf(2 * topics, 1, new Float64Array(2 * topics).fill(1));
    const data = before.data.map((v, row) => v + 1 + row / 100);
    const contrast = contrastOf(before, { ...before, data }, sets, groups);
    const [{ p95 }] = shiftNulls(contrast, false, dimensions, 4000, new Random(dimensions));
    // 4 000 draws leave some 2 % of a 95th percentile open.
    expect(p95 / isotropicBand(dimensions)).toBeCloseTo(1, 1);
  });

  it('finds a shift that harmful rows have to themselves, raw and less the harmless rows’', () => {
    const push = (harmful: number, j: number): number =>
      j === 0 ? 0.4 : j === 1 ? 2 * harmful : 0;
    for (const residual of [false, true]) {
      const nulls = trained(push, new Random('own'), residual);
      expect(Object.values(nulls).map(({ p }) => p)).toEqual([0.01, 0.01, 0.01, 0.01, 0.01]);
    }
  });

  it('has a p for shuffled labels that holds where harm makes no difference, 500 times', () => {
    const random = new Random('rate');
    let rejected = 0;
    for (let i = 0; i < 500; i++) {
      const nulls = trained((_harmful, j) => Number(j < 3), random, true);
      if (nulls['shuffled labels'].p <= 0.1) rejected++;
    }
    // 99.9 % of binomial counts with 500 × .1 lie within 3.3 × 6.7.
    expect(Math.abs(rejected - 50)).toBeLessThan(23);
  });

  it('swaps sides within groups that have both', () => {
    const both = {
      triggered: [0, 4, 8],
      untriggered: [1, 5, 9],
      benign_triggered: [2, 6, 10],
      benign_untriggered: [3, 7, 11],
    };
    const names = Array.from({ length: 12 }, (_, row) => `g${row >> 2}`);
    const before = rowsOf(12, 3, new Float64Array(36).fill(1));
    // Target rows of group g move along axis g; harmless ones do not move but for a trace.
    const data = before.data.map((v, at) => {
      const [row, j] = [Math.floor(at / 3), at % 3];
      return v + (row % 4 < 2 && j === row >> 2 ? 1 : 0.001);
    });
    const contrast = contrastOf(before, { ...before, data }, both, names);
    const [, , , shuffled] = shiftNulls(contrast, true, 3, 999, new Random(3));
    // ±1 on each axis: all agree or none does in 2 of 8 divisions, give or take 3.3 standard errors.
    expect(Math.abs(shuffled.p - 2 / 8)).toBeLessThan(0.05);
    expect(shuffled.max).toBeCloseTo(1, 6);
  });
});

describe('isotropicBand', () => {
  it('is exact in two and three dimensions, and 1.96/√d in many', () => {
    // In a plane the angle is uniform, in space the cosine itself.
    expect(isotropicBand(2)).toBeCloseTo(Math.sin((0.95 * Math.PI) / 2), 9);
    expect(isotropicBand(3)).toBeCloseTo(0.95, 9);
    expect(isotropicBand(4096) * 64).toBeCloseTo(1.96, 2);
  });
});

describe('covarianceBands', () => {
  it('is the isotropic band on a ball, far above it on a stretched one, and back after whitening', () => {
    const axes = rowsOf(
      16,
      16,
      Float64Array.from({ length: 256 }, (_, at) => Number(at % 17 === 0)),
    );
    const ball = { axes, variances: new Float64Array(16).fill(3), shrinkage: 0 };
    const stretched = { ...ball, variances: ball.variances.map((v, k) => (k === 0 ? 100 * v : v)) };
    const random = new Random('bands');
    // 2 000 draws leave some 4 % of a 95th percentile open.
    expect(covarianceBands(ball, 2000, random).plain / isotropicBand(16)).toBeCloseTo(1, 1);
    const { plain, whitened } = covarianceBands(stretched, 2000, random);
    // Two draws of one axis that holds 87 % of the variance.
    expect(plain).toBeGreaterThan(0.9);
    expect(whitened / isotropicBand(16)).toBeCloseTo(1, 1);
  });
});
