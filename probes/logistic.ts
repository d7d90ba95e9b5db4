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
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { log1pExp, sigmoid } from '../src/math/special.ts';
import { axpy, columnMeans, dot } from '../src/math/vectors.ts';
import { curvatureOf, precondition } from './curvature.ts';
import type { Curvature } from './curvature.ts';
import { checkLabels, checkPenalty, inFrame, standardisationOf } from './probe.ts';
import type { FitOptions, LinearProbe, Standardisation } from './probe.ts';

/** Largest entry of the gradient at which a fit counts as converged; scikit-learn stops at 1e-4. */
const gradientTolerance = 1e-8;
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
  return fitPrepared(prepareLogistic(rows, undefined, options), labels);
}

/** Training rows as the solver wants them; it serves any labels. */
export interface PreparedRows {
  readonly settings: {
    readonly c: number;
    readonly standardise: boolean;
    readonly intercept: boolean;
  };
  readonly frame: Standardisation;
  /** The training rows in that frame, `[n, d]`. */
  readonly x: Rows;
  readonly curvature: Curvature;
}

/** Prepares the chosen rows, or all, for `fitPrepared` and `refitLogistic`. */
export function prepareLogistic(
  rows: Rows,
  train: ArrayLike<number> | undefined,
  { c = 1, standardise = false, intercept = true }: FitOptions,
): PreparedRows {
  checkPenalty(c);
  const frame = frameOf(rows, train, { standardise, intercept });
  const x = inFrame(rows, train, frame);
  return {
    settings: { c, standardise, intercept },
    frame,
    x,
    curvature: curvatureOf(x, c, intercept),
  };
}

/**
 * Fits the probe on prepared rows, with labels 0 or 1, both present, `[n]`.
 *
 * @throws {UserError} `NOT_CONVERGED` when the gradient stays above `gradientTolerance`.
 */
export function fitPrepared(prepared: PreparedRows, labels: ArrayLike<number>): LinearProbe {
  const { settings, frame, x } = prepared;
  const weights = minimise(prepared, labels);
  const coef = weights.subarray(0, x.d);
  const offset = settings.intercept ? weights[x.d] : 0;
  if (settings.standardise) {
    return { estimator: 'logistic', settings, coef, intercept: offset, ...frame };
  }
  // Without standardising the frame only moves the origin, which the intercept takes back.
  const intercept = settings.intercept ? offset - dot(coef, frame.mean) : 0;
  return { estimator: 'logistic', settings, coef, intercept };
}

/**
 * Where the solver puts its origin and units. With an unpenalised intercept the origin is free, and at
 * the mean of the training rows the intercept is independent of the other columns.
 */
function frameOf(
  rows: Rows,
  train: ArrayLike<number> | undefined,
  { standardise, intercept }: { readonly standardise: boolean; readonly intercept: boolean },
): Standardisation {
  if (standardise) return standardisationOf(rows, train);
  const mean = intercept ? columnMeans(rows, train) : new Float64Array(rows.d);
  return { mean, scale: new Float64Array(rows.d).fill(1) };
}

/** The minimising weights, `[d]` or with the intercept last `[d + 1]`. */
function minimise(
  { settings, x, curvature }: PreparedRows,
  labels: ArrayLike<number>,
): Float64Array {
  const { c, intercept } = settings;
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
