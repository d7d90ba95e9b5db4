/**
 * Which class mean is nearer? As a linear probe:
 *
 *     ‖x − μ₋‖² − ‖x − μ₊‖² = 2(μ₊ − μ₋)·x + ‖μ₋‖² − ‖μ₊‖²
 *
 * The trap: this is the mean difference in other units. It ranks rows alike, so its AUROC confirms
 * nothing that the mean difference has not said. Chance is ½; its null is refitted on shuffled labels.
 *
 * Held against scikit-learn's `NearestCentroid` (tests/probes/estimators.test.ts).
 *
 * @see Tibshirani et al. 2002, PNAS 99(10), without shrinkage.
 */

import type { Rows } from '../src/math/rows.ts';
import { columnMeans, dot } from '../src/math/vectors.ts';
import { fitStandardised, rowsWith } from './probe.ts';
import type { FitOptions, LinearProbe } from './probe.ts';

/**
 * Fits the probe on all rows, `[n, d]`, with labels 0 or 1, `[n]`.
 *
 * @throws {UserError} `LABELS_INVALID` when a class is missing, `SHAPE_MISMATCH` on unequal lengths.
 */
export function fitNearestCentroid(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions = {},
): LinearProbe {
  return fitStandardised('nearest_centroid', rows, labels, options, (x) => {
    const negative = columnMeans(x, rowsWith(labels, 0));
    const positive = columnMeans(x, rowsWith(labels, 1));
    return {
      coef: positive.map((mean, j) => 2 * (mean - negative[j])),
      intercept: dot(negative, negative) - dot(positive, positive),
    };
  });
}
