/** The door to ml-matrix: factorisations that are better taken from a library than written again. */

import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

import { invariant } from '../base/invariant.ts';

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
