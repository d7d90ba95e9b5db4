/** Drawing again from what was observed, and reading intervals off the draws. */

import { invariant } from '../base/invariant.ts';
import type { Random } from '../base/random.ts';

/** How often each of n things is drawn in n draws with replacement, written into `counts`. */
export function drawCounts(random: Random, counts: Int32Array): void {
  counts.fill(0);
  for (let i = 0; i < counts.length; i++) counts[random.below(counts.length)]++;
}

/**
 * The q-quantile of ascending values, interpolated linearly between neighbours (numpy's default,
 * type 7 of Hyndman and Fan 1996).
 */
export function quantile(ascending: Float64Array, q: number): number {
  invariant(ascending.length > 0, 'a quantile of nothing');
  const at = q * (ascending.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, ascending.length - 1);
  return ascending[below] + (at - below) * (ascending[above] - ascending[below]);
}

/** The central interval that holds `level` of the draws. */
export function percentileInterval(
  draws: Float64Array,
  level: number = 0.95,
): { readonly low: number; readonly high: number } {
  const ascending = draws.slice().sort();
  return {
    low: quantile(ascending, (1 - level) / 2),
    high: quantile(ascending, (1 + level) / 2),
  };
}
