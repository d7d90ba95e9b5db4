/**
 * Many penalised logistic fits over the same rows, each way of making them where it is the shortest.
 *
 * Few columns: Newton's method, fit by fit. Many rows: all fits at once, in columns.
 *
 * Fewer rows than columns: the weights lie in the span of the rows. With
 * XXᵀ = LLᵀ the rows of L have the same inner products as those of X, so that the same objective in n dimensions,
 *
 *     ½‖u‖² + C Σ log(1 + e^{−yᵢ(u·lᵢ + b)}),   w = XᵀL⁻ᵀu,
 *
 * has the same scores. Fits whose scores alone are ranked end there; the others go on from w among all columns, and end by the
 * gradient there. Standardised by fold, each fold has rows of its own.
 *
 * @see Schölkopf and Smola 2002, Learning with Kernels, §4.2 (the representer theorem).
 */

import { choleskySteps, solveUpper } from '../src/math/cholesky.ts';
import { rowGramSteps, times, type Steps } from '../src/math/multiply.ts';
import { rowAt, type Rows } from '../src/math/rows.ts';
import { transposed } from '../src/math/vectors.ts';
import { fitInColumns, frameOf, type FramingOptions, type VisitFit } from './logisticFits.ts';
import type { LogisticProblem, LogisticStart } from './logisticLane.ts';
import { fitByNewton, suitsNewton } from './logisticNewton.ts';
import { inFrame, type Standardisation } from './probe.ts';

/** Of a row's length, so that rows which depend on each other have a root; rounding of float64 sums is some 1e-14. */
const ridge = 1e-12;
/** A gradient in one basis has no larger entry in the other but by turning: to be below the tolerance there as well. */
const turning = 0.3;

/**
 * Carries out the fits.
 *
 * @param rows `[n, d]`.
 * @param visit Where a problem is for ranks, its weights may be empty.
 * @throws {UserError} `NOT_CONVERGED` when a gradient stays above its tolerance.
 */
export function* fitMany(
  rows: Rows,
  problems: readonly LogisticProblem[],
  framing: FramingOptions,
  visit: VisitFit,
): Steps<void> {
  if (suitsNewton(rows)) {
    fitOneByOne(rows, problems, framing, visit);
    return;
  }
  if (rows.n >= rows.d) {
    yield* fitInColumns(rows, problems, framing, visit);
    return;
  }
  const starts: LogisticStart[] = [];
  for (const group of groupsOf(problems, framing)) {
    yield* fitInRows(rows, problems, { group, framing, starts, visit });
  }
  const reported = problems.flatMap(({ isForRanks = false }, p) => (isForRanks ? [] : [p]));
  if (reported.length === 0) return;
  yield* fitInColumns(
    rows,
    reported.map((p) => problems[p]),
    framing,
    (r, fit) => visit(reported[r], fit),
    reported.map((p) => starts[p]),
  );
}

function fitOneByOne(
  rows: Rows,
  problems: readonly LogisticProblem[],
  framing: FramingOptions,
  visit: VisitFit,
): void {
  const framed = new Map<Int32Array, { readonly frame: Standardisation; readonly z: Rows }>();
  for (const [p, problem] of problems.entries()) {
    const known = framed.get(problem.train);
    const frame = known?.frame ?? frameOf(rows, problem.train, framing);
    const z = known?.z ?? inFrame(rows, undefined, frame);
    if (known === undefined) framed.set(problem.train, { frame, z });
    visit(p, fitByNewton(z, frame, problem, framing.intercept));
  }
}

/** Numbers of problems that share a frame. */
function groupsOf(
  problems: readonly LogisticProblem[],
  { standardise }: FramingOptions,
): readonly (readonly number[])[] {
  const groups = new Map<Int32Array | null, number[]>();
  for (const [p, { train }] of problems.entries()) {
    const key = standardise ? train : null;
    const group = groups.get(key) ?? [];
    groups.set(key, [...group, p]);
  }
  return [...groups.values()];
}

interface Group {
  readonly group: readonly number[];
  readonly framing: FramingOptions;
  /** Where the fits that are not for ranks are put, by problem. */
  readonly starts: LogisticStart[];
  readonly visit: VisitFit;
}

function* fitInRows(
  rows: Rows,
  problems: readonly LogisticProblem[],
  { group, framing, starts, visit }: Group,
): Steps<void> {
  const { intercept } = framing;
  const frame = frameOf(rows, framing.standardise ? problems[group[0]].train : undefined, framing);
  const x = inFrame(rows, undefined, frame);
  const root = yield* choleskySteps(yield* rowGramSteps(x), rows.n, ridge);
  const turned = { n: rows.n, d: rows.n, data: root };
  const asked = group.map((p) => {
    const { isForRanks = false, tolerance } = problems[p];
    return { ...problems[p], tolerance: isForRanks ? tolerance : turning * tolerance };
  });
  const found: { readonly p: number; readonly u: Float64Array; readonly offset: number }[] = [];
  yield* fitInColumns(turned, asked, { standardise: false, intercept }, (g, fit) => {
    const p = group[g];
    if (problems[p].isForRanks === true) visit(p, { ...fit, frame, coef: new Float64Array(0) });
    else found.push({ p, u: solveUpper(root, fit.coef), offset: fit.intercept });
  });
  if (found.length === 0) return;
  const mixed = { n: rows.n, d: found.length, data: columnsOf(found.map(({ u }) => u)) };
  const weights = transposed(yield* times(transposed(x), mixed));
  for (const [f, { p, offset }] of found.entries()) {
    starts[p] = { coef: Float64Array.from(rowAt(weights, f)), intercept: offset };
  }
}

/** Vectors as columns. */
function columnsOf(vectors: readonly Float64Array[]): Float64Array {
  const k = vectors.length;
  const out = new Float64Array(k * vectors[0].length);
  vectors.forEach((vector, v) => vector.forEach((value, i) => (out[i * k + v] = value)));
  return out;
}
