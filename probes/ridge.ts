/**
 * Least squares on targets ±1 with a penalty:
 *
 *     ‖y − Xw − b‖² + α‖w‖²,   α = 1/C, b unpenalised
 *
 * One linear system and no iteration, so it cannot fail to converge. The trap: squared loss also punishes
 * rows that are right by far, so that an outlier of the right class turns the direction; scores are no
 * log-odds. Chance is ½; its null is refitted on shuffled labels.
 *
 * Held against scikit-learn's `Ridge(alpha)`, also for n < d (tests/probes/estimators.test.ts).
 *
 * @see Hoerl and Kennard 1970, Technometrics 12(1).
 */

import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, columnMeans, dot } from '../src/math/vectors.ts';
import { axesOf } from './curvature.ts';
import { checkPenalty, fitStandardised } from './probe.ts';
import type { FitOptions, LinearProbe } from './probe.ts';

/**
 * Fits the probe on all rows, `[n, d]`, with labels 0 or 1, `[n]`.
 *
 * @param options.c 1/α, above 0; 1 if left out.
 * @throws {UserError} `LABELS_INVALID` when a class is missing, `SHAPE_MISMATCH` on unequal lengths.
 */
export function fitRidge(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions = {},
): LinearProbe {
  const { c = 1, intercept = true } = options;
  checkPenalty(c);
  return fitStandardised('ridge', rows, labels, options, (x) => {
    const mean = intercept ? columnMeans(x) : new Float64Array(x.d);
    const centred = less(x, mean);
    const targets = targetsOf(labels, intercept);
    const { directions, variation } = axesOf(centred);
    const pull = new Float64Array(x.d);
    for (let i = 0; i < x.n; i++) axpy(targets.values[i], rowAt(centred, i), pull);
    const coef = new Float64Array(x.d);
    for (let k = 0; k < directions.n; k++) {
      const axis = rowAt(directions, k);
      axpy(dot(axis, pull) / (Math.max(variation[k], 0) + 1 / c), axis, coef);
    }
    return { coef, intercept: targets.mean - dot(coef, mean) };
  });
}

/** ±1, less their mean where there is an intercept to take it. */
export function targetsOf(
  labels: ArrayLike<number>,
  isCentred: boolean,
): { readonly values: Float64Array; readonly mean: number } {
  const values = Float64Array.from(labels, (label) => 2 * label - 1);
  const mean = isCentred ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
  return { values: values.map((value) => value - mean), mean };
}

/** Rows less an origin, in float64. Shape: `[n, d], [d] → [n, d]`. */
export function less(x: Rows, origin: Float64Array): Rows {
  const data = Float64Array.from(x.data);
  for (let i = 0; i < x.n; i++) axpy(-1, origin, data.subarray(i * x.d, (i + 1) * x.d));
  return { n: x.n, d: x.d, data };
}
