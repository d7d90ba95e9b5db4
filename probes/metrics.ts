/** How well scores rank positives above negatives: a number that needs no threshold. */

import { UserError } from '../src/base/errors.ts';
import { invariant } from '../src/base/invariant.ts';

/**
 * Area under the ROC curve: the chance that a random positive outscores a random negative, ties
 * counting half (the Mann–Whitney statistic over n₊n₋).
 *
 * @param scores `[n]`, finite.
 * @param labels 0 or 1, `[n]`, both present.
 * @returns In [0, 1]; ½ is chance.
 * @throws {UserError} `LABELS_INVALID` when a class is missing, `NOT_FINITE` when a score is not finite.
 * @see Hanley and McNeil 1982, Radiology 143(1).
 */
export function auroc(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  invariant(scores.length === labels.length, `${scores.length} scores, ${labels.length} labels`);
  const positive = scoresOf(1, scores, labels);
  const negative = scoresOf(0, scores, labels);
  if (positive.length === 0 || negative.length === 0) {
    throw new UserError(
      'LABELS_INVALID',
      `an ROC curve needs both classes: got ${positive.length} positive and ${negative.length} negative rows`,
      { fix: 'Choose rows in which the label takes both values.' },
    );
  }
  // Sorting each class by itself lets the engine sort plain numbers; then one walk counts the pairs.
  positive.sort();
  negative.sort();
  let wins = 0;
  let below = 0;
  let upTo = 0;
  for (const value of positive) {
    while (below < negative.length && negative[below] < value) below++;
    while (upTo < negative.length && negative[upTo] <= value) upTo++;
    wins += (below + upTo) / 2;
  }
  return wins / (positive.length * negative.length);
}

function scoresOf(
  value: number,
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
): Float64Array {
  const chosen = new Float64Array(scores.length);
  let count = 0;
  for (let i = 0; i < scores.length; i++) {
    if (!Number.isFinite(scores[i])) {
      throw new UserError('NOT_FINITE', `score ${scores[i]} has no place in a ranking`, {
        where: `row ${i}`,
        fix: 'Check the activations for NaN and infinity.',
      });
    }
    if (labels[i] === value) chosen[count++] = scores[i];
  }
  return chosen.subarray(0, count);
}
