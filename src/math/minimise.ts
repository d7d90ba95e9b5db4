/**
 * Minimises a smooth, strictly convex function by L-BFGS with a backtracking line search.
 *
 * The minimiser does not call the function; it says where it wants it evaluated (`point`) and is told
 * the answer (`tell`). So several problems over the same data can be advanced together by one sweep
 * over the rows, which is what makes refitting a probe on shuffled labels affordable.
 *
 * @see Nocedal and Wright 2006, Numerical Optimization, algorithms 7.4 and 7.5.
 * @see Hager and Zhang 2005, SIAM J. Optim. 16(1), eq. 4.1 for the acceptance near the minimum,
 *   where differences of values are lost to rounding and slopes are not.
 */

import { axpy, dot } from './vectors.ts';

export interface MinimiserOptions {
  /** True where the gradient counts as zero. */
  readonly isSmall: (gradient: Float64Array) => boolean;
  /** Multiplies a gradient by an approximate inverse Hessian, in place; the identity if left out. */
  readonly precondition?: (gradient: Float64Array) => void;
  /** Evaluations after which to give up. */
  readonly maxEvaluations: number;
}

const memory = 8;
/** Armijo's constant: the share of the promised decrease that a step must bring. */
const sufficient = 1e-4;
/** Values closer than this, relatively, are equal but for the rounding of a sum of some thousand terms. */
const valueNoise = 1e-12;

/** One minimisation under way. */
export class Minimiser {
  /** Where the function is wanted next. Shape: `[d]`. */
  readonly point: Float64Array;
  /** The caller writes the gradient at `point` here before `tell`. */
  readonly gradient: Float64Array;
  state: 'searching' | 'converged' | 'gave up' = 'searching';
  evaluations = 0;

  readonly #options: MinimiserOptions;
  readonly #base: Float64Array;
  readonly #baseGradient: Float64Array;
  readonly #direction: Float64Array;
  readonly #steps: Float64Array[] = [];
  readonly #changes: Float64Array[] = [];
  readonly #curvatures: number[] = [];
  #baseValue = Number.NaN;
  #slope = 0;
  #length = 0;

  constructor(start: Float64Array, options: MinimiserOptions) {
    this.#options = options;
    this.point = start.slice();
    this.gradient = new Float64Array(start.length);
    this.#base = new Float64Array(start.length);
    this.#baseGradient = new Float64Array(start.length);
    this.#direction = new Float64Array(start.length);
  }

  /** Takes the value at `point`, with the gradient already written, and moves on. */
  tell(value: number): void {
    this.evaluations++;
    const isFirst = this.evaluations === 1;
    if (!isFirst && !this.#accepts(value)) {
      this.#shorten(value);
      return;
    }
    if (!isFirst) this.#remember();
    this.#base.set(this.point);
    this.#baseGradient.set(this.gradient);
    this.#baseValue = value;
    if (this.#options.isSmall(this.gradient)) this.state = 'converged';
    else this.#advance();
  }

  #accepts(value: number): boolean {
    if (value <= this.#baseValue + sufficient * this.#length * this.#slope) return true;
    const isLevel = value <= this.#baseValue + valueNoise * Math.abs(this.#baseValue);
    const slope = dot(this.gradient, this.#direction);
    return isLevel && slope <= (2 * sufficient - 1) * this.#slope;
  }

  /** Goes to the minimum of the parabola through what is known, kept within a tenth and a half. */
  #shorten(value: number): void {
    const rise = value - this.#baseValue - this.#length * this.#slope;
    const best = (-this.#slope * this.#length ** 2) / (2 * rise);
    const isUsable = Number.isFinite(best);
    this.#length = isUsable
      ? Math.min(Math.max(best, 0.1 * this.#length), 0.5 * this.#length)
      : 0.1 * this.#length;
    this.#place();
  }

  #remember(): void {
    const step = this.point.map((x, i) => x - this.#base[i]);
    const change = this.gradient.map((g, i) => g - this.#baseGradient[i]);
    const curvature = dot(step, change);
    // Convexity makes it positive; rounding at the very end may not.
    if (!(curvature > 0)) return;
    this.#steps.push(step);
    this.#changes.push(change);
    this.#curvatures.push(curvature);
    if (this.#steps.length <= memory) return;
    this.#steps.shift();
    this.#changes.shift();
    this.#curvatures.shift();
  }

  #advance(): void {
    this.#aim();
    this.#slope = dot(this.#baseGradient, this.#direction);
    this.#length = 1;
    this.#place();
  }

  /** direction ← −H·gradient, by the two loops. */
  #aim(): void {
    const q = this.#direction;
    q.set(this.#baseGradient);
    const last = this.#steps.length - 1;
    const shares = new Float64Array(last + 1);
    for (let k = last; k >= 0; k--) {
      shares[k] = dot(this.#steps[k], q) / this.#curvatures[k];
      axpy(-shares[k], this.#changes[k], q);
    }
    this.#options.precondition?.(q);
    if (last >= 0) {
      const scaled = this.#changes[last].slice();
      this.#options.precondition?.(scaled);
      const scale = this.#curvatures[last] / dot(this.#changes[last], scaled);
      for (let i = 0; i < q.length; i++) q[i] *= scale;
    }
    for (let k = 0; k <= last; k++) {
      const correction = dot(this.#changes[k], q) / this.#curvatures[k];
      axpy(shares[k] - correction, this.#steps[k], q);
    }
    for (let i = 0; i < q.length; i++) q[i] = -q[i];
  }

  #place(): void {
    if (this.evaluations >= this.#options.maxEvaluations) this.state = 'gave up';
    for (let i = 0; i < this.point.length; i++) {
      this.point[i] = this.#base[i] + this.#length * this.#direction[i];
    }
  }
}
