/**
 * Do two checkpoints see the same rows in the same arrangement, whatever the axes?
 *
 * Checkpoints of one training share axes, so compare them unaligned first (shifts, cosines). These
 * measures answer a weaker question: the same geometry up to rotation, scale or any linear map.
 */

import { UserError } from '../src/base/errors.ts';
import { symmetricEigen, thinSvd } from '../src/math/decompose.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { centred, dot, norm, rowGram, timesTransposed, transposed } from '../src/math/vectors.ts';

/**
 * The same rows in as few columns as hold them: all inner products of rows stay. Shape: `[n, d] → [n, ≤ min(n, d)]`.
 *
 * What is invariant to rotation may be computed on it; where d ≫ n that is the only cheap way.
 */
export function compressed(x: Rows): Rows {
  if (x.d <= x.n) return x;
  const { values, vectors } = symmetricEigen(rowGram(x), x.n);
  const rank = values.filter((value) => value > 1e-12 * values[0]).length;
  const data = new Float64Array(x.n * rank);
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < x.n; i++) data[i * rank + k] = vectors[k * x.n + i] * Math.sqrt(values[k]);
  }
  return { n: x.n, d: rank, data };
}

/**
 * Linear CKA: ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖), centred, in [0, 1].
 *
 * Null: not 0. Random rows with d ≥ n give .8 and more; use `ckaDebiased`. Trap: a few outlying rows or
 * the largest component decide it.
 *
 * @see Kornblith et al. 2019, arXiv:1905.00414; Davari et al. 2022, arXiv:2210.16156.
 */
export function cka(x: Rows, y: Rows): number {
  const [a, b] = [transposed(centred(x)), transposed(centred(y))];
  const size = (p: Rows, q: Rows): number => norm(timesTransposed(p, q).data);
  return size(a, b) ** 2 / (size(a, a) * size(b, b));
}

/**
 * CKA from the unbiased HSIC₁, with mean 0 for unrelated rows; at most 1, and may be negative.
 *
 * Trap: n ≥ 4; unbiased over rows, not over which columns (neurons) were sampled.
 *
 * @see Song et al. 2012, J. Mach. Learn. Res. 13; Nguyen et al. 2020, arXiv:2010.15327.
 */
export function ckaDebiased(x: Rows, y: Rows): number {
  needRows(x.n, 4, 'debiased CKA');
  const [k, l] = [hollow(x), hollow(y)];
  return hsic(k, l, x.n) / Math.sqrt(hsic(k, k, x.n) * hsic(l, l, x.n));
}

/**
 * Inner products of rows, with 0 on the diagonal. HSIC₁ does not depend on the origin, but about a far one, as
 * channels with massive activations have, its terms are large and nearly equal.
 */
function hollow(x: Rows): Float64Array {
  const gram = rowGram(centred(x));
  for (let i = 0; i < x.n; i++) gram[i * x.n + i] = 0;
  return gram;
}

function hsic(k: Float64Array, l: Float64Array, n: number): number {
  const sums = (m: Float64Array): Float64Array =>
    Float64Array.from({ length: n }, (_, i) =>
      m.subarray(i * n, (i + 1) * n).reduce((sum, value) => sum + value, 0),
    );
  const [a, b] = [sums(k), sums(l)];
  const total = (s: Float64Array): number => s.reduce((sum, value) => sum + value, 0);
  const all = (total(a) * total(b)) / ((n - 1) * (n - 2));
  return (dot(k, l) + all - (2 / (n - 2)) * dot(a, b)) / (n * (n - 3));
}

export interface CanonicalCorrelations {
  /** Largest first. */
  readonly correlations: Float64Array;
  readonly mean: number;
  /** Mean weighted by how much of x each canonical direction carries (PWCCA); not symmetric. */
  readonly weighted: number;
}

/** The columns of a matrix about their means, as UΣ with orthonormal U: found once, used by all that follows. */
export interface Factored {
  readonly n: number;
  /** Orthonormal, as rows: `[r, n]`. */
  readonly basis: Rows;
  /** Largest first, `[r]`. */
  readonly values: Float64Array;
  /** The centred columns as rows, `[d, n]`. */
  readonly columns: Rows;
}

/** Shape: `[n, d]`. */
export function factored(x: Rows): Factored {
  const c = centred(x);
  const { left, values } = thinSvd(c);
  const rank = values.filter((value) => value > 1e-10 * values[0]).length;
  return { n: x.n, ...leadingOf(left, values, rank), columns: transposed(c) };
}

function leadingOf(
  left: Rows,
  values: Float64Array,
  k: number,
): Pick<Factored, 'basis' | 'values'> {
  return {
    basis: { n: k, d: left.d, data: left.data.subarray(0, k * left.d) },
    values: values.subarray(0, k),
  };
}

/**
 * Canonical correlations of two sets of columns over the same rows.
 *
 * Null: not 0. k columns of noise correlate at about √(k/n); with k ≥ n − 1 all are 1, which is refused.
 *
 * @see Hotelling 1936; Morcos, Raghu and Bengio 2018, arXiv:1806.05759 (weights).
 */
export function canonicalCorrelations(a: Factored, b: Factored): CanonicalCorrelations {
  if (Math.max(a.basis.n, b.basis.n) >= a.n - 1) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `${a.n} rows cannot tell ${Math.max(a.basis.n, b.basis.n)} columns apart: all canonical correlations are 1`,
      { fix: 'Give more rows, or compare leading components (SVCCA).' },
    );
  }
  const { left, values } = thinSvd(timesTransposed(a.basis, b.basis));
  const directions = timesTransposed(left, transposed(a.basis));
  let [sum, weights] = [0, 0];
  values.forEach((value, i) => {
    let weight = 0;
    for (let j = 0; j < a.columns.n; j++) {
      weight += Math.abs(dot(rowAt(directions, i), rowAt(a.columns, j)));
    }
    sum += weight * value;
    weights += weight;
  });
  // Rounding may carry a correlation a few parts in 10¹⁶ above 1.
  const correlations = values.map((value) => Math.min(1, value));
  const mean = correlations.reduce((total, value) => total + value, 0) / correlations.length;
  return { correlations, mean, weighted: sum / weights };
}

/**
 * SVCCA: canonical correlations of the components that hold `share` of each side's variance.
 *
 * @see Raghu et al. 2017, arXiv:1706.05806, with 99 %.
 */
export function svcca(a: Factored, b: Factored, share: number = 0.99): CanonicalCorrelations {
  return canonicalCorrelations(components(a, share), components(b, share));
}

/** The leading components as columns of their own, already orthogonal. */
function components({ n, basis, values }: Factored, share: number): Factored {
  const total = values.reduce((sum, value) => sum + value ** 2, 0);
  let kept = 0;
  for (let held = 0; kept < values.length && held < share * total; kept++)
    held += values[kept] ** 2;
  const leading = leadingOf(basis, values, kept);
  const columns = Float64Array.from(
    leading.basis.data,
    (v, at) => v * values[Math.floor(at / basis.d)],
  );
  return { n, ...leading, columns: { n: kept, d: basis.d, data: columns } };
}

/**
 * Procrustes: what is left of the difference after the best rotation and scaling, both sides centred
 * and of length 1: 1 − ‖AᵀB‖_*², in [0, 1].
 *
 * @returns `nuclear` is ‖AᵀB‖_* of the centred rows themselves: the squared distance without scaling is
 *   ‖A‖² + ‖B‖² − 2 · nuclear.
 * @see Schönemann 1966; Ding, Denain and Steinhardt 2021, arXiv:2108.01661.
 */
export function procrustes(
  x: Rows,
  y: Rows,
): { readonly disparity: number; readonly nuclear: number } {
  const [a, b] = [centred(x), centred(y)];
  const nuclear = thinSvd(timesTransposed(transposed(a), transposed(b))).values.reduce(
    (sum, value) => sum + value,
    0,
  );
  return { disparity: 1 - (nuclear / (norm(a.data) * norm(b.data))) ** 2, nuclear };
}

/**
 * Representational similarity: do the same pairs of rows lie far apart in both? Correlation over pairs
 * of 1 − Pearson, by rank and as it is.
 *
 * Trap: pairs share rows, so its spread is not that of n(n−1)/2 values; it is not invariant to rotation.
 *
 * @see Kriegeskorte, Mur and Bandettini 2008, Front. Syst. Neurosci. 2.
 */
export function rsa(x: Rows, y: Rows): { readonly spearman: number; readonly pearson: number } {
  const [a, b] = [dissimilarities(x), dissimilarities(y)];
  return { spearman: pearson(ranks(a), ranks(b)), pearson: pearson(a, b) };
}

function dissimilarities(x: Rows): Float64Array {
  const rows = transposed(centred(transposed(x)));
  const gram = rowGram(rows);
  const out = new Float64Array((x.n * (x.n - 1)) / 2);
  for (let i = 0, at = 0; i < x.n; i++) {
    for (let j = i + 1; j < x.n; j++, at++) {
      out[at] = 1 - gram[i * x.n + j] / Math.sqrt(gram[i * x.n + i] * gram[j * x.n + j]);
    }
  }
  return out;
}

/** Ranks from 1, ties sharing their mean. */
function ranks(values: Float64Array): Float64Array {
  // Sorting numbers and looking each one up is many times faster than sorting places by a comparison.
  const ascending = values.slice().sort();
  const n = ascending.length;
  const rankAt = new Float64Array(n);
  for (let start = 0; start < n;) {
    let end = start + 1;
    while (end < n && ascending[end] === ascending[start]) end++;
    rankAt.fill((start + end + 1) / 2, start, end);
    start = end;
  }
  const out = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let [low, high] = [0, n - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ascending[middle] < values[i]) low = middle + 1;
      else high = middle;
    }
    out[i] = rankAt[low];
  }
  return out;
}

function pearson(a: Float64Array, b: Float64Array): number {
  const about = (v: Float64Array): Float64Array => {
    const mean = v.reduce((sum, value) => sum + value, 0) / v.length;
    return v.map((value) => value - mean);
  };
  const [p, q] = [about(a), about(b)];
  return dot(p, q) / (norm(p) * norm(q));
}

function needRows(n: number, least: number, what: string): void {
  if (n >= least) return;
  throw new UserError('SHAPE_MISMATCH', `${what} needs ${least} rows, not ${n}`, {
    fix: 'Choose a condition that more rows meet.',
  });
}
