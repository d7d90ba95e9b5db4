/**
 * The logistic probe refitted on many shufflings of the labels over the same rows.
 *
 * Two savings make thousands of fits affordable. The rows are turned once into coordinates in which
 * the curvature is bounded by the identity (`curvature.ts`), where few steps suffice; and four fits
 * advance together, so that each row is read once for four. The numbers do not depend on which fits
 * happen to share a sweep.
 */

import { invariant } from '../src/base/invariant.ts';
import { lanes, timesLanes, transposedTimesLanes } from '../src/math/lanes.ts';
import { Minimiser } from '../src/math/minimise.ts';
import type { Rows } from '../src/math/rows.ts';
import { dot, norm } from '../src/math/vectors.ts';
import { whiten } from './curvature.ts';
import type { PreparedRows } from './logistic.ts';
import { inFrame } from './probe.ts';

/**
 * A null fit may stop once its gradient has shrunk to this share of that at zero weights. The scores are
 * then within about as much of the optimum's, and a rank statistic moves by less than 1e-3, far below
 * the spread of a null; the fit that is reported is held to `gradientTolerance`.
 */
const looseness = 1e-3;
const maxEvaluations = 500;

/**
 * Scores of the test rows, refitted on the prepared training rows for each vector of labels.
 *
 * @param test `[m, d]`, not yet in the frame of the training rows.
 * @param targets Labels of the training rows, 0 or 1, `[fits][n]`.
 * @param visit Told the fit and the scores `[m]`, in no particular order.
 */
export function refitLogistic(
  { settings, frame, x, curvature }: PreparedRows,
  test: Rows,
  targets: readonly ArrayLike<number>[],
  visit: (fit: number, scores: Float64Array) => void,
): void {
  const bench = new Bench(whiten(curvature, x), curvature.inverse, settings.c);
  const tested = whiten(curvature, inFrame(test, undefined, frame));
  bench.run(targets, (fit, weights) => visit(fit, times(tested, weights)));
}

function times(x: Rows, weights: Float64Array): Float64Array {
  const out = new Float64Array(x.n);
  for (let i = 0; i < x.n; i++) {
    out[i] = dot(x.data.subarray(i * x.d, (i + 1) * x.d), weights);
  }
  return out;
}

interface Lane {
  readonly fit: number;
  readonly targets: ArrayLike<number>;
  readonly search: Minimiser;
}

/** Four places at which fits over the same rows are worked on. */
class Bench {
  /** The rows, with one of zeros added where their number is odd. */
  readonly #x: Rows;
  readonly #penalty: Float64Array;
  readonly #c: number;
  readonly #weights: Float64Array;
  readonly #gradients: Float64Array;
  /** Scores of all rows, then their residuals. */
  readonly #scores: Float64Array;

  /** `penalty[j]` is the weight of u²ⱼ/2 in the objective; columns beyond it are unpenalised. */
  constructor(x: Rows, penalty: Float64Array, c: number) {
    this.#x = evenRows(x);
    this.#penalty = penalty;
    this.#c = c;
    this.#weights = new Float64Array(lanes * x.d);
    this.#gradients = new Float64Array(lanes * x.d);
    this.#scores = new Float64Array(lanes * this.#x.n);
  }

  /** Fits every vector of targets (0 or 1) and hands the weights over, in no particular order. */
  run(
    targets: readonly ArrayLike<number>[],
    finished: (fit: number, weights: Float64Array) => void,
  ): void {
    let next = 0;
    const begin = (): Lane | undefined =>
      next < targets.length ? startLane(next, targets[next++], this.#x.d) : undefined;
    const places = Array.from({ length: lanes }, begin);
    while (places.some((lane) => lane !== undefined)) {
      const values = this.#evaluate(places);
      places.forEach((lane, l) => {
        if (lane === undefined) return;
        lane.search.tell(values[l]);
        invariant(lane.search.state !== 'gave up', 'a null fit did not converge');
        if (lane.search.state !== 'converged') return;
        finished(lane.fit, lane.search.point);
        places[l] = begin();
      });
    }
  }

  /** The objective of each lane at its point; the gradients go to the lanes. */
  #evaluate(places: readonly (Lane | undefined)[]): Float64Array {
    const values = new Float64Array(lanes);
    places.forEach((lane, l) => lane !== undefined && this.#load(lane, l));
    timesLanes(this.#x, this.#weights, this.#scores);
    places.forEach((lane, l) => {
      if (lane !== undefined) values[l] = lossAndResiduals(this.#scores, lane.targets, l);
    });
    transposedTimesLanes(this.#x, this.#scores, this.#gradients);
    places.forEach((lane, l) => {
      if (lane !== undefined) values[l] = this.#unload(lane, l, values[l]);
    });
    return values;
  }

  #load({ search }: Lane, l: number): void {
    for (let j = 0; j < search.point.length; j++) this.#weights[lanes * j + l] = search.point[j];
  }

  /** Adds the penalty to what the rows gave. */
  #unload({ search: { point, gradient } }: Lane, l: number, loss: number): number {
    let value = this.#c * loss;
    for (let j = 0; j < point.length; j++) {
      const pull = j < this.#penalty.length ? this.#penalty[j] * point[j] : 0;
      gradient[j] = this.#c * this.#gradients[lanes * j + l] + pull;
      value += (pull * point[j]) / 2;
    }
    return value;
  }
}

/** The rows, with one of zeros added where their number is odd. */
export function evenRows(x: Rows): Rows {
  if (x.n % 2 === 0) return x;
  const data = new Float64Array((x.n + 1) * x.d);
  data.set(x.data);
  return { n: x.n + 1, d: x.d, data };
}

function startLane(fit: number, targets: ArrayLike<number>, d: number): Lane {
  let first = 0;
  const isSmall = (gradient: Float64Array): boolean => {
    const length = norm(gradient);
    if (first === 0) first = length;
    return length <= looseness * first;
  };
  const search = new Minimiser(new Float64Array(d), { isSmall, maxEvaluations });
  return { fit, targets, search };
}

/** Σ log(1 + eˢ) − ys of lane l; its scores are replaced by the residuals σ(s) − y. */
function lossAndResiduals(scores: Float64Array, targets: ArrayLike<number>, l: number): number {
  let loss = 0;
  for (let i = 0, at = l; i < targets.length; i++, at += lanes) {
    const s = scores[at];
    const e = Math.exp(-Math.abs(s));
    loss += Math.max(s, 0) + Math.log(1 + e) - targets[i] * s;
    scores[at] = (s >= 0 ? 1 : e) / (1 + e) - targets[i];
  }
  return loss;
}
