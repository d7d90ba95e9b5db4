/** The door to ml-matrix: factorisations that are better taken from a library than written again. */

import { EigenvalueDecomposition, Matrix, SingularValueDecomposition } from 'ml-matrix';

import { invariant } from '../base/invariant.ts';
import type { Rows } from './rows.ts';

export interface SymmetricEigen {
  /** Largest first, `[n]`. */
  readonly values: Float64Array;
  /** Row k is the unit eigenvector that belongs to `values[k]`: `[n, n]`. */
  readonly vectors: Float64Array;
}

/** A = Σ λₖ vₖvₖᵀ of a symmetric matrix. Shape: `[n, n]`. */
export function symmetricEigen(a: Float64Array, n: number): SymmetricEigen {
  invariant(a.length === n * n, `${a.length} numbers for a matrix of ${n} × ${n}`);
  const found = new EigenvalueDecomposition(Matrix.from1DArray(n, n, a), { assumeSymmetric: true });
  const ascending = found.realEigenvalues;
  const columns = found.eigenvectorMatrix;
  const vectors = new Float64Array(n * n);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < n; i++) vectors[k * n + i] = columns.get(i, n - 1 - k);
  }
  return { values: Float64Array.from(ascending).toReversed(), vectors };
}

export interface ThinSvd {
  /** Orthonormal columns as rows, `[r, n]`. */
  readonly left: Rows;
  /** Largest first, `[r]`. */
  readonly values: Float64Array;
  /** Orthonormal, `[r, d]`. */
  readonly right: Rows;
}

/** A = Σ σₖ uₖvₖᵀ, r = min(n, d). Shape: `[n, d]`. */
export function thinSvd(a: Rows): ThinSvd {
  const matrix = Matrix.from1DArray(a.n, a.d, a.data);
  const found = new SingularValueDecomposition(matrix, { autoTranspose: true });
  const r = Math.min(a.n, a.d);
  return {
    left: firstColumns(found.leftSingularVectors, r),
    values: Float64Array.from(found.diagonal.slice(0, r)),
    right: firstColumns(found.rightSingularVectors, r),
  };
}

function firstColumns(matrix: Matrix, r: number): Rows {
  const d = matrix.rows;
  const data = new Float64Array(r * d);
  for (let k = 0; k < r; k++) for (let i = 0; i < d; i++) data[k * d + i] = matrix.get(i, k);
  return { n: r, d, data };
}
