/**
 * The directions along which pooled activations vary most, frozen so that other checkpoints can be
 * projected into the same plane.
 *
 * Columns are centred and not scaled: a residual stream has one unit in all dimensions. The components
 * come from the inner products of columns, or of rows where those are fewer, which is exact for the
 * leading components; the sign makes the loading of largest magnitude positive.
 */

import { PCA } from 'ml-pca';

import { UserError } from '../src/base/errors.ts';
import { invariant } from '../src/base/invariant.ts';
import { leadingEigen } from '../src/math/leading.ts';
import { columnGramSteps, here, rowGramSteps, type Steps } from '../src/math/multiply.ts';
import { firstNotFinite, rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, columnMeans, dot, norm } from '../src/math/vectors.ts';

export interface FrozenPca {
  /** `[d]`. */
  readonly mean: Float64Array;
  /** Orthonormal, the direction of largest variance first: `[k, d]`. */
  readonly components: Rows;
  /** Share of the total variance along each component, `[k]`, descending. */
  readonly explained: readonly number[];
  /** Variance (ddof 1) along each component, `[k]`. */
  readonly variances: readonly number[];
}

/**
 * Variance below this share of the largest is rounding: inner products of float32 activations carry
 * errors of about n·2⁻⁵³ in float64, 1e-12 with room to spare.
 */
const rankTolerance = 1e-12;

/** With so many times fewer components than rows and columns, only the leading ones are worked out. */
const fewToAll = 8;

/**
 * The first k principal components. Shape: `[n, d] → [k, d]`.
 *
 * @throws {UserError} `SHAPE_MISMATCH` when the rows do not vary along k directions, `NOT_FINITE`.
 * @see Jolliffe 2002, Principal Component Analysis, §3.5.
 */
export function fitPca(rows: Rows, k: number): FrozenPca {
  return here(fitPcaSteps(rows, k));
}

export interface PcaOptions {
  /** The fewest components that will do where rows vary along fewer than k directions; k if left out. */
  readonly least?: number;
}

/** As `fitPca`, asking for its large products. */
export function* fitPcaSteps(rows: Rows, k: number, options: PcaOptions = {}): Steps<FrozenPca> {
  checkFinite(rows);
  const mean = columnMeans(rows);
  return yield* principal(about(rows, mean), mean, k, options);
}

/**
 * Temporal PCA: components of the rows of each checkpoint about their own mean and of the shifts about 0,
 * stacked, so that the plane holds how rows vary and where they went: Σ_before + Σ_after + w² E[ΔΔᵀ].
 *
 * Components of pooled rows see a shift that all rows share as a quarter of its square only, beside the
 * variance of twice as many rows, and lose it easily. Shape: `[n, d], [n, d] → [k, d]`.
 *
 * @param weight w; if left out, what gives the shifts as much of the whole as the rows of both checkpoints.
 * @returns `explained` and `variances` are of the stacked rows; the origin is the mean of all rows.
 * @throws {UserError} as `fitPca`.
 * @see Patashnik, Lu, Bermano and Cohen-Or 2020, Comput. Vis. Media 6, for the aim; the objective is ours.
 */
export function fitTemporalPca(before: Rows, after: Rows, k: number, weight?: number): FrozenPca {
  return here(fitTemporalPcaSteps(before, after, k, { weight }));
}

/** As `fitTemporalPca`, asking for its large products. */
export function* fitTemporalPcaSteps(
  before: Rows,
  after: Rows,
  k: number,
  { weight, ...options }: PcaOptions & { readonly weight?: number | undefined } = {},
): Steps<FrozenPca> {
  invariant(before.n === after.n && before.d === after.d, 'a shift between unequal matrices');
  checkFinite(before);
  checkFinite(after);
  const { n, d } = before;
  const means = [columnMeans(before), columnMeans(after)];
  const data = new Float64Array(3 * n * d);
  data.set(about(before, means[0]).data);
  data.set(about(after, means[1]).data, n * d);
  const rows = data.subarray(0, 2 * n * d);
  const shifts = data.subarray(2 * n * d);
  for (let at = 0; at < n * d; at++) shifts[at] = after.data[at] - before.data[at];
  const moved = dot(shifts, shifts);
  const factor = weight ?? (moved > 0 ? Math.sqrt(dot(rows, rows) / moved) : 0);
  for (let at = 0; at < n * d; at++) shifts[at] *= factor;
  const origin = means[0].map((value, j) => (value + means[1][j]) / 2);
  return yield* principal({ n: 3 * n, d, data }, origin, k, options);
}

function checkFinite(rows: Rows): void {
  const bad = firstNotFinite(rows);
  if (bad === -1) return;
  throw new UserError('NOT_FINITE', `activation ${rows.data[bad]} cannot be projected`, {
    where: `row ${Math.floor(bad / rows.d)}, dimension ${bad % rows.d}`,
    fix: 'Check the checkpoint and the extraction of this row.',
  });
}

/** Components of rows about 0, which `mean` was taken from. */
function* principal(
  rows: Rows,
  mean: Float64Array,
  most: number,
  { least = most }: PcaOptions,
): Steps<FrozenPca> {
  invariant(Number.isInteger(most) && most > 0, `${most} principal components`);
  const total = dot(rows.data, rows.data);
  const isTall = rows.n >= rows.d;
  const gram = yield* isTall ? columnGramSteps(rows) : rowGramSteps(rows);
  const found = yield* leading(gram, most);
  // Of rows that are all alike, as one token's embeddings are, the mean leaves its rounding.
  const isConstant = total <= rankTolerance * rows.n * dot(mean, mean);
  const varying = found.values.filter((value) => value > rankTolerance * found.values[0]);
  const k = isConstant ? 0 : varying.length;
  if (k < least) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `${rows.n} rows that vary along ${k} directions have no ${least} principal components`,
      { fix: `Ask for ${Math.max(k, 1)} components, or give more and different rows.` },
    );
  }
  const values = found.values.slice(0, k);
  const components = new Float64Array(k * rows.d);
  found.axes.slice(0, k).forEach((axis, c) => {
    const component = isTall ? axis : combine(rows, axis);
    components.set(orient(component), c * rows.d);
  });
  return {
    mean,
    components: { n: k, d: rows.d, data: components },
    explained: values.map((value) => value / total),
    variances: values.map((value) => value / (rows.n - 1)),
  };
}

/**
 * Coordinates of rows in the plane of a frozen fit. Shape: `[n, d] → [n, k]`.
 *
 * @throws {UserError} `SHAPE_MISMATCH` when the rows have another width than the fit.
 */
export function project(pca: FrozenPca, rows: Rows): Rows {
  const { mean, components } = pca;
  if (rows.d !== mean.length) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `the components have ${mean.length} dimensions, the rows have ${rows.d}`,
      { fix: 'Project rows of checkpoints with the same width.' },
    );
  }
  const k = components.n;
  const data = new Float64Array(rows.n * k);
  const offsets = Float64Array.from({ length: k }, (_, c) => dot(rowAt(components, c), mean));
  for (let i = 0; i < rows.n; i++) {
    const row = rowAt(rows, i);
    for (let c = 0; c < k; c++) data[i * k + c] = dot(rowAt(components, c), row) - offsets[c];
  }
  return { n: rows.n, d: k, data };
}

function about(rows: Rows, mean: Float64Array): Rows {
  const data = Float64Array.from(rows.data);
  for (let i = 0, at = 0; i < rows.n; i++) {
    for (let j = 0; j < rows.d; j++, at++) data[at] -= mean[j];
  }
  return { n: rows.n, d: rows.d, data };
}

/** The k largest eigenvalues of a symmetric matrix, or all if it is smaller, with their unit eigenvectors. */
function* leading(
  square: Float64Array,
  k: number,
): Steps<{ readonly values: readonly number[]; readonly axes: readonly Float64Array[] }> {
  const n = Math.sqrt(square.length);
  if (n >= fewToAll * k) {
    const found = yield* leadingEigen(square, n, k);
    if (found !== null) {
      const axes = Array.from({ length: k }, (_, c) => found.vectors.slice(c * n, (c + 1) * n));
      return { values: [...found.values], axes };
    }
  }
  const matrix = Array.from({ length: n }, (_, i) => [...square.subarray(i * n, (i + 1) * n)]);
  const pca = new PCA(matrix, { isCovarianceMatrix: true });
  const vectors = pca.getEigenvectors();
  const kept = Math.min(k, n);
  return {
    values: pca.getEigenvalues().slice(0, kept),
    axes: Array.from({ length: kept }, (_, c) => Float64Array.from(vectors.getColumn(c))),
  };
}

/** Xᵀa at unit length: the component that belongs to an eigenvector of XXᵀ. */
function combine(x: Rows, a: Float64Array): Float64Array {
  const out = new Float64Array(x.d);
  for (let i = 0; i < x.n; i++) axpy(a[i], rowAt(x, i), out);
  const length = norm(out);
  return out.map((value) => value / length);
}

function orient(component: Float64Array): Float64Array {
  const largest = component.reduce((most, value) =>
    Math.abs(value) > Math.abs(most) ? value : most,
  );
  return largest < 0 ? component.map((value) => -value) : component;
}
