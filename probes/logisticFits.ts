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
import { rowAt, type Rows } from '../src/math/rows.ts';
import { columnDeviations, columnMeans, transposed } from '../src/math/vectors.ts';
import {
  Lane,
  type LogisticProblem,
  type LogisticStart,
  type RelativeFrame,
} from './logisticLane.ts';
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

/** Told a problem's number and its fit, in no particular order. */
export type VisitFit = (problem: number, fit: LogisticFit) => void;

/**
 * Carries out the fits.
 *
 * @param rows `[n, d]`.
 * @param starts Where the search for each problem begins; at no weights if left out.
 * @throws {UserError} `NOT_CONVERGED` when a gradient stays above its tolerance.
 */
export function* fitInColumns(
  rows: Rows,
  problems: readonly LogisticProblem[],
  framing: FramingOptions,
  visit: VisitFit,
  starts?: readonly LogisticStart[],
): Steps<void> {
  const common = frameOf(rows, undefined, framing);
  const exact = sides(inFrame(rows, undefined, common));
  const methods = methodsOf(exact, problems);
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
      const start = starts?.[next];
      lanes.push(new Lane(next, problems[next], rows, relative, framing.intercept, start));
    }
    const searching = lanes.filter((lane) => lane.isSearching);
    if (searching.length > 0) {
      yield* evaluate(searching, methods().fast, methods);
      for (const lane of searching) lane.move();
    }
    const waiting = lanes.filter((lane) => !lane.isSearching);
    if (waiting.length < Math.min(batch, lanes.length)) continue;
    for (const lane of waiting) lane.anchorAnew();
    yield* evaluate(waiting, exact, methods);
    for (const lane of waiting) lane.settle();
    for (const lane of waiting.filter(({ isDone }) => isDone)) {
      visit(lane.index, { frame: framed(lane.problem).absolute, ...lane.solution() });
    }
    const lost = waiting.find(({ isLost }) => isLost);
    if (lost !== undefined) {
      throw notConverged(lost.problem.c, lost.largest, lost.evaluations);
    }
    lanes = lanes.filter(({ isDone }) => !isDone);
  }
}

interface FramePair {
  readonly absolute: Standardisation;
  readonly relative: RelativeFrame;
}

interface Methods {
  /** The rows in the precision of a step. */
  readonly fast: Sides;
  readonly preconditioner: () => Steps<Preconditioner>;
}

/** What steps need, made when the first is taken: who starts at the optimum takes none. */
function methodsOf(exact: Sides, problems: readonly LogisticProblem[]): () => Methods {
  let made: Methods | undefined;
  let known: Preconditioner | undefined;
  return () => {
    if (made !== undefined) return made;
    const isSmall = exact.x.data.length < small;
    const fast = isSmall ? exact : { x: inSingle(exact.x), xt: inSingle(exact.xt) };
    const preconditioner = function* (): Steps<Preconditioner> {
      known ??= yield* preconditionerOf(exact, fast, problems);
      return known;
    };
    made = { fast, preconditioner };
    return made;
  };
}

function sides(x: Rows): Sides {
  return { x, xt: transposed(x) };
}

/**
 * Where the solver puts its origin and units. With an unpenalised intercept the origin is free, and at
 * the mean of the training rows the intercept is independent of the other columns.
 */
export function frameOf(
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

/**
 * Scores, residuals, gradients of all lanes at their points. A product has a column for each lane, and a lane reads
 * and writes a row: its numbers then lie side by side.
 */
function* evaluate(lanes: readonly Lane[], { x, xt }: Sides, methods: () => Methods): Steps<void> {
  const Kind = x.data instanceof Float32Array ? Float32Array : Float64Array;
  const weights = empty(lanes.length, x.d);
  lanes.forEach((lane, l) => lane.writeWeights(rowAt(weights, l)));
  const scores = transposed(yield* times(x, transposed(weights, Kind)));
  const residuals = empty(lanes.length, x.n);
  lanes.forEach((lane, l) =>
    lane.readScores(rowAt(scores, l), rowAt(residuals, l), Kind === Float64Array),
  );
  const gradients = transposed(yield* times(xt, transposed(residuals, Kind)));
  lanes.forEach((lane, l) => lane.readGradient(rowAt(gradients, l)));
  const stepping = lanes.filter((lane) => lane.needsStep);
  if (stepping.length === 0) return;
  const { raise, intercept } = yield* methods().preconditioner();
  const slopes = empty(stepping.length, x.d);
  stepping.forEach((lane, l) => slopes.data.set(lane.slopes, l * x.d));
  const raised = yield* raise(slopes);
  stepping.forEach((lane, l) => lane.readNatural(rowAt(raised, l), intercept));
}

function empty(n: number, d: number): Rows {
  return { n, d, data: new Float64Array(n * d) };
}

/** A gradient that stayed above its tolerance. */
export function notConverged(c: number, largest: number, steps: number): UserError {
  return new UserError(
    'NOT_CONVERGED',
    `the logistic fit (C = ${c}) still had a gradient of ${largest.toExponential(1)} after ${steps} steps`,
    { fix: 'Standardise the columns, or choose a smaller C.' },
  );
}
