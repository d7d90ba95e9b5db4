/**
 * Was anything found, when the best of many sites is looked at?
 *
 * One label is read at many sites, and the shuffles of its labels are the same at each. So the largest
 * reading of a shuffle over all sites says what the best of them gives where there is nothing to find:
 *
 *     zᵢ = (Aᵢ − mᵢ) / sᵢ     m and s over the shuffles and the labelling itself
 *     pᵢ = (1 + shuffles whose largest z reaches zᵢ) / (1 + shuffles)
 *
 * Any p ≤ α is false with probability α at most, whatever goes together with what, and sites that go
 * together are not paid for twice. With the labelling in m and s all rows of the table are exchangeable, so that
 * this is exact and not only so for many shuffles. Sites whose AUROC varies less are not drowned by others.
 *
 * The trap: curves on other rows have shuffles of their own; taken together their maxima count as independent,
 * which costs power and no more. With B shuffles no p is below 1/(1 + B), however many sites there are.
 *
 * @see Westfall and Young 1993, Resampling-based multiple testing, §2.3 (single-step max-T).
 */

import { invariant } from '../src/base/invariant.ts';

export interface StandardisedSite {
  /** Of the labelling itself. */
  readonly z: number;
  /** Of each shuffle, `[shuffles]`. */
  readonly shuffled: Float64Array;
}

/** The reading of one site and its shuffles in units of their own spread; 0 where nothing varies. */
export function standardised(observed: number, nulls: ArrayLike<number>): StandardisedSite {
  const all = [observed, ...Array.from(nulls)];
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const spread = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length);
  // Means over folds of one value differ in their last bits.
  const scale = spread > 1e-12 ? spread : Number.POSITIVE_INFINITY;
  const [z, ...shuffled] = all.map((value) => rounded((value - mean) / scale));
  return { z, shuffled: Float64Array.from(shuffled) };
}

/** Six digits: what a report keeps, so that ties are the same before and after it was written. */
function rounded(value: number): number {
  return Number(value.toFixed(6)) + 0;
}

/** The largest z over sites in each shuffle. Shape: `[sites][shuffles] → [shuffles]`. */
export function maximaOf(sites: readonly StandardisedSite[]): Float64Array {
  invariant(sites.length > 0, 'a family without sites');
  const maxima = sites[0].shuffled.slice();
  for (const { shuffled } of sites) {
    for (let b = 0; b < maxima.length; b++) maxima[b] = Math.max(maxima[b], shuffled[b]);
  }
  return maxima;
}

/** Maxima of curves that are looked at together, over as many shuffles as all of them have. */
export function commonMaxima(curves: readonly (readonly number[])[]): Float64Array {
  const count = Math.min(...curves.map(({ length }) => length));
  return Float64Array.from({ length: count }, (_, b) =>
    Math.max(...curves.map((maxima) => maxima[b])),
  );
}

/** (1 + maxima that reach z) / (1 + maxima). */
export function familyP(z: number, maxima: ArrayLike<number>): number {
  let reached = 0;
  for (let b = 0; b < maxima.length; b++) if (maxima[b] >= z) reached++;
  return (1 + reached) / (1 + maxima.length);
}
