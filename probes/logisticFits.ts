/**
 * Many penalised logistic fits over the same rows: folds, strengths, shuffled labels, all at once.
 *
 * Each fit is a column, and each step of all of them two products of matrices. Three savings:
 * every fold shares one matrix, its standardisation going into the weights; one approximate inverse Hessian
 * serves all (`preconditioner.ts`); and the products run in float32. Exactness does not suffer from that: a step
 * is computed as the *change* since the fit's last evaluation in float64, so that the error shrinks with the
 * change, and no fit ends but by an evaluation in float64 whose gradient is below its tolerance.
 *
 * @see Liu and Nocedal 1989, Mathematical Programming 45 (L-BFGS).
 */

import { UserError } from '../src/base/errors.ts';
import { inSingle, times, type Steps } from '../src/math/multiply.ts';
import type { Rows } from '../src/math/rows.ts';
import { columnDeviations, columnMeans, transposed } from '../src/math/vectors.ts';
import { Lane, type LogisticProblem, type RelativeFrame } from './logisticLane.ts';
import { preconditionerOf, type Preconditioner, type Sides } from './preconditioner.ts';
import { inFrame, standardisationOf, type Standardisation } from './probe.ts';

export interface FramingOptions {
  readonly standardise: boolean;
  readonly intercept: boolean;
}

export interface LogisticFit {
  /** In which the weights are: of the training rows. */
  readonly frame: Standardisation;
  /** `[d]`. */
  readonly coef: Float64Array;
  readonly intercept: number;
  /** Of all rows, trained on or not, `[n]`. */
  readonly scores: Float64Array;
}

/** Below so many numbers float32 saves nothing. */
const small = 2 ** 17;
/** Fits under way at once: enough for the products to be worth it. */
const most = 64;
/** So many wait for an evaluation in float64, unless nothing else is left to do. */
const batch = 16;

/**
 * Carries out the fits.
 *
 * @param rows `[n, d]`.
 * @param visit Told the problem's number and its fit, in no particular order.
 * @throws {UserError} `NOT_CONVERGED` when a gradient stays above its tolerance.
 */
export function* fitMany(
  rows: Rows,
  problems: readonly LogisticProblem[],
  framing: FramingOptions,
  visit: (problem: number, fit: LogisticFit) => void,
): Steps<void> {
  const common = frameOf(rows, undefined, framing);
  const exact = sides(inFrame(rows, undefined, common));
  const fast = rows.n * rows.d < small ? exact : { x: inSingle(exact.x), xt: inSingle(exact.xt) };
  const preconditioner = yield* preconditionerOf(exact, fast, problems);
  const spreads = columnDeviations(exact.x, new Float64Array(rows.d));
  const frames = new Map<Int32Array, FramePair>();
  const framed = ({ train }: LogisticProblem): FramePair => {
    const known = frames.get(train);
    if (known !== undefined) return known;
    const absolute = frameOf(rows, train, framing);
    const made = { absolute, relative: relativeTo(common, absolute, spreads) };
    frames.set(train, made);
    return made;
  };
  let next = 0;
  let lanes: Lane[] = [];
  while (lanes.length > 0 || next < problems.length) {
    for (; lanes.length < most && next < problems.length; next++) {
      const { relative } = framed(problems[next]);
      lanes.push(new Lane(next, problems[next], rows, relative, framing.intercept));
    }
    const searching = lanes.filter((lane) => lane.isSearching);
    if (searching.length > 0) {
      yield* evaluate(searching, fast, preconditioner);
      for (const lane of searching) lane.move();
    }
    const waiting = lanes.filter((lane) => !lane.isSearching);
    if (waiting.length < Math.min(batch, lanes.length)) continue;
    for (const lane of waiting) lane.anchorAnew();
    yield* evaluate(waiting, exact, preconditioner);
    for (const lane of waiting) lane.settle();
    for (const lane of waiting.filter(({ isDone }) => isDone)) {
      visit(lane.index, { frame: framed(lane.problem).absolute, ...lane.solution() });
    }
    const lost = waiting.find(({ isLost }) => isLost);
    if (lost !== undefined) throw notConverged(lost);
    lanes = lanes.filter(({ isDone }) => !isDone);
  }
}

interface FramePair {
  readonly absolute: Standardisation;
  readonly relative: RelativeFrame;
}

function sides(x: Rows): Sides {
  return { x, xt: transposed(x) };
}

/**
 * Where the solver puts its origin and units. With an unpenalised intercept the origin is free, and at
 * the mean of the training rows the intercept is independent of the other columns.
 */
function frameOf(
  rows: Rows,
  train: ArrayLike<number> | undefined,
  { standardise, intercept }: FramingOptions,
): Standardisation {
  if (standardise) return standardisationOf(rows, train);
  const mean = intercept ? columnMeans(rows, train) : new Float64Array(rows.d);
  return { mean, scale: new Float64Array(rows.d).fill(1) };
}

function relativeTo(
  common: Standardisation,
  { mean, scale }: Standardisation,
  spreads: Float64Array,
): RelativeFrame {
  const ratio = scale.map((value, j) => value / common.scale[j]);
  return {
    shift: mean.map((value, j) => (value - common.mean[j]) / common.scale[j]),
    ratio,
    spread: spreads.reduce((top, value, j) => Math.max(top, value / ratio[j]), 0),
  };
}

/** Scores, residuals, gradients of all lanes at their points. */
function* evaluate(
  lanes: readonly Lane[],
  { x, xt }: Sides,
  { raise, intercept }: Preconditioner,
): Steps<void> {
  const k = lanes.length;
  const zeros = (n: number): Rows => {
    const data = x.data instanceof Float32Array ? new Float32Array(n * k) : new Float64Array(n * k);
    return { n, d: k, data };
  };
  const weights = zeros(x.d);
  lanes.forEach((lane, l) => lane.writeWeights(weights, l));
  const scores = yield* times(x, weights);
  const residuals = zeros(x.n);
  lanes.forEach((lane, l) => lane.readScores(scores, residuals, l));
  const gradients = yield* times(xt, residuals);
  lanes.forEach((lane, l) => lane.readGradient(gradients, l));
  const raised = yield* raise(lanes.map(({ slopes }) => slopes));
  lanes.forEach((lane, l) => lane.readNatural(raised, l, intercept));
}

function notConverged({ problem, largest, evaluations }: Lane): UserError {
  return new UserError(
    'NOT_CONVERGED',
    `the logistic fit (C = ${problem.c}) still had a gradient of ${largest.toExponential(1)} after ${evaluations} steps`,
    { fix: 'Standardise the columns, or choose a smaller C.' },
  );
}
