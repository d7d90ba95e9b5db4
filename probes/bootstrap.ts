/** How much a mean AUROC would move had other groups of the same kind been drawn for testing. */

import { UserError } from '../src/base/errors.ts';
import type { Random } from '../src/base/random.ts';
import { drawCounts, percentileInterval } from '../src/math/resample.ts';
import { ranking, weightedAuroc } from './metrics.ts';
import { membersOf } from './shuffles.ts';

/** Draws of one fold that hold a single class before we say that the data cannot bear it. */
const patience = 1000;

/** The test side of a fold: scores of its rows, their labels, and their groups, all `[m]`. */
export interface TestSide {
  readonly scores: Float64Array;
  readonly labels: ArrayLike<number>;
  readonly groups: readonly string[];
}

/**
 * 95 % percentile interval of the mean over folds of the AUROC, drawing each fold's groups with
 * replacement and leaving the fits as they are. A draw without both classes has no AUROC and is drawn anew.
 *
 * @see Efron and Tibshirani 1993, An Introduction to the Bootstrap, §13.3.
 */
export function bootstrapInterval(
  folds: readonly TestSide[],
  draws: number,
  random: Random,
): { readonly low: number; readonly high: number } {
  const means = new Float64Array(draws);
  folds.forEach(({ scores, labels, groups }, f) => {
    const stream = random.fork(f);
    const ranked = ranking(scores, labels);
    const members = membersOf(groups);
    const groupOf = new Int32Array(scores.length);
    members.forEach((rows, g) => rows.forEach((row) => (groupOf[row] = g)));
    const counts = new Int32Array(members.length);
    const weights = new Int32Array(scores.length);
    for (let b = 0; b < draws; b++) {
      let area = Number.NaN;
      for (let attempt = 0; Number.isNaN(area); attempt++) {
        if (attempt === patience) throw tooFew(f, members.length);
        drawCounts(stream, counts);
        for (let i = 0; i < weights.length; i++) weights[i] = counts[groupOf[i]];
        area = weightedAuroc(ranked, weights);
      }
      means[b] += area / folds.length;
    }
  });
  return percentileInterval(means);
}

function tooFew(fold: number, groups: number): UserError {
  return new UserError(
    'LABELS_INVALID',
    `the ${groups} groups of fold ${fold} are too few to resample: ${patience} draws each held one class`,
    { fix: 'Ask for fewer folds, or choose rows of more groups.' },
  );
}
