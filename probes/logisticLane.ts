/**
 * One of the fits that `logisticFits.ts` advances together: its objective, and where it stands.
 *
 *     ½‖w‖² + C Σ log(1 + e^{s}) − y s,   s = w · (x − shift) / ratio + b,   y = 0 or 1
 *
 * All that products of matrices give is read as the change since the anchor, the last point at which they were
 * taken in float64. The first anchor is no weights at all.
 */

import { Minimiser } from '../src/math/minimise.ts';
import type { Rows } from '../src/math/rows.ts';

export interface LogisticProblem {
  /** Numbers of the rows to fit on; problems that share them should share the array. */
  readonly train: Int32Array;
  /** Of all rows, 0 or 1, `[n]`; both occur among the training rows. */
  readonly labels: ArrayLike<number>;
  /** Inverse strength of the penalty. */
  readonly c: number;
  /** Largest entry of the gradient of the objective that counts as zero. */
  readonly tolerance: number;
  /** Only ranks of scores are wanted, and no weights need be given. */
  readonly isForRanks?: boolean;
}

/** Weights in the frame of the training rows. */
export interface LogisticStart {
  /** `[d]`. */
  readonly coef: Float64Array;
  readonly intercept: number;
}

/** The frame of some training rows in that of all rows, `[d]` each. */
export interface RelativeFrame {
  readonly shift: Float64Array;
  readonly ratio: Float64Array;
  /** Largest root mean square of a column of all rows, in the frame of the training rows. */
  readonly spread: number;
}

/** Four times what a number near 1 can lose in float32. */
const rounding = 2 ** -22;
/** So many evaluations without a smaller gradient: rounding is all that is left before the next anchor. */
const patience = 50;
/** An inexact gradient must be below the tolerance with this to spare. */
const margin = 0.7;
const maxEvaluations = 2000;
/** So many anchors without an end: rounding is all that is left. */
const maxAnchors = 10;
/** Factors of Π(1 + e⁻ˢ) before a logarithm is taken: each is at most 2. */
const factors = 64;

export class Lane {
  readonly index: number;
  readonly problem: LogisticProblem;
  isDone: boolean = false;
  isLost: boolean = false;
  /** Largest entry of the gradient at the last evaluation. */
  largest: number = Number.NaN;

  readonly #frame: RelativeFrame;
  /** Labels of the training rows: one kind of array, whatever those of the problem are in. */
  readonly #labels: Uint8Array;
  readonly #d: number;
  readonly #hasIntercept: boolean;
  readonly #search: Minimiser;
  /** Point, scores of all rows, residuals of all rows (0 if not trained on) and gradient at the anchor. */
  readonly #point: Float64Array;
  readonly #scores: Float64Array;
  readonly #residuals: Float64Array;
  readonly #gradient: Float64Array;
  /** Until an evaluation in float64 is done, what it reads goes into the anchor. */
  #isAnchoring = false;
  #anchors = 0;
  #offset = 0;
  #value = 0;
  #sum = 0;
  /** About what float32 does to the gradient: it grows with the change since the anchor. */
  #noise = 0;
  /** Smallest gradient since the anchor, and how many evaluations ago that was. */
  #least = Number.POSITIVE_INFINITY;
  #stale = 0;

  constructor(
    index: number,
    problem: LogisticProblem,
    { n, d }: Rows,
    frame: RelativeFrame,
    hasIntercept: boolean,
    start?: LogisticStart,
  ) {
    const width = d + (hasIntercept ? 1 : 0);
    this.index = index;
    this.problem = problem;
    this.#frame = frame;
    this.#labels = Uint8Array.from(problem.train, (i) => problem.labels[i]);
    this.#d = d;
    this.#hasIntercept = hasIntercept;
    this.#point = new Float64Array(width);
    this.#gradient = new Float64Array(width);
    this.#scores = new Float64Array(n);
    this.#residuals = new Float64Array(n);
    const point = new Float64Array(width);
    if (start !== undefined) {
      point.set(start.coef);
      if (hasIntercept) point[d] = start.intercept;
    }
    this.#search = new Minimiser(point, {
      isSmall: () => this.#isSmall(),
      isPreconditioned: true,
      // No weights are their own anchor; any others are first evaluated in float64.
      isHeld: start !== undefined,
      maxEvaluations,
    });
  }

  get isSearching(): boolean {
    return this.#search.state === 'searching';
  }

  get evaluations(): number {
    return this.#search.evaluations;
  }

  /** Whether what was read is to be followed by a step. */
  get needsStep(): boolean {
    return !this.#isAnchoring || !this.#isAtEnd;
  }

  get #isAtEnd(): boolean {
    return this.largest <= this.problem.tolerance;
  }

  /** The gradient without that of the intercept, `[d]`. */
  get slopes(): Float64Array {
    return this.#search.gradient.subarray(0, this.#d);
  }

  /** Takes a step on what was read. */
  move(): void {
    this.#search.tell(this.#value);
  }

  /** Makes the best point so far the next anchor; to be followed by an evaluation in float64. */
  anchorAnew(): void {
    this.#search.retreat();
    this.#isAnchoring = true;
    for (const part of [this.#point, this.#scores, this.#residuals, this.#gradient]) part.fill(0);
  }

  /** Ends, or goes on from the new anchor. */
  settle(): void {
    this.#isAnchoring = false;
    this.#anchors++;
    this.#point.set(this.#search.point);
    this.#gradient.set(this.#search.gradient);
    [this.#noise, this.#least, this.#stale] = [0, Number.POSITIVE_INFINITY, 0];
    this.isDone = this.#isAtEnd;
    this.isLost =
      !this.isDone && (this.#anchors >= maxAnchors || this.evaluations >= maxEvaluations);
    if (!this.isDone) this.#search.resume(this.#value);
  }

  /** The weights in the frame of the training rows, and the scores of all rows. */
  solution(): { coef: Float64Array; intercept: number; scores: Float64Array } {
    const intercept = this.#hasIntercept ? this.#point[this.#d] : 0;
    return { coef: this.#point.slice(0, this.#d), intercept, scores: this.#scores };
  }

  /** The change of the weights, in the frame of all rows. Shape: `[d]`. */
  writeWeights(weights: Rows['data']): void {
    const { shift, ratio } = this.#frame;
    const { point } = this.#search;
    const anchor = this.#point;
    let offset = this.#hasIntercept ? point[this.#d] - anchor[this.#d] : 0;
    for (let j = 0; j < this.#d; j++) {
      const weight = (point[j] - anchor[j]) / ratio[j];
      weights[j] = weight;
      offset -= shift[j] * weight;
    }
    this.#offset = offset;
  }

  /**
   * Reads the change of the scores and writes that of the residuals, `[n]` both.
   *
   * @param isExact Whether the products before and after are carried out in float64.
   */
  readScores(changes: Rows['data'], residuals: Rows['data'], isExact: boolean): void {
    const { train, c } = this.problem;
    const labels = this.#labels;
    const offset = this.#offset;
    const [scores, before] = [this.#scores, this.#residuals];
    let [loss, product, sum, squares] = [0, 1, 0, 0];
    for (let t = 0; t < train.length; t++) {
      const i = train[t];
      const s = scores[i] + changes[i] + offset;
      const y = labels[t];
      const e = Math.exp(-Math.abs(s));
      loss += Math.max(s, 0) - y * s;
      product *= 1 + e;
      if (t % factors === factors - 1) {
        loss += Math.log(product);
        product = 1;
      }
      const residual = (s >= 0 ? 1 : e) / (1 + e) - y;
      const change = residual - before[i];
      residuals[i] = change;
      sum += change;
      squares += change * change;
      if (this.#isAnchoring) before[i] = residual;
    }
    if (this.#isAnchoring) {
      for (let i = 0; i < scores.length; i++) scores[i] = changes[i] + offset;
    }
    this.#value = c * (loss + Math.log(product));
    this.#sum = sum;
    // A sum of n terms that are as often too high as too low.
    const unit = isExact ? 0 : rounding;
    this.#noise = unit * c * this.#frame.spread * Math.sqrt(squares * train.length);
  }

  /** Reads what the change of the residuals does to the gradient, and adds the penalty. */
  readGradient(changes: Rows['data']): void {
    const { c } = this.problem;
    const { shift, ratio } = this.#frame;
    const { point, gradient } = this.#search;
    const [anchor, before, sum] = [this.#point, this.#gradient, this.#sum];
    let [squares, largest] = [0, 0];
    for (let j = 0; j < this.#d; j++) {
      const change = (changes[j] - shift[j] * sum) / ratio[j];
      const value = before[j] + c * change + point[j] - anchor[j];
      gradient[j] = value;
      squares += point[j] * point[j];
      if (Math.abs(value) > largest) largest = Math.abs(value);
    }
    if (this.#hasIntercept) {
      gradient[this.#d] = before[this.#d] + c * sum;
      largest = Math.max(largest, Math.abs(gradient[this.#d]));
    }
    this.#value += squares / 2;
    this.largest = largest;
  }

  /** Reads the gradient times the approximate inverse Hessian. */
  readNatural(raised: Rows['data'], intercept: number): void {
    const { natural, gradient } = this.#search;
    natural.set(raised);
    if (this.#hasIntercept) natural[this.#d] = gradient[this.#d] / intercept;
  }

  #isSmall(): boolean {
    this.#stale = this.largest < this.#least ? 0 : this.#stale + 1;
    this.#least = Math.min(this.#least, this.largest);
    const goal = Math.max(margin * this.problem.tolerance, this.#noise);
    return this.largest <= goal || this.#stale >= patience;
  }
}
