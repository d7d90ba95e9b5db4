/**
 * Fisher's linear discriminant, also called the mass-mean probe with covariance:
 *
 *     coef = S⁺(μ₊ − μ₋)        intercept = −coef · (μ₊ + μ₋) / 2 + log(n₊ / n₋)
 *
 * with S the pooled within-class covariance (÷ n) and S⁺ its pseudo-inverse.
 *
 * The mean difference points where the classes differ; this one discounts directions in which both vary
 * anyway. The trap is n ≤ d: S then has no inverse, S⁺ looks away from every direction in which the
 * training rows do not vary within a class, and that is where unseen rows of few examples are told
 * apart; nothing warns but the curve itself. Chance is ½; its null is refitted on shuffled labels.
 *
 * Held against scikit-learn's `LinearDiscriminantAnalysis(solver='lsqr')`, also for n < d
 * (tests/probes/estimators.test.ts).
 *
 * @see Fisher 1936, Annals of Eugenics 7(2); Marks and Tegmark 2023, arXiv:2310.06824, §5.
 */

import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, columnMeans, dot } from '../src/math/vectors.ts';
import { varyingAxes } from './curvature.ts';
import { fitStandardised, rowsWith } from './probe.ts';
import type { FitOptions, LinearProbe } from './probe.ts';

/**
 * Fits the probe on all rows, `[n, d]`, with labels 0 or 1, `[n]`.
 *
 * @throws {UserError} `LABELS_INVALID` when a class is missing, `SHAPE_MISMATCH` on unequal lengths.
 */
export function fitDiscriminant(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions = {},
): LinearProbe {
  return fitStandardised('lda', rows, labels, options, (x) => {
    const [negatives, positives] = [rowsWith(labels, 0), rowsWith(labels, 1)];
    const [negative, positive] = [columnMeans(x, negatives), columnMeans(x, positives)];
    const gap = positive.map((mean, j) => mean - negative[j]);
    const coef = inverseTimes(withinClasses(x, labels, [negative, positive]), gap);
    const middle = positive.map((mean, j) => (mean + negative[j]) / 2);
    return { coef, intercept: Math.log(positives.length / negatives.length) - dot(coef, middle) };
  });
}

/** Each row less the mean of its class. */
function withinClasses(
  x: Rows,
  labels: ArrayLike<number>,
  means: readonly [Float64Array, Float64Array],
): Rows {
  const data = Float64Array.from(x.data);
  for (let i = 0; i < x.n; i++) axpy(-1, means[labels[i]], data.subarray(i * x.d, (i + 1) * x.d));
  return { n: x.n, d: x.d, data };
}

/** (XᵀX / n)⁺ v for rows as they stand. Shape: `[n, d], [d] → [d]`. */
function inverseTimes(x: Rows, v: Float64Array): Float64Array {
  const { directions, variation } = varyingAxes(x);
  const out = new Float64Array(x.d);
  for (let k = 0; k < directions.n; k++) {
    const axis = rowAt(directions, k);
    axpy((x.n * dot(axis, v)) / variation[k], axis, out);
  }
  return out;
}
