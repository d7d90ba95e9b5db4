import { describe, expect, it } from 'vitest';

import { splitsOf } from '../../probes/folds.ts';
import { fitLogistic, prepareLogistic } from '../../probes/logistic.ts';
import { auroc } from '../../probes/metrics.ts';
import { score } from '../../probes/probe.ts';
import { refitLogistic } from '../../probes/refitLogistic.ts';
import { Random } from '../../src/base/random.ts';
import { rowAt, rowsOf, takeRows } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';
import { sigmoid } from '../../src/math/special.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

interface Case {
  name: string;
  settings: { c: number; standardise: boolean; intercept: boolean };
  coef: number[];
  intercept: number;
  scores: number[];
}
const golden: {
  logistic: Record<'tall' | 'constant' | 'wide' | 'separable', Case[]>;
} = readGolden('probes/probes.json');
const oracle: Record<string, number[]> & {
  logreg_C1_intercept_raw_intercept: number;
  logreg_C1_auroc: number;
} = readGolden('oracles/science.json');

const tall = sines(60, 8, 2, (value, j) => value * j + (j - 1));
const constant = rowsOf(60, 8, tall.data.slice());
for (let i = 0; i < 60; i++) constant.data[i * 8 + 3] = 2.7;
const separable = sines(40, 5, 4);
const apart = Array.from({ length: 40 }, (_, i) => {
  const [a, b, c, , e] = rowAt(separable, i);
  return a - 2 * b + 0.5 * c + e > 0 ? 1 : 0;
});
const data: Record<keyof typeof golden.logistic, [Rows, number[]]> = {
  tall: [tall, stripedLabels(60)],
  constant: [constant, stripedLabels(60)],
  wide: [sines(20, 50, 3), stripedLabels(20)],
  separable: [separable, apart],
};

describe('fitLogistic', () => {
  for (const key of ['tall', 'constant', 'wide', 'separable'] as const) {
    it.each(golden.logistic[key])('matches scikit-learn: $name', (wanted) => {
      const [rows, labels] = data[key];
      const probe = fitLogistic(rows, labels, wanted.settings);
      // A gradient of 1e-8 puts each weight within 1e-8 of the optimum, for the penalty bends by 1 at
      // least; the intercept, unpenalised, is looser where C is large.
      probe.coef.forEach((value, j) => expect(value).toBeCloseTo(wanted.coef[j], 7));
      expect(probe.intercept).toBeCloseTo(wanted.intercept, 6);
      score(probe, rows).forEach((value, i) => expect(value).toBeCloseTo(wanted.scores[i], 6));
    });
  }

  it('matches the older oracle, raw and standardised', () => {
    const labels = stripedLabels(40);
    const rows = sines(40, 6, 1);
    labels.forEach((label, i) => {
      rows.data[i * 6] += 0.8 * label;
      rows.data[i * 6 + 2] -= 0.5 * label;
    });
    // Its solver stopped at a gradient of 6e-5, so its weights are within as much of the optimum.
    const early = 4;
    const raw = fitLogistic(rows, labels);
    raw.coef.forEach((value, j) =>
      expect(value).toBeCloseTo(oracle['logreg_C1_intercept_raw_coef'][j], early),
    );
    expect(raw.intercept).toBeCloseTo(oracle.logreg_C1_intercept_raw_intercept, early);
    expect(auroc(score(raw, rows), labels)).toBeCloseTo(oracle.logreg_C1_auroc, 12);
    const preset = fitLogistic(rows, labels, { c: 0.1, standardise: true, intercept: false });
    preset.coef.forEach((value, j) =>
      expect(value).toBeCloseTo(oracle['logreg_C0.1_nointercept_standardised_coef'][j], early),
    );
  });

  it('stands where the gradient of its objective vanishes, whatever made the rows', () => {
    const random = new Random(11);
    for (const [n, d] of [
      [30, 3],
      [8, 25],
      [25, 25],
    ]) {
      const rows = rowsOf(
        n,
        d,
        Float32Array.from({ length: n * d }, () => random.normal()),
      );
      const labels = Array.from({ length: n }, (_, i) => i % 2);
      const { coef, intercept } = fitLogistic(rows, labels, { c: 3 });
      const gradient = Float64Array.from(coef);
      let offset = 0;
      for (let i = 0; i < n; i++) {
        const row = Array.from(rowAt(rows, i));
        const s = row.reduce((sum, value, j) => sum + value * coef[j], intercept);
        const residual = 3 * (sigmoid(s) - labels[i]);
        offset += residual;
        row.forEach((value, j) => (gradient[j] += residual * value));
      }
      // 1e-8 in centred columns; the mean of a raw column of unit spread adds no more than that again.
      expect(Math.abs(offset)).toBeLessThan(1e-7);
      for (const slope of gradient) expect(Math.abs(slope)).toBeLessThan(1e-7);
    }
  });

  it('refuses an impossible C and a fit that does not converge', () => {
    expect(() => fitLogistic(tall, stripedLabels(60), { c: 0 })).toThrow(
      'C is "0", and an inverse strength must be above 0',
    );
    // Rounding of a gradient made of numbers near 1e12 is far above the tolerance.
    const huge = rowsOf(4, 1, Float64Array.of(1e12, -3e12, 2e12, 5e12));
    expect(() => fitLogistic(huge, [0, 1, 0, 1], { c: 1e6 })).toThrow(
      /^the logistic fit \(C = 1000000\) still had a gradient of \S+ after 2000 steps$/,
    );
  });
});

describe('refitLogistic', () => {
  it.each([
    ['tall', { c: 0.1, standardise: true }],
    ['tall', { c: 1 }],
    ['wide', { c: 0.1, standardise: true }],
    ['wide', { c: 1, intercept: false }],
  ] as const)('scores nearly as the exact fit does: %s %o', (key, options) => {
    const [rows, labels] = data[key];
    const splits = splitsOf(
      Int32Array.from({ length: rows.n }, (_, i) => i % 3),
      3,
    );
    const random = new Random(5);
    const labellings = Array.from({ length: 6 }, () => random.shuffle(Uint8Array.from(labels)));
    for (const { train, test } of splits) {
      const seen = new Set<number>();
      const targets = labellings.map((labelling) => labelling.filter((_, i) => train.includes(i)));
      const [trained, tested] = [takeRows(rows, train), takeRows(rows, test)];
      refitLogistic(prepareLogistic(rows, train, options), tested, targets, (k, scores) => {
        seen.add(k);
        const fresh = score(fitLogistic(trained, targets[k], options), tested);
        const spread = Math.max(...fresh) - Math.min(...fresh);
        // Stopped at a thousandth of the first gradient: scores agree to about a hundredth of their spread.
        const gap = scores.map((value, i) => Math.abs(value - fresh[i]));
        expect(Math.max(...gap)).toBeLessThan(0.01 * spread);
      });
      expect(seen.size).toBe(6);
    }
  });

  it('gives the same numbers whichever fits share a sweep', () => {
    const [rows, labels] = data.tall;
    const prepared = prepareLogistic(rows, undefined, {});
    const random = new Random(6);
    const targets = Array.from({ length: 7 }, () => random.shuffle(Uint8Array.from(labels)));
    const collect = (chosen: readonly number[]): Map<number, number[]> => {
      const found = new Map<number, number[]>();
      const those = chosen.map((k) => targets[k]);
      refitLogistic(prepared, rows, those, (k, scores) => found.set(chosen[k], [...scores]));
      return found;
    };
    const together = collect([0, 1, 2, 3, 4, 5, 6]);
    const alone = collect([5, 2]);
    expect(alone.size).toBe(2);
    for (const [k, scores] of alone) expect(scores).toEqual(together.get(k));
  });
});
