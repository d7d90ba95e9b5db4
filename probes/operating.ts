/**
 * What a detector is worth at a threshold, and how sure a rate is.
 *
 * An AUROC averages over thresholds that nobody would use. At a rate of false alarms of 1 % the number of
 * negatives decides what can be said at all: of 100 controls none above the threshold still allows a
 * true rate of 3 %. `controlsFor` says how many a claim needs.
 */

import { UserError } from '../src/base/errors.ts';
import { invariant } from '../src/base/invariant.ts';
import { betaQuantile } from '../src/math/distributions.ts';

export interface Rate {
  readonly hits: number;
  readonly n: number;
  readonly rate: number;
  /** 95 % interval. */
  readonly low: number;
  readonly high: number;
}

/**
 * The exact interval of a share: those rates under which the count is not in either 2.5 % tail.
 *
 * @see Clopper and Pearson 1934, Biometrika 26(4).
 */
export function clopperPearson(hits: number, n: number, level: number = 0.95): Rate {
  invariant(hits >= 0 && hits <= n && n > 0, `${hits} of ${n}`);
  const tail = (1 - level) / 2;
  return {
    hits,
    n,
    rate: hits / n,
    low: hits === 0 ? 0 : betaQuantile(tail, hits, n - hits + 1),
    high: hits === n ? 1 : betaQuantile(1 - tail, hits + 1, n - hits),
  };
}

/** Wilson's score interval of a share. @see Wilson 1927, JASA 22(158). */
export function wilson(hits: number, n: number): Rate {
  invariant(hits >= 0 && hits <= n && n > 0, `${hits} of ${n}`);
  const z = 1.959963984540054;
  const rate = hits / n;
  const width = 1 + z ** 2 / n;
  const centre = (rate + z ** 2 / (2 * n)) / width;
  const half = (z * Math.sqrt((rate * (1 - rate)) / n + z ** 2 / (4 * n * n))) / width;
  return { hits, n, rate, low: centre - half, high: centre + half };
}

export interface OperatingPoint {
  /** Rows that score above this are called positive. */
  readonly threshold: number;
  /** Of the positives. */
  readonly tpr: Rate;
  /** Of the negatives; never above the rate that was asked for. */
  readonly fpr: Rate;
}

/**
 * The largest share of positives above a threshold that at most `fpr` of the negatives exceed.
 *
 * The threshold is a negative's score, so that no interpolation between rows promises what no row shows.
 * Its interval takes the threshold as given.
 *
 * @param scores `[n]`.
 * @param labels 0 or 1, `[n]`, both present.
 */
export function tprAtFpr(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  fpr: number = 0.01,
): OperatingPoint {
  const all = Array.from(scores);
  const negatives = all.filter((_, i) => labels[i] === 0).sort((a, b) => b - a);
  const positives = all.filter((_, i) => labels[i] === 1);
  invariant(negatives.length > 0 && positives.length > 0, 'an operating point of one class');
  // A product like .01 · 300 may fall short of 3 by its last bit.
  const allowed = Math.min(Math.floor(fpr * negatives.length + 1e-9), negatives.length);
  const threshold = allowed === negatives.length ? -Infinity : negatives[allowed];
  const above = (values: readonly number[]): number =>
    values.filter((value) => value > threshold).length;
  return {
    threshold,
    tpr: clopperPearson(above(positives), positives.length),
    fpr: clopperPearson(above(negatives), negatives.length),
  };
}

/** How many controls a claim about false alarms needs, if `alarms` of them raise one. */
export interface ControlsNeeded {
  readonly alarms: number;
  readonly controls: number;
  /** The one-sided upper bound that this many give; at most the rate. */
  readonly upper: number;
}

/**
 * The fewest controls with which `alarms` false alarms still put the one-sided upper bound at or below `fpr`.
 *
 * @throws {UserError} `USAGE` unless 0 < fpr < 1 and 0 < level < 1.
 */
export function controlsFor(fpr: number, alarms: number, level: number = 0.95): ControlsNeeded {
  for (const [name, value] of [
    ['rate', fpr],
    ['level', level],
  ] as const) {
    if (value > 0 && value < 1) continue;
    throw new UserError('USAGE', `${value} is no ${name} between 0 and 1`, {
      fix: 'Give it as a fraction, for example .01.',
    });
  }
  const bound = (n: number): number =>
    alarms >= n ? 1 : betaQuantile(level, alarms + 1, n - alarms);
  let [low, high] = [alarms, Math.max(alarms + 1, 1)];
  while (bound(high) > fpr) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (bound(middle) > fpr) low = middle;
    else high = middle;
  }
  return { alarms, controls: high, upper: bound(high) };
}
