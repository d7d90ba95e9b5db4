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
  return pairsWon(positive, negative) / (positive.length * negative.length);
}

/**
 * Pairs in which the positive has the higher score, ties as halves. Sorts both in place, which lets the engine
 * sort plain numbers; then one walk counts.
 */
export function pairsWon(positive: Float64Array, negative: Float64Array): number {
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
  return wins;
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

/**
 * Average precision: Σ (recallₖ − recallₖ₋₁) · precisionₖ over thresholds, tied scores taken together.
 *
 * Chance is the share of positives, not ½: compare only data sets of one base rate.
 *
 * @see Held against scikit-learn's `average_precision_score`.
 */
export function averagePrecision(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a]);
  const positives = order.reduce((sum, i) => sum + labels[i], 0);
  invariant(positives > 0, 'an average precision without positives');
  let hits = 0;
  let area = 0;
  for (let start = 0; start < order.length;) {
    let end = start;
    let found = 0;
    while (end < order.length && scores[order[end]] === scores[order[start]]) {
      found += labels[order[end++]];
    }
    hits += found;
    area += (found / positives) * (hits / end);
    start = end;
  }
  return area;
}

/** Mean squared error of probabilities, in [0, 1]; ¼ for a constant ½. @see Brier 1950. */
export function brierScore(probabilities: ArrayLike<number>, labels: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < labels.length; i++) sum += (probabilities[i] - labels[i]) ** 2;
  return sum / labels.length;
}

/** Mean of −log p(label) in nats; log 2 for a constant ½. Probabilities of exactly 0 or 1 may give ∞. */
export function logLoss(probabilities: ArrayLike<number>, labels: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < labels.length; i++) {
    sum -= labels[i] === 1 ? Math.log(probabilities[i]) : Math.log1p(-probabilities[i]);
  }
  return sum / labels.length;
}

/** One bin of a calibration curve. */
export interface CalibrationBin {
  readonly n: number;
  /** Mean probability said. */
  readonly said: number;
  /** Share of positives found. */
  readonly found: number;
}

export interface Calibration {
  /** Σ (n_bin / n) · |found − said|. It is above 0 even for perfect probabilities, the more the smaller the bins. */
  readonly ece: number;
  readonly bins: readonly CalibrationBin[];
}

/**
 * Do probabilities come true? Bins of equal width over [0, 1], closed above; empty ones are left out.
 *
 * @see Naeini, Cooper and Hauskrecht 2015, AAAI.
 */
export function calibration(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  count: number = 10,
): Calibration {
  const bins = Array.from({ length: count }, () => ({ n: 0, said: 0, found: 0 }));
  for (let i = 0; i < labels.length; i++) {
    const bin = bins[Math.min(count - 1, Math.max(0, Math.ceil(probabilities[i] * count) - 1))];
    bin.n++;
    bin.said += probabilities[i];
    bin.found += labels[i];
  }
  const used = bins
    .filter(({ n }) => n > 0)
    .map(({ n, said, found }) => ({ n, said: said / n, found: found / n }));
  const ece = used.reduce((sum, { n, said, found }) => sum + n * Math.abs(found - said), 0);
  return { ece: ece / labels.length, bins: used };
}

/**
 * Standard error of an AUROC `a` under exponential scores, from the counts alone: for planning, where no
 * scores exist yet. @see Hanley and McNeil 1982, Radiology 143(1).
 */
export function hanleyMcNeil(a: number, positives: number, negatives: number): number {
  const q1 = a / (2 - a);
  const q2 = (2 * a * a) / (1 + a);
  const spread = a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a);
  return Math.sqrt(spread / (positives * negatives));
}
