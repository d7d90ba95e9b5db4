/** Discriminant, ridge, centroid and pairs: against scikit-learn and numpy, by hand, and on planted signals. */

import { describe, expect, it } from 'vitest';

import { fit } from '../../probes/crossFit.ts';
import { fitDiscriminant } from '../../probes/discriminant.ts';
import { splitsOf } from '../../probes/folds.ts';
import { fitNearestCentroid } from '../../probes/centroid.ts';
import { auroc } from '../../probes/metrics.ts';
import { fitContrastPairs, fitLat, readerDirection } from '../../probes/pairs.ts';
import { estimators } from '../../src/base/choices.ts';
import { score } from '../../probes/probe.ts';
import { refitSpectral } from '../../probes/refitSpectral.ts';
import { fitRidge } from '../../probes/ridge.ts';
import { Random } from '../../src/base/random.ts';
import { rowsOf, takeRows } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';
import { cosine } from '../../src/math/vectors.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

const oracle: Record<string, number[]> & {
  sklearn_LDA_lsqr_intercept: number;
  ridge_alpha1_intercept: number;
} = readGolden('oracles/science.json');

/** The oracle's `data1`. */
const labels = stripedLabels(40);
const rows = sines(40, 6, 1);
labels.forEach((label, i) => {
  rows.data[i * 6] += 0.8 * label;
  rows.data[i * 6 + 2] -= 0.5 * label;
});

/** The oracle is rounded to 12 digits. */
function expectClose(found: ArrayLike<number>, wanted: readonly number[]): void {
  wanted.forEach((value, j) => expect(found[j]).toBeCloseTo(value, 10));
}

function noise(n: number, d: number, seed: number): Rows {
  const random = new Random(seed);
  return rowsOf(
    n,
    d,
    Float64Array.from({ length: n * d }, () => random.normal()),
  );
}

describe('fitDiscriminant', () => {
  it('matches scikit-learn and pinv(Sw)(μ₊ − μ₋)', () => {
    const probe = fitDiscriminant(rows, labels);
    expectClose(probe.coef, oracle['sklearn_LDA_lsqr_coef']);
    expectClose(probe.coef, oracle['mm_iid_direction(pinv(Sw)@dm)']);
    expect(probe.intercept).toBeCloseTo(oracle.sklearn_LDA_lsqr_intercept, 10);
  });

  it('looks away from directions without variation inside the classes, as a pseudo-inverse does', () => {
    // Column 0 tells the classes apart without remainder; S⁺ has no part of it. Column 1 has S = 1.
    const x = rowsOf(4, 2, Float64Array.of(0, 1, 0, -1, 5, 3, 5, 1));
    const { coef } = fitDiscriminant(x, [0, 0, 1, 1]);
    expectClose(coef, [0, 2]);
  });
});

describe('fitRidge', () => {
  it('matches scikit-learn', () => {
    const probe = fitRidge(rows, labels);
    expectClose(probe.coef, oracle['ridge_alpha1_coef']);
    expect(probe.intercept).toBeCloseTo(oracle.ridge_alpha1_intercept, 10);
  });

  it('solves its normal equations also with more columns than rows', () => {
    const x = noise(8, 20, 1);
    const y = [0, 1, 1, 0, 1, 0, 0, 1];
    const probe = fitRidge(x, y, { c: 0.5 });
    const residuals = score(probe, x).map((s, i) => 2 * y[i] - 1 - s);
    // Gradient: Xᵀr = αw and Σr = 0, with α = 2.
    expect(residuals.reduce((sum, r) => sum + r, 0)).toBeCloseTo(0, 10);
    for (let j = 0; j < 20; j++) {
      let pull = 0;
      for (let i = 0; i < 8; i++) pull += x.data[i * 20 + j] * residuals[i];
      expect(pull).toBeCloseTo(2 * probe.coef[j], 10);
    }
  });
});

describe('refitSpectral', () => {
  const y = Uint8Array.from(stripedLabels(30));
  const split = splitsOf(
    Int32Array.from({ length: 30 }, (_, i) => i % 3),
    3,
  )[0];
  const trained = Uint8Array.from(split.train, (i) => y[i]);

  it.each([
    ['lda', 5, false],
    ['lda', 5, true],
    ['lda', 60, false],
    ['ridge', 5, true],
    ['ridge', 60, false],
  ] as const)(
    'ranks as %s fitted directly, d = %i, standardised %s',
    (estimator, d, standardise) => {
      const x = noise(30, d, d);
      const direct = score(
        fit(takeRows(x, split.train), trained, { estimator, standardise, c: 0.3 }),
        takeRows(x, split.test),
      );
      let found: Float64Array = new Float64Array();
      refitSpectral(estimator, x, split, [trained], { standardise, c: 0.3 }, (_, s) => (found = s));
      const centred = (v: Float64Array): Float64Array =>
        v.map((value) => value - v.reduce((sum, each) => sum + each, 0) / v.length);
      // Equal up to a positive factor and an offset.
      expect(cosine(centred(found), centred(direct))).toBeCloseTo(1, 9);
    },
  );
});

describe('fitNearestCentroid', () => {
  it('scores by how much nearer the positive mean is', () => {
    const x = rowsOf(4, 2, Float64Array.of(0, 0, 2, 0, 4, 2, 6, 2));
    const probe = fitNearestCentroid(x, [0, 0, 1, 1]);
    // Means (1, 0) and (5, 2); at (2, 1): 2 to the one, 10 to the other.
    expect(score(probe, rowsOf(1, 2, Float64Array.of(2, 1)))[0]).toBeCloseTo(2 - 10, 12);
  });

  it('ranks as the mean difference', () => {
    const score1 = score(fitNearestCentroid(rows, labels), rows);
    const score2 = score(fit(rows, labels, { estimator: 'mean_difference' }), rows);
    expect(auroc(score1, labels)).toBe(auroc(score2, labels));
  });
});

describe('readerDirection', () => {
  const u = [1, 0, 0, 0, 0, 0];
  const positive = sines(40, 6, 2);
  const negative = sines(40, 6, 4);
  const differences = (sign: (i: number) => number): Rows =>
    rowsOf(
      40,
      6,
      positive.data.map(
        (value, at) =>
          (value + (at % 6 === 0 ? 3 : 0) - negative.data[at]) * sign(Math.floor(at / 6)),
      ),
    );

  it('falls into the trap of recentring where all pairs have one order', () => {
    const [ordered, mixed, uncentred] =
      oracle['LAT_pitfall |cos(PC1,e1)|: ordered+recentred, alternating-sign+recentred, uncentred'];
    const along = (x: Rows, about: 'recentred' | 'uncentred'): number =>
      Math.abs(cosine(readerDirection(x, about), u));
    expect(
      along(
        differences(() => 1),
        'recentred',
      ),
    ).toBeCloseTo(ordered, 10);
    expect(
      along(
        differences((i) => (i % 2 === 0 ? 1 : -1)),
        'recentred',
      ),
    ).toBeCloseTo(mixed, 10);
    expect(
      along(
        differences(() => 1),
        'uncentred',
      ),
    ).toBeCloseTo(uncentred, 10);
  });
});

describe('pairs', () => {
  /** 20 groups of one positive and one negative row; the label adds 2 to column 3, the group 10 to column 0. */
  const x = noise(40, 6, 3);
  const y = Array.from({ length: 40 }, (_, i) => i % 2);
  const groups = y.map((_, i) => `g${Math.floor(i / 2)}`);
  y.forEach((label, i) => {
    x.data[i * 6 + 3] += 3 * label;
    x.data[i * 6] += 10 * Math.floor(i / 2);
  });

  it.each([fitLat, fitContrastPairs])(
    'find what differs inside pairs, turned to the positives',
    (fitPairs) => {
      const { coef } = fitPairs(x, y, { groups });
      expect(cosine(coef, [0, 0, 0, 1, 0, 0])).toBeGreaterThan(0.9);
      expect(
        cosine(
          fitPairs(
            x,
            y.map((label) => 1 - label),
            { groups },
          ).coef,
          [0, 0, 0, 1, 0, 0],
        ),
      ).toBeLessThan(-0.9);
    },
  );

  it('are refused where no group holds both labels', () => {
    expect(() => fitLat(x, y, { groups: y.map(String) })).toThrow(
      'there are 0 pairs of a positive and a negative row in one group',
    );
  });
});

describe('fit', () => {
  it.each(estimators)(
    'finds a planted direction by %s, and says how it was fitted',
    (estimator) => {
      const x = noise(120, 10, 7);
      const y = Array.from({ length: 120 }, (_, i) => i % 2);
      y.forEach((label, i) => (x.data[i * 10 + 4] += 4 * label));
      const probe = fit(x, y, { estimator });
      expect(probe.estimator).toBe(estimator);
      expect(auroc(score(probe, x), y)).toBeGreaterThan(0.85);
      const turned = fit(x, y, { estimator, standardise: true });
      expect(turned.scale).toHaveLength(10);
      expect(auroc(score(turned, x), y)).toBeGreaterThan(0.85);
    },
  );
});
