/**
 * Many tests at once: how small must a p be, when the smallest of many is looked at?
 *
 * Holm guards against any false finding, Benjamini and Hochberg against too large a share of them,
 * Westfall and Young against any, knowing how tests go together.
 */

import { invariant } from '../src/base/invariant.ts';

/**
 * q-values: the smallest false discovery rate at which each would be found. Shape: `[m] → [m]`.
 *
 *     q₍ᵢ₎ = min over j ≥ i of p₍ⱼ₎ m / j
 *
 * Trap: the rate holds for independent or positively dependent tests.
 *
 * @see Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57.
 */
export function benjaminiHochberg(p: ArrayLike<number>): Float64Array {
  const order = ascending(p);
  const out = new Float64Array(p.length);
  let least = 1;
  for (let i = order.length - 1; i >= 0; i--) {
    least = Math.min(least, (p[order[i]] * p.length) / (i + 1));
    out[order[i]] = least;
  }
  return out;
}

/**
 * p adjusted so that any below α is false with probability α at most, whatever the dependence.
 * Shape: `[m] → [m]`.
 *
 * @see Holm 1979, Scand. J. Stat. 6.
 */
export function holm(p: ArrayLike<number>): Float64Array {
  const order = ascending(p);
  const out = new Float64Array(p.length);
  let most = 0;
  order.forEach((test, i) => {
    most = Math.max(most, Math.min(1, p[test] * (p.length - i)));
    out[test] = most;
  });
  return out;
}

/**
 * Step-down max-T over the cells of a map: p₍ᵢ₎ counts the permutations whose largest |T| among the
 * cells no greater than the i-th reaches it. Permutations must be the same ones in every cell, so
 * that cells which go together are not paid for twice.
 *
 * @param observed A statistic for each cell, `[m]`; its sign does not count.
 * @param permuted The same cells under each permutation, `[draws][m]`.
 * @returns (1 + draws at least as large) / (1 + draws), made monotone, `[m]`.
 * @see Westfall and Young 1993, Resampling-based multiple testing, algorithm 4.1.
 */
export function maxT(
  observed: ArrayLike<number>,
  permuted: readonly ArrayLike<number>[],
): Float64Array {
  const m = observed.length;
  const order = Array.from({ length: m }, (_, i) => i).sort(
    (a, b) => Math.abs(observed[b]) - Math.abs(observed[a]),
  );
  const counts = new Float64Array(m);
  for (const draw of permuted) {
    invariant(draw.length === m, `${draw.length} cells in a permutation of ${m}`);
    let most = 0;
    for (let i = m - 1; i >= 0; i--) {
      const cell = order[i];
      most = Math.max(most, Math.abs(draw[cell]));
      // Rounding may put a permutation that is the observation itself just below it.
      if (most >= Math.abs(observed[cell]) * (1 - 1e-12)) counts[cell]++;
    }
  }
  const out = new Float64Array(m);
  let most = 0;
  for (const cell of order) {
    most = Math.max(most, (1 + counts[cell]) / (1 + permuted.length));
    out[cell] = most;
  }
  return out;
}

function ascending(p: ArrayLike<number>): number[] {
  return Array.from({ length: p.length }, (_, i) => i).sort((a, b) => p[a] - p[b]);
}
