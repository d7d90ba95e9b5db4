/** How large is a difference, in units in which studies can be compared? A p says nothing about that. */

import { invariant } from '../src/base/invariant.ts';

/** Difference of means over the pooled standard deviation (ddof 1). @see Cohen 1988, §2.2. */
export function cohenD(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [moments(a), moments(b)];
  const pooled = (x.squares + y.squares) / (a.length + b.length - 2);
  return (x.mean - y.mean) / Math.sqrt(pooled);
}

/** Cohen's d without its upward bias in small samples: d (1 − 3/(4·df − 1)). @see Hedges 1981. */
export function hedgesG(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return cohenD(a, b) * (1 - 3 / (4 * (a.length + b.length - 2) - 1));
}

/**
 * Mean of paired differences over their standard deviation (ddof 1).
 *
 * Trap: it grows with the correlation of the pairs and cannot be compared with Cohen's d.
 */
export function cohenDz(differences: ArrayLike<number>): number {
  const { mean, squares } = moments(differences);
  return mean / Math.sqrt(squares / (differences.length - 1));
}

/** KL(p‖q) = Σ p log(p/q), in nats; infinite where q misses what p has. */
export function klDivergence(p: ArrayLike<number>, q: ArrayLike<number>): number {
  invariant(p.length === q.length, `${p.length} and ${q.length} probabilities`);
  let sum = 0;
  for (let i = 0; i < p.length; i++) if (p[i] > 0) sum += p[i] * Math.log(p[i] / q[i]);
  return sum;
}

/** Jensen and Shannon's divergence, in nats: in [0, log 2], and 0 only for equal distributions. */
export function jsDivergence(p: ArrayLike<number>, q: ArrayLike<number>): number {
  const middle = Array.from({ length: p.length }, (_, i) => (p[i] + q[i]) / 2);
  return (klDivergence(p, middle) + klDivergence(q, middle)) / 2;
}

function moments(values: ArrayLike<number>): { readonly mean: number; readonly squares: number } {
  invariant(values.length > 0, 'the mean of nothing');
  let mean = 0;
  for (let i = 0; i < values.length; i++) mean += values[i] / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i] - mean) ** 2;
  return { mean, squares };
}
