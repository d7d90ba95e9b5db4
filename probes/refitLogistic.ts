/**
 * The logistic probe refitted on many shufflings of the labels over the same rows.
 *
 * Two savings make thousands of fits affordable. The rows are turned once into coordinates in which
 * the curvature is bounded by the identity (`curvature.ts`), where few steps suffice; and four fits
 * advance together, so that each row is read once for four. The numbers do not depend on which fits
 * happen to share a sweep.
 */

import { invariant } from '../src/base/invariant.ts';
import { Minimiser } from '../src/math/minimise.ts';
import type { Rows } from '../src/math/rows.ts';
import { dot, norm } from '../src/math/vectors.ts';
import { curvatureOf, whiten } from './curvature.ts';
import type { Split } from './folds.ts';
import { frameOf, inFrame } from './logistic.ts';
import type { FitOptions } from './probe.ts';

/**
 * A null fit may stop once its gradient has shrunk to this share of that at zero weights. The scores are
 * then within about as much of the optimum's, and a rank statistic moves by less than 1e-3, far below
 * the spread of a null; the fit that is reported is held to `gradientTolerance`.
 */
const looseness = 1e-3;
const maxEvaluations = 500;
const lanes = 4;

/**
 * Scores of the test rows of every split, refitted for each vector of labels.
 *
 * @param visit Told the labelling, the split, and the scores of its test rows in their order.
 */
export function refitLogistic(
  rows: Rows,
  splits: readonly Split[],
  labellings: readonly Uint8Array[],
  { c = 1, standardise = false, intercept = true }: FitOptions,
  visit: (labelling: number, split: number, scores: Float64Array) => void,
): void {
  splits.forEach((split, s) => {
    const frame = frameOf(rows, split.train, { standardise, intercept });
    const train = inFrame(rows, split.train, frame);
    const curvature = curvatureOf(train, c, intercept);
    const bench = new Bench(whiten(curvature, train), curvature.inverse, c);
    const test = whiten(curvature, inFrame(rows, split.test, frame));
    const targets = labellings.map((labels) => Float64Array.from(split.train, (i) => labels[i]));
    bench.run(targets, (k, weights) => visit(k, s, times(test, weights)));
  });
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
  readonly targets: Float64Array;
  readonly search: Minimiser;
}

/** Four places at which fits over the same rows are worked on. */
class Bench {
  readonly #x: Rows;
  readonly #penalty: Float64Array;
  readonly #c: number;
  /** Weights and gradients of the four lanes, interleaved: entry j of lane l at 4j + l. */
  readonly #weights: Float64Array;
  readonly #gradients: Float64Array;

  /** `penalty[j]` is the weight of u²ⱼ/2 in the objective; columns beyond it are unpenalised. */
  constructor(x: Rows, penalty: Float64Array, c: number) {
    this.#x = x;
    this.#penalty = penalty;
    this.#c = c;
    this.#weights = new Float64Array(lanes * x.d);
    this.#gradients = new Float64Array(lanes * x.d);
  }

  /** Fits every vector of targets (0 or 1) and hands the weights over, in no particular order. */
  run(
    targets: readonly Float64Array[],
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

  #evaluate(places: readonly (Lane | undefined)[]): Float64Array {
    const { d } = this.#x;
    this.#gradients.fill(0);
    places.forEach((lane, l) => {
      for (let j = 0; j < d; j++) this.#weights[lanes * j + l] = lane?.search.point[j] ?? 0;
    });
    // A place without a fit repeats another's targets; its numbers are not read.
    const anyTargets = places.find((lane) => lane !== undefined)?.targets ?? new Float64Array(0);
    const targets = places.map((lane) => lane?.targets ?? anyTargets);
    const values = sweep(this.#x, this.#weights, targets, this.#gradients);
    places.forEach((lane, l) => {
      if (lane === undefined) return;
      const { point, gradient } = lane.search;
      values[l] *= this.#c;
      for (let j = 0; j < d; j++) {
        const pull = j < this.#penalty.length ? this.#penalty[j] * point[j] : 0;
        gradient[j] = this.#c * this.#gradients[lanes * j + l] + pull;
        values[l] += (pull * point[j]) / 2;
      }
    });
    return values;
  }
}

function startLane(fit: number, targets: Float64Array, d: number): Lane {
  let first = 0;
  const isSmall = (gradient: Float64Array): boolean => {
    const length = norm(gradient);
    if (first === 0) first = length;
    return length <= looseness * first;
  };
  const search = new Minimiser(new Float64Array(d), { isSmall, maxEvaluations });
  return { fit, targets, search };
}

/** Σ log(1 + e^s) − ys for the four lanes, their gradients added to `gradients`; written out for speed. */
function sweep(
  { n, d, data }: Rows,
  weights: Float64Array,
  [y0, y1, y2, y3]: readonly Float64Array[],
  gradients: Float64Array,
): Float64Array {
  const values = new Float64Array(lanes);
  for (let i = 0, start = 0; i < n; i++, start += d) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let j = 0, k = 0; j < d; j++, k += 4) {
      const x = data[start + j];
      s0 += x * weights[k];
      s1 += x * weights[k + 1];
      s2 += x * weights[k + 2];
      s3 += x * weights[k + 3];
    }
    const e0 = Math.exp(-Math.abs(s0));
    const e1 = Math.exp(-Math.abs(s1));
    const e2 = Math.exp(-Math.abs(s2));
    const e3 = Math.exp(-Math.abs(s3));
    values[0] += Math.max(s0, 0) + Math.log(1 + e0) - y0[i] * s0;
    values[1] += Math.max(s1, 0) + Math.log(1 + e1) - y1[i] * s1;
    values[2] += Math.max(s2, 0) + Math.log(1 + e2) - y2[i] * s2;
    values[3] += Math.max(s3, 0) + Math.log(1 + e3) - y3[i] * s3;
    const r0 = (s0 >= 0 ? 1 : e0) / (1 + e0) - y0[i];
    const r1 = (s1 >= 0 ? 1 : e1) / (1 + e1) - y1[i];
    const r2 = (s2 >= 0 ? 1 : e2) / (1 + e2) - y2[i];
    const r3 = (s3 >= 0 ? 1 : e3) / (1 + e3) - y3[i];
    for (let j = 0, k = 0; j < d; j++, k += 4) {
      const x = data[start + j];
      gradients[k] += r0 * x;
      gradients[k + 1] += r1 * x;
      gradients[k + 2] += r2 * x;
      gradients[k + 3] += r3 * x;
    }
  }
  return values;
}
