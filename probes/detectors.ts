/**
 * Which rows look poisoned, when nobody has labelled any? Scores without labels; higher is stranger.
 *
 *     Mahalanobis            (x − μ)ᵀΣ⁻¹(x − μ), Σ and μ of clean rows; relative: less the same of a background
 *     spectral signature     ⟨x − x̄, v₁⟩², v₁ the first principal direction of the suspects
 *     quantum entropy (QUE)  zᵀMz, M = exp(α(Σ′ − I)/(‖Σ′‖₂ − 1)) / trace, z whitened by clean rows, Σ′ its covariance
 *
 * The null of all of them is the same score on rows known to be clean. The trap of all of them: they find
 * what is unusual, and a backdoor need not be; and none of these numbers holds against somebody who
 * trained the model to evade them.
 *
 * Held against numpy and scipy (tests/probes/erasure.test.ts).
 *
 * @see Lee et al. 2018, arXiv:1807.03888 (Mahalanobis); Ren et al. 2021, arXiv:2106.09022 (relative).
 * @see Tran, Li and Madry 2018, arXiv:1811.00636 (spectral signatures).
 * @see Hayase et al. 2021, SPECTRE, arXiv:2104.11315 (QUE).
 */

import { UserError } from '../src/base/errors.ts';
import { symmetricEigen } from '../src/math/decompose.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { columnGram, columnMeans, dot } from '../src/math/vectors.ts';
import { axesOf } from './curvature.ts';
import { less } from './ridge.ts';
import { shrunkCovariance } from './shrinkage.ts';
import type { Shrinkage } from './shrinkage.ts';

/** Where clean rows lie: their mean, and axes scaled to unit variance. */
export interface Reference {
  readonly mean: Float64Array;
  /** A row k reads the k-th whitened coordinate: `[d, d]`. */
  readonly whitening: Rows;
}

/** `diagonal` takes channels as independent; the others use the whole covariance, shrunk or not. */
export type CovarianceKind = Shrinkage | 'diagonal';

/**
 * The reference that clean rows `[n, d]` give (ddof 1 without shrinkage, as its rules have it with).
 *
 * @throws {UserError} `SHAPE_MISMATCH` where the covariance has no inverse.
 */
export function referenceOf(clean: Rows, kind: CovarianceKind): Reference {
  const { covariance, mean } = shrunkCovariance(clean, kind === 'diagonal' ? 'none' : kind);
  const unbiased = kind === 'none' || kind === 'diagonal' ? clean.n / (clean.n - 1) : 1;
  const { d } = clean;
  const sigma = covariance.map((value, at) =>
    kind === 'diagonal' && at % (d + 1) !== 0 ? 0 : value * unbiased,
  );
  const { values, vectors } = symmetricEigen(sigma, d);
  if (!(values[d - 1] > 1e-12 * values[0])) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `the covariance of ${clean.n} clean rows of width ${d} has no inverse`,
      { fix: 'Give more clean rows, or shrink the covariance (ledoit_wolf, oas).' },
    );
  }
  const data = vectors.map((value, at) => value / Math.sqrt(values[Math.floor(at / d)]));
  return { mean, whitening: { n: d, d, data } };
}

/** (x − μ)ᵀ Σ⁻¹ (x − μ) of each row; d on average for clean ones. Shape: `[n, d] → [n]`. */
export function mahalanobis(reference: Reference, rows: Rows): Float64Array {
  const z = whitened(reference, rows);
  return Float64Array.from({ length: rows.n }, (_, i) => dot(rowAt(z, i), rowAt(z, i)));
}

/**
 * The distance to clean rows less that to a background (all rows, or another kind of prompt): what is
 * strange for these and not strange anyway. May be negative.
 */
export function relativeMahalanobis(
  reference: Reference,
  background: Reference,
  rows: Rows,
): Float64Array {
  const far = mahalanobis(background, rows);
  return mahalanobis(reference, rows).map((distance, i) => distance - far[i]);
}

/**
 * Quantum entropy scores: x'ᵀ M x' with M = exp(α(Σ' − I)/(‖Σ'‖₂ − 1)) / trace, Σ' the covariance of the
 * suspects in coordinates in which clean rows have variance 1. α = 0 gives the Mahalanobis distance / d,
 * α → ∞ the spectral signature.
 *
 * @param suspects `[n, d]`; centred at their own mean.
 */
export function quantumEntropy(
  reference: Reference,
  suspects: Rows,
  alpha: number = 4,
): Float64Array {
  const own = whitened({ ...reference, mean: columnMeans(suspects) }, suspects);
  const { n, d } = own;
  const { values, vectors } = symmetricEigen(
    columnGram(own).map((sum) => sum / (n - 1)),
    d,
  );
  // Clean rows against themselves: nothing stands out, whatever α.
  const excess = Math.abs(values[0] - 1) < 1e-12 ? 1 : values[0] - 1;
  const weights = values.map((value) => Math.exp((alpha * (value - values[0])) / excess));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const axes = { n: d, d, data: vectors };
  return Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < d; k++)
      sum += (weights[k] / total) * dot(rowAt(axes, k), rowAt(own, i)) ** 2;
    return sum;
  });
}

/**
 * Squared projection on the first principal direction of the rows themselves, which should be of one
 * label. Shape: `[n, d] → [n]`.
 *
 * Centred rows are scored; the widespread code that scores them uncentred measures the mean.
 */
export function spectralSignatures(rows: Rows): Float64Array {
  const centred = less(rows, columnMeans(rows));
  const { directions } = axesOf(centred);
  return Float64Array.from({ length: rows.n }, (_, i) =>
    directions.n === 0 ? 0 : dot(rowAt(centred, i), rowAt(directions, 0)) ** 2,
  );
}

function whitened({ mean, whitening }: Reference, rows: Rows): Rows {
  if (rows.d !== mean.length) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `the reference has ${mean.length} dimensions, the rows have ${rows.d}`,
      { fix: 'Take both from one site.' },
    );
  }
  const centred = less(rows, mean);
  const data = new Float64Array(rows.n * rows.d);
  for (let i = 0; i < rows.n; i++) {
    for (let k = 0; k < rows.d; k++) {
      data[i * rows.d + k] = dot(rowAt(whitening, k), rowAt(centred, i));
    }
  }
  return { n: rows.n, d: rows.d, data };
}
