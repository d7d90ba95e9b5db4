/**
 * Taking a concept out of activations: LEACE in closed form, and INLP by repeated fitting.
 *
 * LEACE is the least change (in the metric of the data's own covariance) after which no linear predictor
 * of z does better than a constant:
 *
 *     x' = x − W⁺ U Uᵀ W (x − μ),   W = Σ^{−½}, U an orthonormal basis of W Σxz
 *
 * Its null is an erasure of the same rank for a label without meaning. The trap of both: what is erased is
 * linear, on the rows that were seen; a later layer may still compute the concept from what is left, and
 * behaviour that survives says nothing without the random erasure beside it.
 *
 * Held against the closed form for binary z in numpy: equal class means afterwards, and the projection itself
 * (tests/probes/erasure.test.ts).
 *
 * @see Belrose et al. 2023, LEACE, arXiv:2306.03819, theorem 4.2; Ravfogel et al. 2020, INLP, arXiv:2004.07667.
 */

import { UserError } from '../src/base/errors.ts';
import { symmetricEigen } from '../src/math/decompose.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, dot, norm } from '../src/math/vectors.ts';
import { fit } from './crossFit.ts';
import type { EstimatorOptions } from './crossFit.ts';

/** x' = x − out · (into · (x − mean)). */
export interface Eraser {
  readonly mean: Float64Array;
  /** `[k, d]`: what is read. */
  readonly into: Rows;
  /** `[k, d]`: along which it is taken out. */
  readonly out: Rows;
}

/** The erased rows, in float64. Shape: `[n, d] → [n, d]`. */
export function erase({ mean, into, out }: Eraser, rows: Rows): Rows {
  if (rows.d !== mean.length) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `the eraser takes ${mean.length} dimensions, the rows have ${rows.d}`,
      { fix: 'Erase from rows of the site that it was fitted on.' },
    );
  }
  const data = Float64Array.from(rows.data);
  const offsets = Array.from({ length: into.n }, (_, k) => dot(rowAt(into, k), mean));
  for (let i = 0; i < rows.n; i++) {
    const source = rowAt(rows, i);
    const row = data.subarray(i * rows.d, (i + 1) * rows.d);
    for (let k = 0; k < into.n; k++) {
      axpy(offsets[k] - dot(rowAt(into, k), source), rowAt(out, k), row);
    }
  }
  return { n: rows.n, d: rows.d, data };
}

/** Directions of variance below this share of the largest count as none: rounding of the inner products. */
const rankTolerance = 1e-12;

/** Gathers what LEACE needs, block after block, so that the rows need never be in memory together. */
export class LeaceFitter {
  readonly #d: number;
  readonly #k: number;
  #n = 0;
  readonly #mean: Float64Array;
  readonly #concept: Float64Array;
  readonly #xx: Float64Array;
  readonly #xz: Float64Array;

  /** For rows of width d and concepts of width k (1 for a binary label). */
  constructor(d: number, k: number = 1) {
    this.#d = d;
    this.#k = k;
    this.#mean = new Float64Array(d);
    this.#concept = new Float64Array(k);
    this.#xx = new Float64Array(d * d);
    this.#xz = new Float64Array(d * k);
  }

  /**
   * Adds rows with their concepts, in any order and division into blocks.
   *
   * @param rows `[n, d]`.
   * @param concepts `[n, k]`, row-major; labels 0 and 1 for k = 1.
   * @see Chan, Golub and LeVeque 1983 for the one-pass update.
   */
  add(rows: Rows, concepts: ArrayLike<number>): this {
    if (rows.d !== this.#d || concepts.length !== rows.n * this.#k) {
      throw new UserError(
        'SHAPE_MISMATCH',
        `${rows.n} × ${rows.d} rows with ${concepts.length} concepts, where ${this.#d} columns and ${this.#k} a row are wanted`,
        { fix: 'Give the same columns in each block.' },
      );
    }
    const delta = new Float64Array(this.#d);
    for (let i = 0; i < rows.n; i++) {
      const row = rowAt(rows, i);
      this.#n++;
      for (let j = 0; j < this.#d; j++) delta[j] = row[j] - this.#mean[j];
      const weight = (this.#n - 1) / this.#n;
      for (let c = 0; c < this.#k; c++) {
        const gap = concepts[i * this.#k + c] - this.#concept[c];
        axpy(weight * gap, delta, this.#xz.subarray(c * this.#d, (c + 1) * this.#d));
        this.#concept[c] += gap / this.#n;
      }
      for (let j = 0; j < this.#d; j++) {
        axpy(weight * delta[j], delta, this.#xx.subarray(j * this.#d, (j + 1) * this.#d));
      }
      axpy(1 / this.#n, delta, this.#mean);
    }
    return this;
  }

  /** @throws {UserError} `LABELS_INVALID` where the concept does not go with the rows at all, or fewer than 2 rows were given. */
  fit(): Eraser {
    const { values, vectors } = symmetricEigen(this.#xx, this.#d);
    const rank = values.filter((value) => value > rankTolerance * values[0]).length;
    const axis = (a: number): Float64Array => vectors.subarray(a * this.#d, (a + 1) * this.#d);
    // In whitened coordinates, one for each axis that varies.
    const basis: Float64Array[] = [];
    for (let c = 0; c < this.#k; c++) {
      const cross = this.#xz.subarray(c * this.#d, (c + 1) * this.#d);
      const seen = Float64Array.from(
        { length: rank },
        (_, a) => dot(axis(a), cross) / Math.sqrt(values[a]),
      );
      addOrthonormal(basis, seen);
    }
    if (basis.length === 0) {
      throw new UserError('LABELS_INVALID', 'the concept does not vary with the rows', {
        fix: 'Give rows of both labels.',
      });
    }
    const unwhitened = (power: number): Rows => {
      const data = new Float64Array(basis.length * this.#d);
      basis.forEach((u, k) => {
        const to = data.subarray(k * this.#d, (k + 1) * this.#d);
        for (let a = 0; a < rank; a++) axpy(u[a] * values[a] ** power, axis(a), to);
      });
      return { n: basis.length, d: this.#d, data };
    };
    return { mean: this.#mean.slice(), into: unwhitened(-0.5), out: unwhitened(0.5) };
  }
}

/** LEACE of a binary label from rows in memory, `[n, d]`. */
export function fitLeace(rows: Rows, labels: ArrayLike<number>): Eraser {
  return new LeaceFitter(rows.d).add(rows, labels).fit();
}

export interface InlpOptions extends EstimatorOptions {
  /** How many directions to take out at most. */
  readonly rounds: number;
}

/**
 * Iterated null-space projection: fit, take the direction out, fit again.
 *
 * The directions are made orthonormal as they come, so that the whole is one orthogonal projection (P² = P)
 * onto the intersection of their null spaces.
 */
export function fitInlp(rows: Rows, labels: ArrayLike<number>, options: InlpOptions): Eraser {
  const basis: Float64Array[] = [];
  const mean = new Float64Array(rows.d);
  const eraser = (): Eraser => {
    const data = new Float64Array(basis.length * rows.d);
    basis.forEach((direction, k) => data.set(direction, k * rows.d));
    const span = { n: basis.length, d: rows.d, data };
    return { mean, into: span, out: span };
  };
  for (let round = 0; round < Math.min(options.rounds, rows.d); round++) {
    const { coef, scale } = fit(erase(eraser(), rows), labels, options);
    const direction = scale === undefined ? coef : coef.map((value, j) => value / scale[j]);
    if (!addOrthonormal(basis, direction)) break;
  }
  return eraser();
}

/** Adds the part of v that the basis lacks, at unit length; false where nothing but rounding is left. */
function addOrthonormal(basis: Float64Array[], v: Float64Array): boolean {
  const rest = Float64Array.from(v);
  const before = norm(rest);
  // Twice is enough (Giraud and others 2005): once leaves rounding along the basis.
  for (let pass = 0; pass < 2; pass++) {
    for (const direction of basis) axpy(-dot(direction, rest), direction, rest);
  }
  const length = norm(rest);
  if (!(length > 1e-10 * before)) return false;
  basis.push(rest.map((value) => value / length));
  return true;
}
