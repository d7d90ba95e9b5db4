/**
 * Penalised logistic regression as a probe, with scikit-learn's objective:
 *
 *     ½‖w‖² + C Σ log(1 + e^{−yᵢ(w·xᵢ + b)}),   y = ±1, b unpenalised
 *
 * The solver is ours and the optimum is scikit-learn's: the objective is strictly convex, so it has one
 * minimum, and a fit that has not reached it is refused rather than returned.
 *
 * The trap: with fewer rows than columns any labels can be read off the training rows, shuffled ones as well; and the
 * penalty is in the units of the columns, so that the same C is another strength at another layer unless they are standardised. Chance is ½; its
 * null is refitted on shuffled labels.
 *
 * Held against scikit-learn's `LogisticRegression` and against the gradient of its objective, also for n < d
 * (tests/probes/logistic.test.ts).
 *
 * @see Pedregosa et al. 2011, JMLR 12, scikit-learn, `LogisticRegression` (penalty l2).
 */

import { here, type Steps } from '../src/math/multiply.ts';
import type { Rows } from '../src/math/rows.ts';
import { dot } from '../src/math/vectors.ts';
import type { FramingOptions, LogisticFit } from './logisticFits.ts';
import { fitMany } from './logisticMany.ts';
import { checkLabels, checkPenalty } from './probe.ts';
import type { FitOptions, LinearProbe } from './probe.ts';

/**
 * Largest entry of the gradient at which a fit that is reported counts as converged. The penalty bends by 1
 * at least, so the weights are within the gradient's length of the optimum.
 */
export const gradientTolerance: number = 1e-8;

/**
 * The same where only ranks are wanted of many fits: a gradient of the *mean* loss of 1e-6, a hundredth of
 * what scikit-learn stops at.
 */
export function looseTolerance(c: number, n: number): number {
  return 1e-6 * c * n;
}

/**
 * Fits the probe on all rows, `[n, d]`, with labels 0 or 1, `[n]`.
 *
 * @param options.c Inverse strength of the penalty, above 0; 1 if left out.
 * @throws {UserError} `LABELS_INVALID` when a class is missing, `SHAPE_MISMATCH` on unequal lengths,
 *   `NOT_CONVERGED` when the gradient stays above `gradientTolerance`.
 */
export function fitLogistic(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions = {},
): LinearProbe {
  return here(fitLogisticSteps(rows, labels, options));
}

/** As `fitLogistic`, asking for its products. */
function* fitLogisticSteps(
  rows: Rows,
  labels: ArrayLike<number>,
  { c = 1, standardise = false, intercept = true }: FitOptions,
): Steps<LinearProbe> {
  checkLabels(labels, rows);
  checkPenalty(c);
  const train = Int32Array.from({ length: rows.n }, (_, i) => i);
  const problem = { train, labels, c, tolerance: gradientTolerance };
  const found: LinearProbe[] = [];
  yield* fitMany(rows, [problem], { standardise, intercept }, (_, fit) =>
    found.push(probeOf(fit, c, { standardise, intercept })),
  );
  return found[0];
}

/** A fit as a probe. */
export function probeOf(
  { frame, coef, intercept: offset }: LogisticFit,
  c: number,
  { standardise, intercept }: FramingOptions,
): LinearProbe {
  const settings = { c, standardise, intercept };
  if (standardise) {
    return { estimator: 'logistic', settings, coef, intercept: offset, ...frame };
  }
  // Without standardising the frame only moves the origin, which the intercept takes back.
  const moved = intercept ? offset - dot(coef, frame.mean) : 0;
  return { estimator: 'logistic', settings, coef, intercept: moved };
}
