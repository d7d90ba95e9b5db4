/**
 * Could chance have done this? Tests that shuffle what the null says is arbitrary.
 *
 * Where all arrangements are at most 2¹⁶ they are all counted and p is exact; else 9 999 are drawn and
 * p = (1 + as large) / (1 + draws), which is never 0.
 */

import { invariant } from '../src/base/invariant.ts';
import type { Random } from '../src/base/random.ts';
import { logChoose, studentCdf } from '../src/math/distributions.ts';
import { membersOf } from './shuffles.ts';

export interface TestResult {
  /** Two-sided. */
  readonly p: number;
  readonly exact: boolean;
  /** Arrangements that were counted, the observed one included where `exact`. */
  readonly arrangements: number;
}

const exactLimit = 2 ** 16;
const defaultDraws = 9999;

/**
 * Paired differences: is their mean beyond what random signs give? Shape: `[n] → p`.
 *
 * Null: each difference is symmetric about 0. Trap: n pairs cannot give less than 2/2ⁿ, so five seeds
 * never reach .05; rows of one topic are one unit: average them first.
 *
 * @see Fisher 1935, The design of experiments, §21.
 */
export function signFlip(
  differences: ArrayLike<number>,
  random: Random,
  draws: number = defaultDraws,
): TestResult {
  const n = differences.length;
  invariant(n > 0, 'a sign-flip test of nothing');
  let observed = 0;
  for (let i = 0; i < n; i++) observed += differences[i];
  const threshold = atLeast(observed, differences);
  if (2 ** n <= exactLimit) {
    const arrangements = 2 ** n;
    let count = 0;
    for (let bits = 0; bits < arrangements; bits++) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += (bits >>> i) & 1 ? -differences[i] : differences[i];
      if (Math.abs(sum) >= threshold) count++;
    }
    return { p: count / arrangements, exact: true, arrangements };
  }
  let count = 0;
  for (let b = 0; b < draws; b++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += random.below(2) === 1 ? -differences[i] : differences[i];
    if (Math.abs(sum) >= threshold) count++;
  }
  return { p: (1 + count) / (1 + draws), exact: false, arrangements: draws };
}

/**
 * Two samples: is the difference of their means beyond what a random division gives?
 *
 * Null: the samples are exchangeable (so unequal spreads also count against it).
 *
 * @see Pitman 1937, J. R. Stat. Soc. Suppl. 4.
 */
export function twoSample(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  random: Random,
  draws: number = defaultDraws,
): TestResult {
  const pooled = [...Array.from(a), ...Array.from(b)];
  const k = a.length;
  invariant(k > 0 && b.length > 0, 'a sample without values');
  const total = pooled.reduce((sum, value) => sum + value, 0);
  const difference = (sum: number): number => sum / k - (total - sum) / (pooled.length - k);
  const first = pooled.slice(0, k).reduce((sum, value) => sum + value, 0);
  const threshold = atLeast(difference(first), pooled);
  if (logChoose(pooled.length, k) <= Math.log(exactLimit)) {
    let count = 0;
    let arrangements = 0;
    const choose = (from: number, left: number, sum: number): void => {
      if (left === 0) {
        arrangements++;
        if (Math.abs(difference(sum)) >= threshold) count++;
        return;
      }
      for (let i = from; i <= pooled.length - left; i++) choose(i + 1, left - 1, sum + pooled[i]);
    };
    choose(0, k, 0);
    return { p: count / arrangements, exact: true, arrangements };
  }
  let count = 0;
  for (let draw = 0; draw < draws; draw++) {
    random.shuffle(pooled);
    let sum = 0;
    for (let i = 0; i < k; i++) sum += pooled[i];
    if (Math.abs(difference(sum)) >= threshold) count++;
  }
  return { p: (1 + count) / (1 + draws), exact: false, arrangements: draws };
}

/**
 * As `twoSample`, but labels are shuffled inside each group only, so that what groups differ in cannot
 * count. The statistic is the mean over groups of the difference of class means within the group.
 *
 * Null: within a group labels are exchangeable. Groups of one class say nothing and are left out.
 *
 * @param labels 0 or 1, `[n]`.
 * @throws an invariant where no group holds both classes.
 */
export function permutationWithin(
  values: ArrayLike<number>,
  labels: ArrayLike<number>,
  groups: readonly string[],
  random: Random,
  draws: number = defaultDraws,
): TestResult {
  const mixed = membersOf(groups).filter((rows) => rows.some((i) => labels[i] !== labels[rows[0]]));
  invariant(mixed.length > 0, 'no group holds both classes');
  const statistic = (classes: readonly (readonly number[])[]): number =>
    mixed.reduce((sum, rows, g) => sum + gap(values, rows, classes[g]), 0) / mixed.length;
  const classes = mixed.map((rows) => rows.map((i) => labels[i]));
  const threshold = atLeast(statistic(classes), values);
  let count = 0;
  for (let draw = 0; draw < draws; draw++) {
    for (const each of classes) random.shuffle(each);
    if (Math.abs(statistic(classes)) >= threshold) count++;
  }
  return { p: (1 + count) / (1 + draws), exact: false, arrangements: draws };
}

function gap(
  values: ArrayLike<number>,
  rows: readonly number[],
  classes: readonly number[],
): number {
  let [sum1, n1, sum0] = [0, 0, 0];
  rows.forEach((i, at) => {
    if (classes[at] === 1) {
      sum1 += values[i];
      n1++;
    } else sum0 += values[i];
  });
  return sum1 / n1 - sum0 / (rows.length - n1);
}

/**
 * Equivalence: is the mean within ±margin? Two one-sided t tests; p is the larger.
 *
 * Null: the mean is at or beyond the margin, so a small p says "no difference that matters", which a
 * large p of an ordinary test never says. Trap: the margin must be set before looking.
 *
 * @param differences Paired differences, `[n]`, n ≥ 2.
 * @see Schuirmann 1987, J. Pharmacokinet. Biopharm. 15.
 */
export function tost(differences: ArrayLike<number>, margin: number): number {
  const n = differences.length;
  invariant(n >= 2 && margin > 0, `an equivalence test of ${n} values within ${margin}`);
  let mean = 0;
  for (let i = 0; i < n; i++) mean += differences[i] / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (differences[i] - mean) ** 2;
  const error = Math.sqrt(squares / (n - 1) / n);
  const above = 1 - studentCdf((mean + margin) / error, n - 1);
  const below = studentCdf((mean - margin) / error, n - 1);
  return Math.max(above, below);
}

/** What counts as no smaller than the observation: rounding must not exclude the observation itself. */
function atLeast(observed: number, values: ArrayLike<number>): number {
  let scale = 0;
  for (let i = 0; i < values.length; i++) scale = Math.max(scale, Math.abs(values[i]));
  return Math.abs(observed) - 1e-12 * scale;
}
