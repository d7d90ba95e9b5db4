/**
 * Could that be chance? A label's number against the same number of shuffled labels.
 *
 * Lint makes m such tests of a set. A number counts only if it beats every one of 100·m − 1 shuffles, so that a
 * set whose labels mean nothing gets any such finding with probability at most m · 1/(100·m) = 1 % (Bonferroni, ties
 * counted against the finding). Labels are shuffled inside groups that hold both, else whole groups among each other.
 *
 * @see Phipson and Smyth 2010, Permutation p-values should never be zero (the (1 + b)/(1 + m) form).
 */

import { Random } from '../../base/random.ts';
import { logChoose } from '../../math/distributions.ts';
import { shuffledLabels } from '../../../probes/shuffles.ts';
import type { Split } from '../../../probes/folds.ts';
import { membersOf } from './repeats.ts';

/** The chance that a set whose labels mean nothing gets a finding of chance. */
const falseAlarms = 0.01;

/** Shuffles that one of `tests` tests must beat. */
export function shufflesFor(tests: number): number {
  return Math.ceil(tests / falseAlarms) - 1;
}

/**
 * Whether `observed` is larger than the statistic of every shuffle; ends at the first that is not.
 *
 * @param labels 0 or 1, `[n]`.
 * @param splits Folds that must keep both classes; empty where none are made.
 */
export function beatsShuffles(
  observed: number,
  labels: Uint8Array,
  groups: readonly string[],
  splits: readonly Split[],
  count: number,
  statistic: (labels: Uint8Array) => number,
): boolean {
  const random = new Random(0).fork('lint');
  for (let s = 0; s < count; s++) {
    const { labellings } = shuffledLabels(labels, groups, splits, 1, random.fork(s));
    // Equal but for rounding is equal.
    if (statistic(labellings[0]) >= observed - 1e-12) return false;
  }
  return true;
}

/** Whether there are enough ways to shuffle for any label to beat that many. */
export function hasEnoughShuffles(
  labels: Uint8Array,
  groups: readonly string[],
  count: number,
): boolean {
  const members = [...membersOf(groups).values()];
  const positives = members.map((rows) => rows.reduce((sum, i) => sum + labels[i], 0));
  const isMixed = members.some((rows, g) => positives[g] > 0 && positives[g] < rows.length);
  const ways = isMixed
    ? members.reduce((sum, rows, g) => sum + logChoose(rows.length, positives[g]), 0)
    : logChoose(members.length, positives.filter((sum) => sum > 0).length);
  return ways > Math.log(2 * (count + 1));
}
