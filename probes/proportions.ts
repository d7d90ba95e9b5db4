/**
 * How sure is a rate of yes and no, above all one that is 0 or 1?
 *
 * A rate of 0 of n is no proof of never: its interval says how often it may yet be. Intervals that
 * are symmetric around the estimate have no width there, so none is used.
 */

import { invariant } from '../src/base/invariant.ts';
import { logChoose } from '../src/math/distributions.ts';
import { wilson } from './operating.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * What 0 of n rules out: rates above 1 − (1 − level)^{1/n} would have shown themselves with
 * probability `level`. About 3/n for 95 %.
 */
export function zeroEventBound(n: number, level: number = 0.95): number {
  invariant(n > 0, `a rate of ${n} trials`);
  return -Math.expm1(Math.log1p(-level) / n);
}

/** The chance that n trials show an event of this rate at least once: the power of looking for it. */
export function chanceToSee(rate: number, n: number): number {
  return -Math.expm1(n * Math.log1p(-rate));
}

/**
 * Interval of the difference p₁ − p₂ of two independent rates, from their Wilson intervals.
 *
 *     d − √((p₁−l₁)² + (u₂−p₂)²)   to   d + √((u₁−p₁)² + (p₂−l₂)²)
 *
 * Trap: for the same prompts twice the rates are not independent; use McNemar's test or `newcombePaired`.
 *
 * @see Newcombe 1998, Stat. Med. 17, 873–890, method 10.
 */
export function newcombe(k1: number, n1: number, k2: number, n2: number): Interval {
  const [a, b] = [wilson(k1, n1), wilson(k2, n2)];
  const [p, q] = [k1 / n1, k2 / n2];
  return {
    low: p - q - Math.hypot(p - a.low, b.high - q),
    high: p - q + Math.hypot(a.high - p, q - b.low),
  };
}

/** The same prompts judged twice: both yes, only first, only second, neither. */
export interface PairedCounts {
  readonly both: number;
  readonly first: number;
  readonly second: number;
  readonly neither: number;
}

/**
 * Interval of p₁ − p₂ for paired rates: method 10 with the correlation φ of the two answers, which is
 * corrected for continuity where it is positive.
 *
 * @see Newcombe 1998, Stat. Med. 17, 2635–2650, method 10.
 */
export function newcombePaired({ both, first, second, neither }: PairedCounts): Interval {
  const n = both + first + second + neither;
  const [k1, k2] = [both + first, both + second];
  const [a, b] = [wilson(k1, n), wilson(k2, n)];
  const [p, q] = [k1 / n, k2 / n];
  const product = k1 * (n - k1) * k2 * (n - k2);
  const cross = both * neither - first * second;
  const corrected = cross > n / 2 ? cross - n / 2 : cross >= 0 ? 0 : cross;
  const phi = product === 0 ? 0 : corrected / Math.sqrt(product);
  const half = (x: number, y: number): number =>
    Math.sqrt(Math.max(0, x * x - 2 * phi * x * y + y * y));
  return {
    low: p - q - half(p - a.low, b.high - q),
    high: p - q + half(a.high - p, q - b.low),
  };
}

/**
 * Exact two-sided p of McNemar's test: b and c are the pairs that changed one way and the other; pairs
 * that did not change say nothing. Null: either way is as likely. p = min(1, 2 P(Bin(b+c, ½) ≤ min)).
 *
 * @see McNemar 1947, Psychometrika 12.
 */
export function mcnemar(b: number, c: number): number {
  const n = b + c;
  let tail = 0;
  for (let k = 0; k <= Math.min(b, c); k++) tail += Math.exp(logChoose(n, k) - n * Math.LN2);
  return Math.min(1, 2 * tail);
}

/** `12/40 (30.0 %, 95 % 18.1–45.4 %)`; an event that was never seen prints what it may still be. */
export function rateText(k: number, n: number): string {
  const percent = (x: number): string => (100 * x).toFixed(x < 0.001 && x > 0 ? 3 : 1);
  if (k === 0) return `0/${n} (95 %: below ${percent(zeroEventBound(n))} %)`;
  if (k === n) return `${n}/${n} (95 %: above ${percent(1 - zeroEventBound(n))} %)`;
  const { low, high } = wilson(k, n);
  return `${k}/${n} (${percent(k / n)} %, 95 % ${percent(low)}–${percent(high)} %)`;
}
