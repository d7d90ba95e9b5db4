/**
 * Refits ridge regression and the linear discriminant for many labellings of the same rows.
 *
 * In the principal axes of the training rows both have a closed form whatever the labels: the ridge system
 * is diagonal, and the within-class covariance is the total one less a multiple of δδᵀ, δ = μ₊ − μ₋,
 * whose pseudo-inverse is known from that of the total. So one eigendecomposition serves all labellings.
 *
 * @see Meyer 1973, SIAM J. Appl. Math. 24(3), theorem 6, for the case in which the update lowers the rank.
 */

import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, columnMeans, dot } from '../src/math/vectors.ts';
import { varyingAxes } from './curvature.ts';
import type { Split } from './folds.ts';
import { inFrame, standardisationOf } from './probe.ts';
import type { FitOptions } from './probe.ts';
import { less, targetsOf } from './ridge.ts';

/**
 * Below this, 1 − (n₊n₋/n²) δᵀS⁺δ is 0 but for rounding: the training rows are told apart without
 * remainder, as they always are with n ≤ d.
 */
const separable = 1e-9;

/**
 * Scores of the test rows for each vector of training labels. Those of the discriminant come in
 * another unit than `fitDiscriminant`'s; the ranking is the same.
 *
 * @param targets Labels of the training rows, 0 or 1, `[fits][n]`.
 * @param visit Told the fit and the scores `[m]`.
 */
export function refitSpectral(
  estimator: 'lda' | 'ridge',
  rows: Rows,
  { train, test }: Split,
  targets: readonly Uint8Array[],
  { c = 1, standardise = false, intercept = true }: FitOptions,
  visit: (fit: number, scores: Float64Array) => void,
): void {
  const plain = { mean: new Float64Array(rows.d), scale: new Float64Array(rows.d).fill(1) };
  const frame = standardise ? standardisationOf(rows, train) : plain;
  const x = inFrame(rows, train, frame);
  const isCentred = estimator === 'lda' || intercept;
  const origin = isCentred ? columnMeans(x) : new Float64Array(x.d);
  const { directions, variation } = varyingAxes(less(x, origin));
  const known = coordinates(less(x, origin), directions);
  const tested = coordinates(less(inFrame(rows, test, frame), origin), directions);
  targets.forEach((labels, fit) => {
    const weights =
      estimator === 'ridge'
        ? ridgeWeights(known, variation, targetsOf(labels, intercept).values, 1 / c)
        : discriminantWeights(known, variation, labels);
    visit(
      fit,
      Float64Array.from({ length: tested.n }, (_, i) => dot(rowAt(tested, i), weights)),
    );
  });
}

function coordinates(x: Rows, directions: Rows): Rows {
  const data = new Float64Array(x.n * directions.n);
  for (let i = 0, at = 0; i < x.n; i++) {
    for (let k = 0; k < directions.n; k++, at++) data[at] = dot(rowAt(x, i), rowAt(directions, k));
  }
  return { n: x.n, d: directions.n, data };
}

function ridgeWeights(
  z: Rows,
  variation: Float64Array,
  targets: Float64Array,
  penalty: number,
): Float64Array {
  const pull = new Float64Array(z.d);
  for (let i = 0; i < z.n; i++) axpy(targets[i], rowAt(z, i), pull);
  return pull.map((value, k) => value / (variation[k] + penalty));
}

function discriminantWeights(z: Rows, variation: Float64Array, labels: Uint8Array): Float64Array {
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const negatives = z.n - positives;
  const gap = new Float64Array(z.d);
  for (let i = 0; i < z.n; i++) {
    axpy(labels[i] === 1 ? 1 / positives : -1 / negatives, rowAt(z, i), gap);
  }
  const inverse = variation.map((value) => z.n / value);
  const seen = gap.map((value, k) => value * inverse[k]);
  const left = 1 - ((positives * negatives) / z.n ** 2) * dot(gap, seen);
  if (left > separable) return seen;
  const length = dot(seen, seen);
  const without = (v: Float64Array): Float64Array => {
    const share = dot(v, seen) / length;
    return v.map((value, k) => value - share * seen[k]);
  };
  return without(without(gap).map((value, k) => value * inverse[k]));
}
