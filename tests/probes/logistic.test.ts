import { describe, expect, it } from 'vitest';

import { crossFit } from '../../probes/crossFit.ts';
import { splitsOf } from '../../probes/folds.ts';
import { fitLogistic, gradientTolerance } from '../../probes/logistic.ts';
import { fitInColumns, type FramingOptions, type LogisticFit } from '../../probes/logisticFits.ts';
import { fitMany } from '../../probes/logisticMany.ts';
import type { LogisticProblem } from '../../probes/logisticLane.ts';
import { auroc } from '../../probes/metrics.ts';
import { score } from '../../probes/probe.ts';
import { Random } from '../../src/base/random.ts';
import { here, multiplyHere, through } from '../../src/math/multiply.ts';
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
    const huge = rowsOf(
      60,
      8,
      tall.data.map((value) => 1e12 * value),
    );
    expect(() => fitLogistic(huge, stripedLabels(60), { c: 1e6 })).toThrow(
      /^the logistic fit \(C = 1000000\) still had a gradient of \S+ after \d+ steps$/,
    );
  });
});

/** The way that is the shortest for rows of the shape, and the one for many rows whatever the shape. */
const ways = { fitMany, fitInColumns };

describe.each(['fitMany', 'fitInColumns'] as const)('%s', (way) => {
  /** Every problem on its own rows by the plain fit, in float64 throughout. */
  const framings = [
    ['tall', { standardise: true, intercept: true }],
    ['tall', { standardise: false, intercept: true }],
    ['wide', { standardise: true, intercept: false }],
    ['wide', { standardise: false, intercept: false }],
    ['wide', { standardise: true, intercept: true }],
    ['wide', { standardise: false, intercept: true }],
    ['separable', { standardise: true, intercept: true }],
  ] as const;

  const problemsOn = (rows: Rows, labels: readonly number[]): LogisticProblem[] => {
    const random = new Random(5);
    const splits = splitsOf(
      Int32Array.from({ length: rows.n }, (_, i) => i % 3),
      3,
    );
    const labellings = [0, 1, 2].map((k) => (k === 0 ? labels : random.shuffle([...labels])));
    return splits.flatMap(({ train }) =>
      labellings.flatMap((labelling) =>
        [0.01, 1, 30].map((c) => ({ train, labels: labelling, c, tolerance: gradientTolerance })),
      ),
    );
  };

  const collect = (
    rows: Rows,
    problems: readonly LogisticProblem[],
    framing: FramingOptions,
  ): LogisticFit[] => {
    const found: LogisticFit[] = [];
    here(ways[way](rows, problems, framing, (i, fit) => (found[i] = fit)));
    return found;
  };

  it.each(framings)('stands at the optimum of each problem: %s %o', (key, framing) => {
    const [rows, labels] = data[key];
    const problems = problemsOn(rows, labels);
    for (const [p, { coef, intercept, frame, scores }] of collect(
      rows,
      problems,
      framing,
    ).entries()) {
      const { train, labels: targets, c } = problems[p];
      const gradient = Float64Array.from(coef);
      let offset = 0;
      for (let i = 0; i < rows.n; i++) {
        const z = Array.from(rowAt(rows, i), (x, j) => (x - frame.mean[j]) / frame.scale[j]);
        const s = z.reduce((sum, value, j) => sum + value * coef[j], intercept);
        expect(scores[i]).toBeCloseTo(s, 10);
        if (!train.includes(i)) continue;
        const residual = c * (sigmoid(s) - targets[i]);
        offset += residual;
        z.forEach((value, j) => (gradient[j] += residual * value));
      }
      if (framing.intercept) expect(Math.abs(offset)).toBeLessThan(1.1 * gradientTolerance);
      for (const slope of gradient) expect(Math.abs(slope)).toBeLessThan(1.1 * gradientTolerance);
    }
  });

  it.each([true, false])(
    'scores for ranks as for a report where rows are fewer than columns, standardised: %s',
    (standardise) => {
      const rows = rowsOf(20, 50, data.wide[0].data.slice());
      // Rows that depend on each other: one twice, one the mean of two others.
      rows.data.copyWithin(150, 350, 400);
      for (let j = 0; j < 50; j++) {
        rows.data[450 + j] = (rows.data[500 + j] + rows.data[550 + j]) / 2;
      }
      const framing = { standardise, intercept: true };
      const problems = problemsOn(rows, data.wide[1]);
      const forRanks = problems.map((problem) => ({ ...problem, isForRanks: true }));
      const wanted = collect(rows, problems, framing);
      collect(rows, forRanks, framing).forEach(({ scores }, p) => {
        // Both within 1e-8 of the gradient, and C·x of up to 30 × 7 between a weight and a score.
        scores.forEach((value, i) => expect(value).toBeCloseTo(wanted[p].scores[i], 6));
      });
    },
  );

  it('gives the same numbers whichever fits go together', () => {
    const [rows, labels] = data.tall;
    const framing = { standardise: true, intercept: true };
    const problems = problemsOn(rows, labels).filter(({ c }) => c === 1);
    const together = collect(rows, problems, framing);
    const alone = collect(rows, [problems[5], problems[2]], framing);
    expect(alone.map(({ scores }) => scores)).toEqual([together[5].scores, together[2].scores]);
  });

  it('is as exact with products in float32 as without', async () => {
    const [rows, labels] = data.tall;
    const framing = { standardise: true, intercept: true };
    const problems = problemsOn(rows, labels);
    const found: LogisticFit[] = [];
    const visit = (i: number, fit: LogisticFit): unknown => (found[i] = fit);
    await through(ways[way](rows, problems, framing, visit), async ({ a, b }) => {
      const { n, d, data: exact } = multiplyHere({ a, b });
      return { n, d, data: a.data instanceof Float32Array ? Float32Array.from(exact) : exact };
    });
    for (const [p, { coef }] of collect(rows, problems, framing).entries()) {
      found[p].coef.forEach((value, j) => expect(value).toBeCloseTo(coef[j], 7));
    }
  });
});

describe('refits on shuffled labels', () => {
  it.each([
    [150, 30, 0.1],
    [150, 30, 1],
    [150, 30, 10],
    [60, 120, 1],
  ])('rank as fits that end at the optimum do: %d × %d, C = %d', (n, d, c) => {
    const random = new Random('loose');
    const rows = rowsOf(
      n,
      d,
      Float64Array.from({ length: n * d }, () => random.normal()),
    );
    const splits = splitsOf(
      Int32Array.from({ length: n }, (_, i) => i % 3),
      3,
    );
    const labels = Array.from({ length: n }, (_, i) => i % 2);
    const labellings = Array.from({ length: 20 }, () => Uint8Array.from(random.shuffle(labels)));
    const options = { estimator: 'logistic', c, standardise: true } as const;
    const { nulls } = crossFit(rows, labels, splits, labellings, options, () => undefined);
    labellings.forEach((labelling, k) => {
      const areas = splits.map(({ train, test }) => {
        const own = Array.from(train, (i) => labelling[i]);
        const exact = fitLogistic(takeRows(rows, train), own, options);
        const held = Array.from(test, (i) => labelling[i]);
        return auroc(score(exact, takeRows(rows, test)), held);
      });
      const mean = areas.reduce((sum, area) => sum + area, 0) / 3;
      // Scores lie within 1e-4 of the optimum's: no pair changes places, and a fold has at most (n/6)² of them.
      expect(Math.abs(nulls[k] - mean)).toBeLessThan(0.5 / (3 * (n / 6) ** 2));
    });
  });
});

describe('fitLogistic where steps are taken in float32', () => {
  it('ends by a gradient that float64 finds below the tolerance', () => {
    // 2¹⁷ numbers and more, far from the origin, where float32 sums are off by more than the tolerance.
    const [n, d, c] = [700, 200, 0.5];
    const random = new Random('columns');
    const rows = rowsOf(
      n,
      d,
      Float64Array.from({ length: n * d }, () => 3 + random.normal()),
    );
    const labels = Uint8Array.from({ length: n }, () => random.below(2));
    const { coef, intercept } = fitLogistic(rows, labels, { c });
    const gradient = Float64Array.from(coef);
    let shift = 0;
    for (let i = 0; i < n; i++) {
      const x = rowAt(rows, i);
      let at = intercept;
      for (let j = 0; j < d; j++) at += x[j] * coef[j];
      const off = c * (sigmoid(at) - labels[i]);
      shift += off;
      for (let j = 0; j < d; j++) gradient[j] += off * x[j];
    }
    // The solver looks from the middle of the rows: here each entry has the mean times the intercept's besides.
    for (let j = 0; j < d; j++) {
      expect(Math.abs(gradient[j])).toBeLessThan(10 * gradientTolerance);
    }
    expect(Math.abs(shift)).toBeLessThan(2 * gradientTolerance);
  });
});

describe('fitMany with fewer rows than columns', () => {
  it('begins among all columns where it ended among the rows: one look, and no step', async () => {
    const [rows, labels] = data.wide;
    const train = Int32Array.from({ length: 20 }, (_, i) => i);
    const problems = [0.01, 1, 30].map((c) => ({
      train,
      labels,
      c,
      tolerance: gradientTolerance,
    }));
    let wide = 0;
    const framing = { standardise: true, intercept: true };
    await through(
      fitMany(rows, problems, framing, () => undefined),
      async (product) => {
        if (product.a.n === 20 && product.a.d === 50) wide++;
        return multiplyHere(product);
      },
    );
    // The inner products of the rows, and the scores of all fits once.
    expect(wide).toBe(2);
  });
});
