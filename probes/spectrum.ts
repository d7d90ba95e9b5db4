/**
 * How do rows vary: along few directions or many? And what is a direction worth beside that?
 *
 * The spectrum of a set of rows serves three ends: effective dimensions, whitening, and random
 * directions that look like the data.
 */

import type { Random } from '../src/base/random.ts';
import { invariant } from '../src/base/invariant.ts';
import { symmetricEigen } from '../src/math/decompose.ts';
import { here, rowGramSteps, type Steps } from '../src/math/multiply.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, centred, columnGram, dot, norm, rowGram, transposed } from '../src/math/vectors.ts';

export interface Spectrum {
  /** Orthonormal, largest variance first, `[r, d]`. */
  readonly axes: Rows;
  /** Variance (ddof 1) along each, `[r]`. */
  readonly variances: Float64Array;
  /** Share of the mean variance that is mixed in before inverting; see `ledoitWolf`. */
  readonly shrinkage: number;
}

/** Inner products of float32 rows carry rounding of about n·2⁻⁵³; below this share a variance is none. */
const rankTolerance = 1e-12;

/** Principal axes of rows about their mean. Shape: `[n, d] → [r, d]`, r ≤ min(n − 1, d). */
export function spectrumOf(rows: Rows): Spectrum {
  invariant(rows.n >= 2, `the spectrum of ${rows.n} rows`);
  const x = centred(rows);
  const isTall = x.n >= x.d;
  const { values, vectors } = symmetricEigen(
    isTall ? columnGram(x) : rowGram(x),
    isTall ? x.d : x.n,
  );
  const rank = values.filter((value) => value > rankTolerance * values[0]).length;
  const data = new Float64Array(rank * x.d);
  for (let k = 0; k < rank; k++) {
    const axis = data.subarray(k * x.d, (k + 1) * x.d);
    if (isTall) axis.set(vectors.subarray(k * x.d, (k + 1) * x.d));
    else {
      for (let i = 0; i < x.n; i++) axpy(vectors[k * x.n + i], rowAt(x, i), axis);
      const length = norm(axis);
      for (let j = 0; j < x.d; j++) axis[j] /= length;
    }
  }
  return {
    axes: { n: rank, d: x.d, data },
    variances: values.slice(0, rank).map((value) => value / (x.n - 1)),
    shrinkage: ledoitWolf(x, values),
  };
}

/**
 * (Σλ)² / Σλ²: how many directions of equal variance would spread as these do, in [1, r].
 *
 * Trap: its null is not d. Of n rows it is at most n − 1, and far less for d ≫ n.
 *
 * @see Gao et al. 2017, bioRxiv 214262.
 */
export function participationRatio(variances: ArrayLike<number>): number {
  let [sum, squares] = [0, 0];
  for (let k = 0; k < variances.length; k++) {
    sum += variances[k];
    squares += variances[k] ** 2;
  }
  return sum ** 2 / squares;
}

/** exp of the entropy of λ/Σλ, in [1, r]; counts small directions more than `participationRatio`. @see Roy and Vetterli 2007. */
export function effectiveRank(variances: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < variances.length; k++) sum += variances[k];
  let entropy = 0;
  for (let k = 0; k < variances.length; k++) {
    const share = variances[k] / sum;
    if (share > 0) entropy -= share * Math.log(share);
  }
  return Math.exp(entropy);
}

/**
 * a and b after the covariance has been divided out: aᵀΣ⁻¹b, Σ shrunk towards a ball of its mean
 * variance so that it can be inverted where d ≥ n.
 *
 * @see Ledoit and Wolf 2004, J. Multivar. Anal. 88.
 */
export function whitenedProduct(
  spectrum: Spectrum,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): number {
  const { axes, variances, shrinkage } = spectrum;
  const ball = (shrinkage * variances.reduce((sum, v) => sum + v, 0)) / axes.d;
  let inside = 0;
  let whitened = 0;
  for (let k = 0; k < axes.n; k++) {
    const product = dot(rowAt(axes, k), a) * dot(rowAt(axes, k), b);
    inside += product;
    whitened += product / ((1 - shrinkage) * variances[k] + ball);
  }
  const outside = dot(a, b) - inside;
  // Across directions in which nothing varied only the ball is left, if there is one.
  return axes.n < axes.d && ball > 0 ? whitened + outside / ball : whitened;
}

/**
 * Cosine of two directions in whitened space, in [−1, 1].
 *
 * Trap: whitening is a choice. Directions that differ along what hardly varies look alike before it and
 * apart after; report which one is meant.
 */
export function whitenedCosine(
  spectrum: Spectrum,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): number {
  const lengths = Math.sqrt(whitenedProduct(spectrum, a, a) * whitenedProduct(spectrum, b, b));
  return Math.max(-1, Math.min(1, whitenedProduct(spectrum, a, b) / lengths));
}

/** Σ^{1/2}ε: a random direction that varies where the data do. Shape: `[d]`. */
export function covarianceMatched({ axes, variances }: Spectrum, random: Random): Float64Array {
  const out = new Float64Array(axes.d);
  for (let k = 0; k < axes.n; k++)
    axpy(Math.sqrt(variances[k]) * random.normal(), rowAt(axes, k), out);
  return out;
}

/**
 * The share of a ball that makes the covariance estimate best in mean square, in [0, 1].
 *
 * @param x Centred, `[n, d]`.
 * @param eigenvalues Of XᵀX or XXᵀ.
 */
function ledoitWolf(x: Rows, eigenvalues: Float64Array): number {
  const { n, d } = x;
  let [trace, squares] = [0, 0];
  for (const value of eigenvalues) {
    trace += value / n;
    squares += (value / n) ** 2;
  }
  let fourth = 0;
  for (let i = 0; i < n; i++) fourth += dot(rowAt(x, i), rowAt(x, i)) ** 2;
  const spread = squares - trace ** 2 / d;
  const error = Math.max(0, fourth / n - squares) / n;
  return spread <= 0 ? 1 : Math.min(1, error / spread);
}

/**
 * `participationRatio` of rows about their mean, without finding axes; NaN for fewer than two rows, and where they
 * vary by no more than rounding. Shape: `[n, d]`.
 */
export function participationOf(rows: Rows): number {
  return here(participationSteps(rows));
}

/** As `participationOf`, asking for its large product. */
export function* participationSteps(rows: Rows): Steps<number> {
  const x = centred(rows);
  const gram = yield* rowGramSteps(x.n < x.d ? x : transposed(x));
  const size = Math.min(x.n, x.d);
  let trace = 0;
  for (let i = 0; i < size; i++) trace += gram[i * size + i];
  return trace > rankTolerance * dot(rows.data, rows.data)
    ? trace ** 2 / dot(gram, gram)
    : Number.NaN;
}
