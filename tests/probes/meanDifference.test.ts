import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { splitsOf } from '../../probes/folds.ts';
import { fitMeanDifference, refitMeanDifference } from '../../probes/meanDifference.ts';
import { auroc } from '../../probes/metrics.ts';
import { score } from '../../probes/probe.ts';
import { here } from '../../src/math/multiply.ts';
import { rowsOf, takeRows } from '../../src/math/rows.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

const oracle: {
  mean_diff: number[];
  mean_diff_auroc: number;
} = readGolden('oracles/science.json');

/** The oracle's `data1`. */
const labels = stripedLabels(40);
const rows = sines(40, 6, 1);
labels.forEach((label, i) => {
  rows.data[i * 6] += 0.8 * label;
  rows.data[i * 6 + 2] -= 0.5 * label;
});

describe('fitMeanDifference', () => {
  it('matches a probe worked by hand, its boundary half-way between the means', () => {
    const x = rowsOf(4, 2, Float32Array.of(0, 0, 2, 0, 4, 2, 6, 2));
    const probe = fitMeanDifference(x, [0, 0, 1, 1]);
    // Means (1, 0) and (5, 2): coef (4, 2), midpoint (3, 1), intercept −14.
    expect([...probe.coef]).toEqual([4, 2]);
    expect(probe.intercept).toBe(-14);
    expect([...score(probe, rowsOf(1, 2, Float32Array.of(3, 1)))]).toEqual([0]);
    expect(fitMeanDifference(x, [0, 0, 1, 1], { intercept: false }).intercept).toBe(0);
  });

  it('matches numpy', () => {
    const probe = fitMeanDifference(rows, labels);
    // The oracle is rounded to 12 digits.
    probe.coef.forEach((value, j) => expect(value).toBeCloseTo(oracle.mean_diff[j], 11));
    expect(auroc(score(probe, rows), labels)).toBeCloseTo(oracle.mean_diff_auroc, 12);
  });

  it('standardised, does not see the units or the origin of a column', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        fc.double({ min: -10, max: 10, noNaN: true }),
        (unit, origin) => {
          const moved = takeRows(rows, [...rows.data.keys()].slice(0, rows.n));
          for (let i = 0; i < moved.n; i++)
            moved.data[i * 6 + 1] = moved.data[i * 6 + 1] * unit + origin;
          const options = { standardise: true };
          const before = score(fitMeanDifference(rows, labels, options), rows);
          const after = score(fitMeanDifference(moved, labels, options), moved);
          // Shifting by 10 a column of spread 0.01 costs three digits of sixteen.
          after.forEach((value, i) => expect(value).toBeCloseTo(before[i], 9));
        },
      ),
    );
  });

  it('gives a constant column scale 1 when standardising', () => {
    const x = rowsOf(4, 2, Float32Array.of(0, 2.7, 2, 2.7, 4, 2.7, 6, 2.7));
    const probe = fitMeanDifference(x, [0, 0, 1, 1], { standardise: true });
    expect(probe.scale?.[1]).toBe(1);
    expect(probe.coef[1]).toBeCloseTo(0, 12);
  });

  it('refuses labels that are missing, foreign or all alike', () => {
    const x = rowsOf(2, 1, Float32Array.of(1, 2));
    expect(() => fitMeanDifference(x, [0])).toThrow('1 labels for 2 rows');
    expect(() => fitMeanDifference(x, [0, 2])).toThrow('label "2" is neither 0 nor 1 — row 1');
    expect(() => fitMeanDifference(x, [1, 1])).toThrow(
      'all 2 labels are 1: there is nothing to tell apart',
    );
  });
});

describe('refitMeanDifference', () => {
  it.each([false, true])('scores as a fresh fit does, standardised: %s', (standardise) => {
    const splits = splitsOf(
      Int32Array.from({ length: 40 }, (_, i) => i % 3),
      3,
    );
    const labellings = [
      Uint8Array.from(labels),
      Uint8Array.from(labels).toReversed(),
      Uint8Array.from({ length: 40 }, (_, i) => (i % 4 === 0 ? 1 : 0)),
    ];
    let visits = 0;
    const visit = (k: number, s: number, scores: Float64Array): void => {
      visits++;
      const { train, test } = splits[s];
      const trained = Array.from(train, (i) => labellings[k][i]);
      const probe = fitMeanDifference(takeRows(rows, train), trained, { standardise });
      const fresh = score(probe, takeRows(rows, test));
      // The refit leaves out the offset, which no ranking sees.
      scores.forEach((value, i) => expect(value - scores[0]).toBeCloseTo(fresh[i] - fresh[0], 12));
    };
    here(refitMeanDifference(rows, splits, labellings, { standardise }, visit));
    expect(visits).toBe(9);
  });
});

describe('score', () => {
  it('refuses rows of another width', () => {
    const probe = fitMeanDifference(rows, labels);
    expect(() => score(probe, rowsOf(1, 2, Float32Array.of(1, 2)))).toThrow(
      'the probe reads 6 dimensions, the rows have 2',
    );
  });
});
