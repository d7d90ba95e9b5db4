/**
 * A penalised logistic fit of few columns by Newton's method: the Hessian is then so small that a handful of exact steps cost
 * less than what many fits at once (logisticFits.ts) spend on getting under way. All in float64.
 *
 *     H = I + C Σ σ′(sᵢ) zᵢzᵢᵀ,   step −H⁻¹∇,  halved until the objective falls
 *
 * @see Nocedal and Wright 2006, Numerical Optimization, §3.3.
 */

import { rowAt, type Rows } from '../src/math/rows.ts';
import { log1pExp } from '../src/math/special.ts';
import { notConverged, type LogisticFit } from './logisticFits.ts';
import type { LogisticProblem } from './logisticLane.ts';
import type { Standardisation } from './probe.ts';

/** Exact steps are the shorter way up to so many columns: at 16 they are not. */
const fewColumns = 8;
const mostSteps = 200;
/** Armijo's constant. */
const sufficient = 1e-4;
/** Of the value: what rounding makes of a step that changes nothing. */
const valueNoise = 1e-14;
const mostHalvings = 40;

/** Whether this is the way to fit rows of this shape. */
export function suitsNewton({ d }: Rows): boolean {
  return d <= fewColumns;
}

/**
 * Fits one problem.
 *
 * @param z All rows in `frame`, `[n, d]`, in float64.
 * @throws {UserError} `NOT_CONVERGED`
 */
export function fitByNewton(
  z: Rows,
  frame: Standardisation,
  problem: LogisticProblem,
  hasIntercept: boolean,
): LogisticFit {
  const { tolerance, c } = problem;
  const k = z.d + (hasIntercept ? 1 : 0);
  let at = evaluated(z, problem, new Float64Array(k), hasIntercept);
  let steps = 0;
  while (at.largest > tolerance) {
    const next = steps++ < mostSteps ? stepFrom(at, z, problem, hasIntercept) : null;
    if (next === null) throw notConverged(c, at.largest, steps);
    at = next;
  }
  const coef = at.point.slice(0, z.d);
  const intercept = hasIntercept ? at.point[z.d] : 0;
  const scores = new Float64Array(z.n);
  for (let i = 0; i < z.n; i++) scores[i] = scoreOf(z, i, at.point, hasIntercept);
  return { frame, coef, intercept, scores };
}

interface Evaluated {
  /** The weights, and the intercept last where there is one, `[k]`. */
  readonly point: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
  /** Largest entry of the gradient. */
  readonly largest: number;
  /** σ of the score of each training row. */
  readonly chances: Float64Array;
}

function evaluated(
  z: Rows,
  { train, labels, c }: LogisticProblem,
  point: Float64Array,
  hasIntercept: boolean,
): Evaluated {
  const { d } = z;
  const gradient = new Float64Array(point.length);
  const chances = new Float64Array(train.length);
  let loss = 0;
  for (let t = 0; t < train.length; t++) {
    const i = train[t];
    const s = scoreOf(z, i, point, hasIntercept);
    const y = labels[i];
    loss += log1pExp(y === 1 ? -s : s);
    const e = Math.exp(-Math.abs(s));
    chances[t] = (s >= 0 ? 1 : e) / (1 + e);
    const residual = c * (chances[t] - y);
    for (let j = 0, from = i * d; j < d; j++) gradient[j] += residual * z.data[from + j];
    if (hasIntercept) gradient[d] += residual;
  }
  let squares = 0;
  for (let j = 0; j < d; j++) {
    squares += point[j] * point[j];
    gradient[j] += point[j];
  }
  const largest = gradient.reduce((most, slope) => Math.max(most, Math.abs(slope)), 0);
  return { point, value: squares / 2 + c * loss, gradient, largest, chances };
}

/** The next point, or null where no step is a descent. */
function stepFrom(
  from: Evaluated,
  z: Rows,
  problem: LogisticProblem,
  hasIntercept: boolean,
): Evaluated | null {
  const { point, value, gradient } = from;
  const step = solved(hessianOf(from, z, problem, hasIntercept), gradient);
  const slope = step.reduce((sum, s, j) => sum + s * gradient[j], 0);
  let length = 1;
  for (let halving = 0; halving < mostHalvings; halving++) {
    const place = point.map((w, j) => w - length * step[j]);
    const next = evaluated(z, problem, place, hasIntercept);
    const noise = valueNoise * Math.abs(value);
    if (next.value <= value - sufficient * length * slope + noise) return next;
    length /= 2;
  }
  return null;
}

/** Its lower triangle, row after row, `[k, k]`. */
function hessianOf(
  { chances }: Evaluated,
  z: Rows,
  { train, c }: LogisticProblem,
  hasIntercept: boolean,
): Float64Array {
  const { d } = z;
  const k = d + (hasIntercept ? 1 : 0);
  const h = new Float64Array(k * k);
  for (let t = 0; t < train.length; t++) {
    const row = rowAt(z, train[t]);
    const bend = c * chances[t] * (1 - chances[t]);
    for (let i = 0; i < d; i++) {
      const part = bend * row[i];
      for (let j = 0; j <= i; j++) h[i * k + j] += part * row[j];
      if (hasIntercept) h[d * k + i] += part;
    }
    if (hasIntercept) h[d * k + d] += bend;
  }
  for (let i = 0; i < d; i++) h[i * k + i] += 1;
  return h;
}

/** x with Hx = b, by Cholesky in the lower triangle; a direction that has lost its bend is left out. */
function solved(h: Float64Array, b: Float64Array): Float64Array {
  const k = b.length;
  const x = b.slice();
  for (let i = 0; i < k; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = h[i * k + j];
      for (let q = 0; q < j; q++) sum -= h[i * k + q] * h[j * k + q];
      if (i === j) h[i * k + i] = sum > 0 ? Math.sqrt(sum) : Number.POSITIVE_INFINITY;
      else h[i * k + j] = sum / h[j * k + j];
    }
    for (let j = 0; j < i; j++) x[i] -= h[i * k + j] * x[j];
    x[i] /= h[i * k + i];
  }
  for (let i = k - 1; i >= 0; i--) {
    x[i] /= h[i * k + i];
    for (let j = 0; j < i; j++) x[j] -= h[i * k + j] * x[i];
  }
  return x;
}

function scoreOf(z: Rows, i: number, point: Float64Array, hasIntercept: boolean): number {
  const { d, data } = z;
  let sum = hasIntercept ? point[d] : 0;
  for (let j = 0, from = i * d; j < d; j++) sum += data[from + j] * point[j];
  return sum;
}
