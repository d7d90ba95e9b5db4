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

export interface MinimiserOptions {
  /** True where the gradient counts as zero. */
  readonly isSmall: (gradient: Float64Array) => boolean;
  /** Wait at the start for `resume` instead of asking for an evaluation there. */
  readonly isHeld?: boolean;
  /** The caller also writes `natural`; otherwise it is the gradient itself. */
  readonly isPreconditioned?: boolean;
  /** Evaluations after which to give up. */
  readonly maxEvaluations: number;
}

const memory = 8;
/** Armijo's constant: the share of the promised decrease that a step must bring. */
const sufficient = 1e-4;
/** Values closer than this, relatively, are equal but for rounding, for they may come from float32; slopes then decide. */
const valueNoise = 1e-6;
/** A step shorter than this finds no decrease but that of rounding. */
const shortest = 1e-9;

/** One minimisation under way. */
export class Minimiser {
  /** Where the function is wanted next. Shape: `[d]`. */
  readonly point: Float64Array;
  /** The caller writes the gradient at `point` here before `tell`. */
  readonly gradient: Float64Array;
  /** The gradient times an approximate inverse Hessian, always the same one. */
  readonly natural: Float64Array;
  state: 'searching' | 'converged' | 'gave up' = 'searching';
  evaluations = 0;

  readonly #options: MinimiserOptions;
  readonly #base: Float64Array;
  readonly #baseGradient: Float64Array;
  readonly #baseNatural: Float64Array;
  readonly #direction: Float64Array;
  readonly #dual: Float64Array;
  #pairs: Pair[] = [];
  #baseValue = Number.NaN;
  #slope = 0;
  #length = 0;

  constructor(start: Float64Array, options: MinimiserOptions) {
    const { isPreconditioned = false, isHeld = false } = options;
    const zeros = (): Float64Array => new Float64Array(start.length);
    this.#options = options;
    this.point = start.slice();
    this.gradient = zeros();
    this.natural = isPreconditioned ? zeros() : this.gradient;
    this.#base = start.slice();
    this.#baseGradient = zeros();
    this.#baseNatural = isPreconditioned ? zeros() : this.#baseGradient;
    this.#direction = zeros();
    this.#dual = zeros();
    if (isHeld) this.state = 'converged';
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
    this.#settle(value);
  }

  /** Goes back to the best point so far, to have it evaluated more exactly. */
  retreat(): void {
    this.point.set(this.#base);
  }

  /** Goes on from `point` after `retreat`, with its more exact value and gradient; what was learnt of the curvature is kept. */
  resume(value: number): void {
    this.evaluations++;
    this.state = 'searching';
    this.#settle(value);
  }

  #settle(value: number): void {
    this.#base.set(this.point);
    this.#baseGradient.set(this.gradient);
    this.#baseNatural.set(this.natural);
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
    if (this.#length < shortest) this.state = 'gave up';
    this.#place();
  }

  #remember(): void {
    const step = less(this.point, this.#base);
    const change = less(this.gradient, this.#baseGradient);
    const natural = this.natural === this.gradient ? change : less(this.natural, this.#baseNatural);
    const curvature = dot(step, change);
    // Convexity makes it positive; rounding at the very end may not.
    if (!(curvature > 0)) return;
    this.#pairs = [...this.#pairs.slice(1 - memory), { step, change, natural, curvature }];
  }

  #advance(): void {
    this.#aim();
    this.#slope = dot(this.#baseGradient, this.#direction);
    this.#length = 1;
    this.#place();
  }

  /** direction ← −H·gradient, by the two loops; the first runs on the gradient and on its natural form at once. */
  #aim(): void {
    const [q, p, pairs] = [this.#dual, this.#direction, this.#pairs];
    q.set(this.#baseGradient);
    p.set(this.#baseNatural);
    const shares = new Float64Array(pairs.length);
    for (let k = pairs.length - 1; k >= 0; k--) {
      const { step, change, natural, curvature } = pairs[k];
      shares[k] = dot(step, q) / curvature;
      axpy(-shares[k], change, q);
      axpy(-shares[k], natural, p);
    }
    const last = pairs.at(-1);
    const scale = last === undefined ? 1 : last.curvature / dot(last.change, last.natural);
    for (let i = 0; i < p.length; i++) p[i] *= scale;
    for (const [k, { step, change, curvature }] of pairs.entries()) {
      axpy(shares[k] - dot(change, p) / curvature, step, p);
    }
    for (let i = 0; i < p.length; i++) p[i] = -p[i];
  }

  #place(): void {
    if (this.evaluations >= this.#options.maxEvaluations) this.state = 'gave up';
    for (let i = 0; i < this.point.length; i++) {
      this.point[i] = this.#base[i] + this.#length * this.#direction[i];
    }
  }
}

/** What one step taught of the curvature. */
interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** The change of the natural gradient. */
  readonly natural: Float64Array;
  /** step · change */
  readonly curvature: number;
}

function less(a: Float64Array, b: Float64Array): Float64Array {
  const out = new Float64Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = a[i] - b[i];
  return out;
}

// Those of vectors.ts take any numbers, and a function that has met several kinds of array is several times as slow.

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function axpy(alpha: number, x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < y.length; i++) y[i] += alpha * x[i];
}
