/**
 * Penalised logistic regression as a probe, with scikit-learn's objective:
 *
 *     ½‖w‖² + C Σ log(1 + e^{−yᵢ(w·xᵢ + b)}),   y = ±1, b unpenalised
 *
 * The solver is ours and the optimum is scikit-learn's: the objective is strictly convex, so it has one
 * minimum, and a fit that has not reached it is refused rather than returned.
 */

import { UserError } from '../src/base/errors.ts';
import { Minimiser } from '../src/math/minimise.ts';
import { rowAt, takeRows } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { log1pExp, sigmoid } from '../src/math/special.ts';
import { axpy, columnMeans, dot } from '../src/math/vectors.ts';
import { curvatureOf, precondition } from './curvature.ts';
import { checkLabels, standardisationOf } from './probe.ts';
import type { FitOptions, LinearProbe, Standardisation } from './probe.ts';

/** Largest entry of the gradient at which a fit counts as converged; scikit-learn stops at 1e-4. */
export const gradientTolerance = 1e-8;
const maxEvaluations = 2000;

/**
 * Fits the probe on all rows, `[n, d]`, with labels 0 or 1, `[n]`.
 *
 * @param options.c Inverse strength of the penalty, above 0; 1 if left out.
 * @throws {UserError} `LABELS_INVALID` when a class is missing, `SHAPE_MISMATCH` on unequal lengths,
 *   `NOT_CONVERGED` when the gradient stays above `gradientTolerance`.
 * @see Pedregosa et al. 2011, scikit-learn, `LogisticRegression` (penalty l2).
 */
export function fitLogistic(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions = {},
): LinearProbe {
  checkLabels(labels, rows);
  const { c = 1, standardise = false, intercept = true } = options;
  checkPenalty(c);
  const frame = frameOf(rows, undefined, { standardise, intercept });
  const design = inFrame(rows, undefined, frame);
  const weights = minimise(design, labels, c, intercept);
  const settings = { c, standardise, intercept };
  const coef = weights.subarray(0, rows.d);
  const offset = intercept ? weights[rows.d] : 0;
  if (standardise) {
    return { estimator: 'logistic', settings, coef, intercept: offset, ...frame };
  }
  // Without standardising the frame only moves the origin, which the intercept takes back.
  return {
    estimator: 'logistic',
    settings,
    coef,
    intercept: intercept ? offset - dot(coef, frame.mean) : 0,
  };
}

/** @throws {UserError} `USAGE` unless 0 < c < ∞. */
export function checkPenalty(c: number): void {
  if (c > 0 && Number.isFinite(c)) return;
  throw new UserError('USAGE', `C is "${c}", and an inverse strength must be above 0`, {
    fix: 'Give C as a positive number, for example 1 or 0.1.',
  });
}

/**
 * Where the solver puts its origin and units. With an unpenalised intercept the origin is free, and at
 * the mean of the training rows the intercept is independent of the other columns.
 */
export function frameOf(
  rows: Rows,
  train: ArrayLike<number> | undefined,
  { standardise, intercept }: { readonly standardise: boolean; readonly intercept: boolean },
): Standardisation {
  if (standardise) return standardisationOf(rows, train);
  const mean = intercept ? columnMeans(rows, train) : new Float64Array(rows.d);
  return { mean, scale: new Float64Array(rows.d).fill(1) };
}

/** (x − mean) / scale of the chosen rows, or of all, in float64. Shape: `[n, d] → [m, d]`. */
export function inFrame(
  rows: Rows,
  index: ArrayLike<number> | undefined,
  { mean, scale }: Standardisation,
): Rows {
  const every = index ?? Int32Array.from({ length: rows.n }, (_, i) => i);
  const taken = takeRows(rows, every);
  const { n, d, data } = taken;
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < d; j++, at++) data[at] = (data[at] - mean[j]) / scale[j];
  }
  return taken;
}

/** The minimising weights, `[d]` or with the intercept last `[d + 1]`. */
function minimise(x: Rows, labels: ArrayLike<number>, c: number, intercept: boolean): Float64Array {
  const curvature = curvatureOf(x, c, intercept);
  const search = new Minimiser(new Float64Array(x.d + (intercept ? 1 : 0)), {
    isSmall: (gradient) => largest(gradient) <= gradientTolerance,
    precondition: (gradient) => precondition(curvature, gradient),
    maxEvaluations,
  });
  while (search.state === 'searching') {
    search.tell(objective(x, labels, c, search.point, search.gradient));
  }
  if (search.state === 'gave up') {
    throw new UserError(
      'NOT_CONVERGED',
      `the logistic fit (C = ${c}) still had a gradient of ${largest(search.gradient).toExponential(1)} after ${maxEvaluations} steps`,
      { fix: 'Standardise the columns, or choose a smaller C.' },
    );
  }
  return search.point;
}

/** The objective at `weights`; its gradient goes into `gradient`. */
function objective(
  x: Rows,
  labels: ArrayLike<number>,
  c: number,
  weights: Float64Array,
  gradient: Float64Array,
): number {
  const { n, d } = x;
  const hasIntercept = weights.length > d;
  const w = weights.subarray(0, d);
  const slope = gradient.subarray(0, d);
  slope.set(w);
  let value = dot(w, w) / 2;
  let residuals = 0;
  for (let i = 0; i < n; i++) {
    const row = rowAt(x, i);
    const s = dot(row, w) + (hasIntercept ? weights[d] : 0);
    value += c * log1pExp(labels[i] === 1 ? -s : s);
    const residual = c * (labels[i] === 1 ? -sigmoid(-s) : sigmoid(s));
    residuals += residual;
    axpy(residual, row, slope);
  }
  if (hasIntercept) gradient[d] = residuals;
  return value;
}

function largest(vector: Float64Array): number {
  return vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
