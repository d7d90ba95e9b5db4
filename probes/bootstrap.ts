/**
 * How much would a number vary with other samples from the same source?
 *
 * The unit that is drawn decides what the interval speaks of: prompts for this checkpoint, seeds for
 * the training. Rows of one group are drawn together.
 */

import { invariant } from '../src/base/invariant.ts';
import type { Random } from '../src/base/random.ts';
import { normalCdf, normalQuantile } from '../src/math/distributions.ts';
import { drawCounts, percentileInterval, quantile } from '../src/math/resample.ts';
import type { Interval } from './proportions.ts';

/** A number made of n units, each counted `counts[i]` times. */
export type WeightedStatistic = (counts: Int32Array) => number;

export interface BootstrapOptions {
  readonly random: Random;
  /** 9 999 if left out. */
  readonly draws?: number;
  /** .95 if left out. */
  readonly level?: number;
}

/**
 * Percentile interval of a statistic of n units.
 *
 * Trap: a statistic that is bounded below (a norm) is biased upwards in every draw; and pairs within a
 * unit drawn twice are counted four times, so rank statistics need another interval.
 *
 * @see Efron 1979, Ann. Stat. 7.
 */
export function percentileBootstrap(
  n: number,
  statistic: WeightedStatistic,
  { random, draws = 9999, level = 0.95 }: BootstrapOptions,
): Interval {
  return percentileInterval(drawStatistics(n, statistic, random, draws), level);
}

/**
 * Bias-corrected and accelerated interval: percentiles moved by how far the draws lie off the estimate
 * and by how the spread changes with the estimate (jackknife).
 *
 *     α' = Φ(z₀ + (z₀ + z_α) / (1 − a(z₀ + z_α)))
 *
 * @see Efron 1987, J. Am. Stat. Assoc. 82.
 */
export function bcaBootstrap(
  n: number,
  statistic: WeightedStatistic,
  { random, draws = 9999, level = 0.95 }: BootstrapOptions,
): Interval {
  invariant(n >= 2, `an accelerated bootstrap of ${n} units`);
  const counts = new Int32Array(n).fill(1);
  const observed = statistic(counts);
  const values = drawStatistics(n, statistic, random, draws).sort();
  const below = values.reduce((sum, v) => sum + (v < observed ? 1 : v === observed ? 0.5 : 0), 0);
  if (below === 0 || below === draws) return percentileInterval(values, level);
  const z0 = normalQuantile(below / draws);
  const acceleration = jackknifeAcceleration(n, statistic);
  const at = (tail: number): number => {
    const z = z0 + normalQuantile(tail);
    return quantile(values, normalCdf(z0 + z / (1 - acceleration * z)));
  };
  return { low: at((1 - level) / 2), high: at((1 + level) / 2) };
}

function jackknifeAcceleration(n: number, statistic: WeightedStatistic): number {
  const counts = new Int32Array(n).fill(1);
  const left = Float64Array.from({ length: n }, (_, i) => {
    counts[i] = 0;
    const value = statistic(counts);
    counts[i] = 1;
    return value;
  });
  const mean = left.reduce((sum, value) => sum + value, 0) / n;
  let [squares, cubes] = [0, 0];
  for (const value of left) {
    squares += (mean - value) ** 2;
    cubes += (mean - value) ** 3;
  }
  return squares === 0 ? 0 : cubes / (6 * squares ** 1.5);
}

function drawStatistics(
  n: number,
  statistic: WeightedStatistic,
  random: Random,
  draws: number,
): Float64Array {
  const counts = new Int32Array(n);
  return Float64Array.from({ length: draws }, () => {
    drawCounts(random, counts);
    return statistic(counts);
  });
}

/**
 * Two levels, nested: seeds are drawn, then within each drawn seed its own prompts, a prompt with all its
 * conditions.
 *
 * Trap: with S seeds there are few ways to draw seeds; three seeds give an interval that says little
 * more than their range, and it is too narrow. Where all seeds answer the same prompts use `crossedInterval`:
 * drawing prompts anew in each seed averages away what the prompts have in common.
 *
 * @param sizes Units within each seed, `[S]`.
 * @param statistic Of one seed, from how often each of its units was drawn; seeds are averaged.
 * @see Davison and Hinkley 1997, Bootstrap methods, §3.8.
 */
export function hierarchicalBootstrap(
  sizes: readonly number[],
  statistic: (seed: number, counts: Int32Array) => number,
  { random, draws = 9999, level = 0.95 }: BootstrapOptions,
): Interval {
  invariant(sizes.length > 0, 'a bootstrap over no seeds');
  const counts = sizes.map((size) => new Int32Array(size));
  const values = Float64Array.from({ length: draws }, () => {
    let sum = 0;
    for (let s = 0; s < sizes.length; s++) {
      const seed = random.below(sizes.length);
      drawCounts(random, counts[seed]);
      sum += statistic(seed, counts[seed]);
    }
    return sum / sizes.length;
  });
  return percentileInterval(values, level);
}

/** A number of one seed, and the same number under the drawings of prompts that all seeds share. */
export interface SeedDraws {
  readonly value: number;
  /** In the b-th place under the b-th drawing, `[draws]`. */
  readonly draws: ArrayLike<number>;
}

/**
 * Two levels, crossed: every seed answers the same prompts. Each draw takes seeds with replacement, and
 * prompts once for all of them, a prompt with all its conditions and in all its seeds; seeds are averaged.
 *
 * Trap: as for `hierarchicalBootstrap`, too narrow for few seeds, by √(S−1)/√S and by normal for t.
 *
 * @returns Of the mean over seeds; NaN where a seed's number, or one of its draws, is none.
 * @see Owen 2007, Ann. Appl. Stat. 1, 386–411 (the pigeonhole bootstrap).
 */
export function crossedInterval(
  seeds: readonly SeedDraws[],
  random: Random,
  level: number = 0.95,
): Interval {
  invariant(seeds.length > 0, 'a bootstrap over no seeds');
  const values = Float64Array.from({ length: seeds[0].draws.length }, (_, b) => {
    let sum = 0;
    for (let s = 0; s < seeds.length; s++) sum += seeds[random.below(seeds.length)].draws[b];
    return sum / seeds.length;
  });
  const isWhole =
    seeds.every(({ value }) => Number.isFinite(value)) && values.every(Number.isFinite);
  return isWhole ? percentileInterval(values, level) : { low: Number.NaN, high: Number.NaN };
}

/**
 * Draws of a length, brought to lie around it: a drawn mean is longer than the mean itself, by its noise,
 * and what draws are longer by on average (in squares) is taken off. Shape: `[draws] → [draws]`.
 */
export function lengthDraws(value: number, draws: ArrayLike<number>): Float64Array {
  let squares = 0;
  for (let b = 0; b < draws.length; b++) squares += draws[b] ** 2 / draws.length;
  const excess = squares - value ** 2;
  return Float64Array.from(draws, (draw) => Math.sqrt(Math.max(0, draw ** 2 - excess)));
}
