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

/** Inner products of rows, with 0 on the diagonal. */
function hollow(x: Rows): Float64Array {
  const gram = rowGram(x);
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

/**
 * Canonical correlations of two sets of columns over the same rows.
 *
 * Null: not 0. k columns of noise correlate at about √(k/n); with k ≥ n − 1 all are 1, which is refused.
 *
 * @see Hotelling 1936; Morcos, Raghu and Bengio 2018, arXiv:1806.05759 (weights).
 */
export function canonicalCorrelations(x: Rows, y: Rows): CanonicalCorrelations {
  const [a, b] = [basisOf(x), basisOf(y)];
  if (Math.max(a.basis.n, b.basis.n) >= x.n - 1) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `${x.n} rows cannot tell ${Math.max(a.basis.n, b.basis.n)} columns apart: all canonical correlations are 1`,
      { fix: 'Give more rows, or compare leading components (SVCCA).' },
    );
  }
  const { left, values } = thinSvd(timesTransposed(a.basis, b.basis));
  const directions = timesTransposed(left, transposed(a.basis));
  const columns = transposed(a.centred);
  let [sum, weights] = [0, 0];
  values.forEach((value, i) => {
    let weight = 0;
    for (let j = 0; j < columns.n; j++) {
      weight += Math.abs(dot(rowAt(directions, i), rowAt(columns, j)));
    }
    sum += weight * value;
    weights += weight;
  });
  // Rounding may carry a correlation a few parts in 10¹⁶ above 1.
  const correlations = values.map((value) => Math.min(1, value));
  const mean = correlations.reduce((total, value) => total + value, 0) / correlations.length;
  return { correlations, mean, weighted: sum / weights };
}

/** Orthonormal basis of the centred columns, as rows: `[r, n]`. */
function basisOf(x: Rows): { readonly basis: Rows; readonly centred: Rows } {
  const c = centred(x);
  const { left, values } = thinSvd(c);
  const rank = values.filter((value) => value > 1e-10 * values[0]).length;
  return { basis: { n: rank, d: x.n, data: left.data.subarray(0, rank * x.n) }, centred: c };
}

/**
 * SVCCA: canonical correlations of the components that hold `share` of each side's variance.
 *
 * @see Raghu et al. 2017, arXiv:1706.05806, with 99 %.
 */
export function svcca(x: Rows, y: Rows, share: number = 0.99): CanonicalCorrelations {
  return canonicalCorrelations(leadingScores(x, share), leadingScores(y, share));
}

function leadingScores(x: Rows, share: number): Rows {
  const { left, values } = thinSvd(centred(x));
  const total = values.reduce((sum, value) => sum + value ** 2, 0);
  let kept = 0;
  for (let held = 0; kept < values.length && held < share * total; kept++)
    held += values[kept] ** 2;
  const data = new Float64Array(x.n * kept);
  for (let k = 0; k < kept; k++) {
    for (let i = 0; i < x.n; i++) data[i * kept + k] = left.data[k * x.n + i] * values[k];
  }
  return { n: x.n, d: kept, data };
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
  const order = Int32Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b]);
  const out = new Float64Array(values.length);
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let i = start; i < end; i++) out[order[i]] = (start + end + 1) / 2;
    start = end;
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
