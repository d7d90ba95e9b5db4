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

/** Rows sorted by score once, so that the AUROC under many weightings costs one walk each. */
export interface Ranking {
  /** Row numbers from the lowest score to the highest, `[n]`. */
  readonly order: Int32Array;
  /** True where the next row of `order` has the same score, `[n]`. */
  readonly isTied: readonly boolean[];
  readonly labels: ArrayLike<number>;
}

/** Prepares `weightedAuroc`. Shape: `[n], [n]`. */
export function ranking(scores: ArrayLike<number>, labels: ArrayLike<number>): Ranking {
  const order = Int32Array.from({ length: scores.length }, (_, i) => i);
  order.sort((a, b) => scores[a] - scores[b] || a - b);
  const isTied = Array.from(order, (row, i) => scores[row] === scores[order[i + 1]]);
  return { order, isTied, labels };
}

/**
 * `auroc` with row i counted weights[i] times; NaN where a class has no weight.
 *
 * @param weights Not negative, `[n]`.
 */
export function weightedAuroc(ranked: Ranking, weights: ArrayLike<number>): number {
  const { order, isTied, labels } = ranked;
  let wins = 0;
  let below = 0;
  let total = 0;
  let tiedPositive = 0;
  let tiedNegative = 0;
  for (let i = 0; i < order.length; i++) {
    const row = order[i];
    if (labels[row] === 1) tiedPositive += weights[row];
    else tiedNegative += weights[row];
    if (isTied[i]) continue;
    wins += tiedPositive * (below + tiedNegative / 2);
    below += tiedNegative;
    total += tiedPositive;
    tiedPositive = 0;
    tiedNegative = 0;
  }
  return wins / (total * below);
}
