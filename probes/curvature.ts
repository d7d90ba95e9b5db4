/**
 * How sharply the logistic objective can bend, in each direction of the data.
 *
 * σ′ ≤ ¼ bounds the Hessian by I + (C/4)XᵀX whatever the labels and weights, so one
 * eigendecomposition of the training rows serves every fit on them: the true labels and all shuffles.
 * In the coordinates in which that bound is the identity, a plain step of length 1 always descends.
 *
 * @see Böhning and Lindsay 1988, Ann. Inst. Stat. Math. 40(4).
 */

import { symmetricEigen } from '../src/math/decompose.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, columnGram, dot, norm, rowGram } from '../src/math/vectors.ts';

export interface Curvature {
  /** Orthonormal directions that hold all variation of the training rows, `[r, d]`. */
  readonly directions: Rows;
  /** 1 / (1 + (C/4)λ) along each, `[r]`; across all of them it is 1. */
  readonly inverse: Float64Array;
  /** 4 / (Cn) for the intercept, or 0 where there is none. */
  readonly inverseIntercept: number;
}

/** Variation below this share of the largest is rounding of the inner products (n·2⁻⁵³ ≈ 1e-13). */
const rankTolerance = 1e-12;

/** The bound for training rows `[n, d]`, centred if there is an intercept. */
export function curvatureOf(x: Rows, c: number, intercept: boolean): Curvature {
  const { directions, variation } = axesOf(x);
  return {
    directions,
    inverse: variation.map((lambda) => 1 / (1 + (c / 4) * Math.max(lambda, 0))),
    inverseIntercept: intercept ? 4 / (c * x.n) : 0,
  };
}

/** The principal axes of rows as they stand: centre them first where the origin is not theirs. */
export interface Axes {
  /** Orthonormal, the axis of largest variation first: `[r, d]`. */
  readonly directions: Rows;
  /** Eigenvalues of XᵀX along them, `[r]`; with no fewer rows than columns some may be 0 but for rounding. */
  readonly variation: Float64Array;
}

/** XᵀX = Σ variation·directionᵀdirection, from whichever inner products are fewer. Shape: `[n, d] → [r, d]`. */
export function axesOf(x: Rows): Axes {
  return x.d <= x.n ? fromColumns(x) : fromRows(x);
}

/** The axes along which rows vary by more than rounding. */
export function varyingAxes(x: Rows): Axes {
  const { directions, variation } = axesOf(x);
  const rank = variation.filter((value) => value > rankTolerance * variation[0]).length;
  const data = directions.data.subarray(0, rank * directions.d);
  return { directions: { n: rank, d: directions.d, data }, variation: variation.slice(0, rank) };
}

function fromColumns(x: Rows): Axes {
  const { values, vectors } = symmetricEigen(columnGram(x), x.d);
  return { directions: { n: x.d, d: x.d, data: vectors }, variation: values };
}

/** With fewer rows than columns the n × n inner products hold the same variation at less cost. */
function fromRows(x: Rows): Axes {
  const { values, vectors } = symmetricEigen(rowGram(x), x.n);
  const rank = values.filter((value) => value > rankTolerance * values[0]).length;
  const data = new Float64Array(rank * x.d);
  for (let k = 0; k < rank; k++) {
    const direction = data.subarray(k * x.d, (k + 1) * x.d);
    for (let i = 0; i < x.n; i++) axpy(vectors[k * x.n + i], rowAt(x, i), direction);
    const length = norm(direction);
    for (let j = 0; j < x.d; j++) direction[j] /= length;
  }
  return { directions: { n: rank, d: x.d, data }, variation: values.slice(0, rank) };
}

/** gradient ← (bound)⁻¹ · gradient, in place. Shape: `[d]`, or `[d + 1]` with the intercept last. */
export function precondition(curvature: Curvature, gradient: Float64Array): void {
  const { directions, inverse, inverseIntercept } = curvature;
  const slope = gradient.subarray(0, directions.d);
  const shares = inverse.map((_, k) => dot(rowAt(directions, k), slope));
  for (let k = 0; k < inverse.length; k++) {
    axpy((inverse[k] - 1) * shares[k], rowAt(directions, k), slope);
  }
  if (gradient.length > directions.d) gradient[directions.d] *= inverseIntercept;
}

/**
 * Rows in the coordinates in which the bound is the identity, the intercept's column of ones last.
 * Shape: `[n, d] → [n, r]` or `[n, r + 1]`.
 */
export function whiten(curvature: Curvature, x: Rows): Rows {
  const { directions, inverse, inverseIntercept } = curvature;
  const r = inverse.length;
  const width = r + (inverseIntercept > 0 ? 1 : 0);
  const data = new Float64Array(x.n * width);
  const units = inverse.map(Math.sqrt);
  const axes = Array.from(inverse, (_, k) => rowAt(directions, k));
  for (let i = 0; i < x.n; i++) {
    const row = rowAt(x, i);
    const at = i * width;
    for (let k = 0; k < r; k++) data[at + k] = units[k] * dot(row, axes[k]);
    if (width > r) data[at + r] = Math.sqrt(inverseIntercept);
  }
  return { n: x.n, d: width, data };
}
