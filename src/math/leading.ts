/**
 * The few largest eigenvalues of a positive semidefinite matrix, to rounding: subspace iteration with a
 * Chebyshev polynomial, which grows steeply above an interval that holds all that is not wanted.
 *
 * @see Zhou, Saad, Tiago and Chelikowsky 2006, J. Comput. Phys. 219(1).
 */

import { Random } from '../base/random.ts';
import { symmetricEigen, type SymmetricEigen } from './decompose.ts';
import { times, type Steps } from './multiply.ts';
import { rowAt, type Rows } from './rows.ts';
import { axpy, dot, norm, timesTransposed, transposed } from './vectors.ts';

/** Directions beyond those wanted: the wanted ones grow faster for each. */
const spare = 8;
const degree = 10;
const mostRounds = 40;
/** Of the largest eigenvalue: what the sums of a matrix of some thousand rows leave of a residual. */
const tolerance = 1e-13;

/**
 * The k largest eigenvalues with unit eigenvectors as rows, or null where they lie so close to the next that
 * the whole decomposition is the shorter way.
 *
 * @param square Symmetric, no eigenvalue below 0 but for rounding, `[n, n]`.
 */
export function* leadingEigen(
  square: Float64Array,
  n: number,
  k: number,
): Steps<SymmetricEigen | null> {
  const a = { n, d: n, data: square };
  const width = Math.min(n, k + spare);
  const random = new Random(0);
  let basis: Rows = {
    n: width,
    d: n,
    data: Float64Array.from({ length: width * n }, () => random.normal()),
  };
  for (let round = 0; round < mostRounds; round++) {
    basis = orthonormal(basis);
    const image = transposed(yield* times(a, transposed(basis)));
    const { values, vectors } = symmetricEigen(symmetric(timesTransposed(basis, image)), width);
    const turn = { n: width, d: width, data: vectors };
    basis = timesTransposed(turn, transposed(basis));
    const turned = timesTransposed(turn, transposed(image));
    if (largestResidual(basis, turned, values, k) <= tolerance * values[0]) {
      return {
        values: values.slice(0, k),
        vectors: Float64Array.from(basis.data.subarray(0, k * n)),
      };
    }
    // With a rank below the width the last value is rounding.
    const cut = Math.max(values[width - 1], tolerance * values[0]);
    basis = yield* filtered(a, basis, turned, cut, values[0]);
  }
  return null;
}

/** ‖Av − λv‖, the largest of the wanted. */
function largestResidual(basis: Rows, image: Rows, values: Float64Array, k: number): number {
  let most = 0;
  for (let c = 0; c < k; c++) {
    const residual = Float64Array.from(rowAt(image, c));
    axpy(-values[c], rowAt(basis, c), residual);
    most = Math.max(most, norm(residual));
  }
  return most;
}

/** p(A)V, p the Chebyshev polynomial of [0, cut], scaled to 1 at the largest eigenvalue. */
function* filtered(a: Rows, basis: Rows, image: Rows, cut: number, largest: number): Steps<Rows> {
  const half = cut / 2;
  let sigma = half / (largest - half);
  const first = sigma;
  let [before, now] = [basis, mixed(image, basis, first / half, -first)];
  for (let step = 2; step <= degree; step++) {
    const next = 1 / (2 / first - sigma);
    const product = transposed(yield* times(a, transposed(now)));
    const risen = mixed(product, now, (2 * next) / half, -2 * next);
    [before, now] = [now, mixed(risen, before, 1, -sigma * next)];
    sigma = next;
  }
  return now;
}

/** αX + βY */
function mixed(x: Rows, y: Rows, alpha: number, beta: number): Rows {
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = alpha * x.data[i] + beta * y.data[i];
  return { n: x.n, d: x.d, data };
}

/** Orthonormal rows of the same span, made twice over, for the first time leaves what rounding brings in. */
function orthonormal({ n, d, data }: Rows): Rows {
  const out = Float64Array.from(data);
  const rows = Array.from({ length: n }, (_, i) => out.subarray(i * d, (i + 1) * d));
  for (const [i, row] of rows.entries()) {
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) axpy(-dot(rows[j], row), rows[j], row);
    }
    const length = norm(row);
    if (length > 0) for (let c = 0; c < d; c++) row[c] /= length;
  }
  return { n, d, data: out };
}

/** Rounding makes VᵀAV a little less than symmetric. */
function symmetric({ n, data }: Rows): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) out[i * n + j] = (data[i * n + j] + data[j * n + i]) / 2;
  }
  return out;
}
