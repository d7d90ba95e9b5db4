/**
 * How far to pull a covariance towards a multiple of the identity, so that its inverse can be trusted.
 *
 *     Σ̂ = (1 − ρ) S + ρ (tr S / d) I,   S with ddof 0
 *
 * With n near d the small eigenvalues of S are far too small, and whatever divides by them (Mahalanobis
 * distances, whitening) is noise. Each rule estimates the ρ of least expected error from the same rows.
 * The trap: the estimate assumes independent rows; siblings of one group make it too small.
 *
 * Held against scikit-learn's `LedoitWolf` and `OAS`.
 *
 * @see Ledoit and Wolf 2004, J. Multivariate Anal. 88(2); Chen et al. 2010, IEEE Trans. Signal Process. 58(10).
 */

import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { columnGram, columnMeans, dot } from '../src/math/vectors.ts';
import { less } from './ridge.ts';

export type Shrinkage = 'none' | 'ledoit_wolf' | 'oas' | 'rmt';

export interface ShrunkCovariance {
  /** `[d, d]`. */
  readonly covariance: Float64Array;
  readonly mean: Float64Array;
  /** ρ, in [0, 1]. */
  readonly shrinkage: number;
}

/** The covariance (ddof 0) of rows `[n, d]`, shrunk by the rule. */
export function shrunkCovariance(rows: Rows, rule: Shrinkage): ShrunkCovariance {
  const mean = columnMeans(rows);
  const centred = less(rows, mean);
  const s = columnGram(centred).map((sum) => sum / rows.n);
  const shrinkage = shrinkageOf(rule, centred, s);
  const level = (shrinkage * trace(s, rows.d)) / rows.d;
  const covariance = s.map(
    (value, at) => (1 - shrinkage) * value + (at % (rows.d + 1) === 0 ? level : 0),
  );
  return { covariance, mean, shrinkage };
}

function shrinkageOf(rule: Shrinkage, centred: Rows, s: Float64Array): number {
  if (rule === 'none') return 0;
  if (rule === 'rmt') return randomMatrix(s, centred.d, centred.n);
  return rule === 'oas' ? oas(centred, s) : ledoitWolf(centred, s);
}

/**
 * The limit of many rows and columns, which needs the covariance only: ρ = (tr²/n) / (‖S‖² − tr²/d).
 *
 * @see Bodnar, Gupta and Parolya 2014, J. Multivariate Anal. 132.
 */
function randomMatrix(s: Float64Array, d: number, n: number): number {
  const square = trace(s, d) ** 2;
  const spread = dot(s, s) - square / d;
  return spread <= 0 ? 1 : Math.min(1, square / n / spread);
}

/** ρ = min(b², d²) / d² with d² = ‖S − μI‖²/p and b² the mean squared error of S's entries. */
function ledoitWolf(centred: Rows, s: Float64Array): number {
  const { n, d } = centred;
  const mu = trace(s, d) / d;
  const spread = (dot(s, s) - d * mu * mu) / d;
  let fourth = 0;
  for (let i = 0; i < n; i++) fourth += dot(rowAt(centred, i), rowAt(centred, i)) ** 2;
  const noise = (fourth / n - dot(s, s)) / (n * d);
  return spread <= 0 ? 0 : Math.min(Math.max(noise, 0), spread) / spread;
}

/** scikit-learn's form: ρ = min(1, (α + μ²) / ((n + 1)(α − μ²/p))), α the mean of S's squared entries. */
function oas({ n, d }: Rows, s: Float64Array): number {
  const alpha = dot(s, s) / (d * d);
  const mu2 = (trace(s, d) / d) ** 2;
  const below = (n + 1) * (alpha - mu2 / d);
  return below === 0 ? 1 : Math.min(1, (alpha + mu2) / below);
}

function trace(s: Float64Array, d: number): number {
  let sum = 0;
  for (let j = 0; j < d; j++) sum += s[j * d + j];
  return sum;
}

/**
 * How many directions a covariance spreads over: (tr Σ)² / tr Σ². Shape: `[d, d] → scalar in [1, d]`.
 * It does not depend on Σ's scale.
 */
export function effectiveDimension(covariance: Float64Array): number {
  return trace(covariance, Math.sqrt(covariance.length)) ** 2 / dot(covariance, covariance);
}
