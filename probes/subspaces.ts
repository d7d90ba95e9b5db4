/**
 * Do two sets of directions span the same subspace?
 *
 * All measures here come from the principal angles. Small angles are found by their sines and large
 * ones by their cosines, since a cosine near 1 has lost half its digits.
 */

import { invariant } from '../src/base/invariant.ts';
import type { Random } from '../src/base/random.ts';
import { thinSvd } from '../src/math/decompose.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, dot, norm, timesTransposed } from '../src/math/vectors.ts';
import { covarianceMatched } from './spectrum.ts';
import type { Spectrum } from './spectrum.ts';

/**
 * Angles θ₁ ≤ … ≤ θ_min(k,l) between two subspaces, in radians, in [0, π/2].
 *
 *     cos θᵢ = σᵢ(UVᵀ),   sin θᵢ = σ of V − VUᵀU, used where cos² θ ≥ ½
 *
 * @param u Orthonormal, `[k, d]`.
 * @param v Orthonormal, `[l, d]`.
 * @see Björck and Golub 1973; Knyazev and Argentati 2002, SIAM J. Sci. Comput. 23.
 */
export function principalAngles(u: Rows, v: Rows): Float64Array {
  invariant(u.d === v.d, `subspaces of ${u.d} and ${v.d} dimensions`);
  const [large, small] = u.n >= v.n ? [u, v] : [v, u];
  const products = timesTransposed(small, large);
  const cosines = thinSvd(products).values;
  const residual = Float64Array.from(small.data);
  for (let i = 0; i < small.n; i++) {
    const row = residual.subarray(i * small.d, (i + 1) * small.d);
    for (let k = 0; k < large.n; k++) axpy(-products.data[i * large.n + k], rowAt(large, k), row);
  }
  const sines = thinSvd({ n: small.n, d: small.d, data: residual }).values.toSorted();
  return cosines.map((cosine, i) =>
    cosine ** 2 < 0.5 ? Math.acos(cosine) : Math.asin(Math.min(1, sines[i])),
  );
}

export interface SubspaceDistances {
  /** Mean cos² θ, in [0, 1]; its chance level is `chanceOverlap`, not 0. */
  readonly overlap: number;
  /** √Σθ². */
  readonly geodesic: number;
  /** √Σsin²θ. */
  readonly chordal: number;
  /** ‖P − Q‖_F of the projections; √2 · chordal where both have the same dimension. */
  readonly projection: number;
  /** acos Πcos θ. */
  readonly fubiniStudy: number;
}

/** @see Edelman, Arias and Smith 1998, SIAM J. Matrix Anal. Appl. 20, §4.3. */
export function subspaceDistances(angles: ArrayLike<number>): SubspaceDistances {
  let [cosines, squares, sines, product] = [0, 0, 0, 1];
  for (let i = 0; i < angles.length; i++) {
    cosines += Math.cos(angles[i]) ** 2;
    squares += angles[i] ** 2;
    sines += Math.sin(angles[i]) ** 2;
    product *= Math.cos(angles[i]);
  }
  return {
    overlap: cosines / angles.length,
    geodesic: Math.sqrt(squares),
    chordal: Math.sqrt(sines),
    projection: Math.sqrt(2 * sines),
    fubiniStudy: Math.acos(Math.min(1, product)),
  };
}

/**
 * Mean overlap of a fixed subspace with isotropic random ones: max(k, l)/d.
 *
 * Trap: data are not isotropic. Subspaces of one network's variance share far more by chance; put the
 * effective dimension for d, or draw `matchedOverlaps`.
 */
export function chanceOverlap(k: number, l: number, d: number): number {
  return Math.min(1, Math.max(k, l) / d);
}

/** Overlaps of `u` with random subspaces that vary where the data do, ascending. Shape: `[draws]`. */
export function matchedOverlaps(
  u: Rows,
  k: number,
  spectrum: Spectrum,
  draws: number,
  random: Random,
): Float64Array {
  return Float64Array.from({ length: draws }, () => {
    const drawn: Float64Array[] = [];
    for (let i = 0; i < k; i++) drawn.push(orthogonal(covarianceMatched(spectrum, random), drawn));
    // Σcos²θ of principal angles is the sum of all squared products of two orthonormal bases.
    let sum = 0;
    for (let i = 0; i < u.n; i++) for (const axis of drawn) sum += dot(rowAt(u, i), axis) ** 2;
    return sum / Math.min(k, u.n);
  }).sort();
}

/** The part of `v` across `basis`, at unit length; twice, since once leaves what rounding left. */
function orthogonal(v: Float64Array, basis: readonly Float64Array[]): Float64Array {
  for (let pass = 0; pass < 2; pass++) for (const axis of basis) axpy(-dot(axis, v), axis, v);
  const length = norm(v);
  return v.map((value) => value / length);
}
