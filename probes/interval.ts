/**
 * How sure is an AUROC, when rows come in groups?
 *
 * The rows of a group (trigger pairs, paraphrases of one topic) are not independent, and resampling
 * groups does not mend it: drawing a group twice makes its own pairs of positive and negative twice
 * as frequent, which moves the AUROC of a paired design away from the estimate. DeLong's variance in
 * its form for clustered data counts each group once and needs no random draws.
 */

import { invariant } from '../src/base/invariant.ts';
import { studentCdf, studentQuantile } from '../src/math/distributions.ts';
import { distinctGroups } from './folds.ts';

/** One test fold: scores of rows that its fit has not seen. */
export interface TestSide {
  readonly scores: Float64Array;
  readonly labels: ArrayLike<number>;
  readonly groups: readonly string[];
}

/** The 97.5th percentile of the standard normal. */
const z = 1.959963984540054;

/**
 * 95 % interval of the mean over folds of the AUROC, fits held fixed and folds taken as independent:
 * symmetric on the log-odds, so that it stays within [0, 1]. An AUROC of 0 or 1 leaves no variance to
 * estimate and gives an interval of no width; one group of a class in a single fold leaves none either, and
 * gives [0, 1].
 *
 * @param mean The mean of the folds' AUROCs.
 */
export function clusteredInterval(
  mean: number,
  folds: readonly TestSide[],
): { readonly low: number; readonly high: number } {
  const placed = folds.map(({ scores, labels, groups }) => ({
    ...placements(scores, labels),
    labels,
    groups,
  }));
  const { variance, freedom, isWithin } = spreadOf(placed);
  if (variance === Number.POSITIVE_INFINITY) return { low: 0, high: 1 };
  const odds = mean / (1 - mean);
  if (variance === 0 || odds === 0 || !Number.isFinite(odds)) return { low: mean, high: mean };
  const width = (isWithin ? z : studentQuantile(0.975, freedom)) * Math.sqrt(variance);
  const spread = Math.exp(Math.min(width / (mean * (1 - mean)), 700));
  return { low: odds / (spread + odds), high: (odds * spread) / (1 + odds * spread) };
}

/** What ranks the rows of one fold, or a difference of two such. */
type Placed = Placements & Pick<TestSide, 'labels' | 'groups'>;

interface Spread {
  /** Of the mean over folds; infinite where nothing says. */
  readonly variance: number;
  readonly freedom: number;
  /** Whether it is from groups within folds. */
  readonly isWithin: boolean;
}

/**
 * Variance of the mean over folds. One group of a class says nothing of how groups of that class differ: its
 * term of DeLong's variance is then 0 whatever the truth. Where that happens in a fold, the folds' own areas
 * are what varies, as independent as they were taken to be, and there are k − 1 of them to judge by.
 */
function spreadOf(folds: readonly Placed[]): Spread {
  const k = folds.length;
  if (folds.every(hasTwoOfEach)) {
    return {
      variance: folds.reduce((sum, fold) => sum + varianceOf(fold), 0) / k ** 2,
      freedom: Math.max(
        1,
        folds.reduce((sum, { groups }) => sum + new Set(groups).size - 1, 0),
      ),
      isWithin: true,
    };
  }
  if (k < 2) return { variance: Number.POSITIVE_INFINITY, freedom: 1, isWithin: false };
  const mean = folds.reduce((sum, { area }) => sum + area, 0) / k;
  const squares = folds.reduce((sum, { area }) => sum + (area - mean) ** 2, 0);
  return { variance: squares / (k * (k - 1)), freedom: k - 1, isWithin: false };
}

/** Whether each class comes from two groups at least. */
function hasTwoOfEach({ labels, groups }: Placed): boolean {
  const with0 = new Set(groups.filter((_, row) => labels[row] === 0));
  const with1 = new Set(groups.filter((_, row) => labels[row] === 1));
  return with0.size > 1 && with1.size > 1;
}

/**
 * Variance of one AUROC A over clusters i with m_i positives and n_i negatives, M and N in all:
 *
 *     V = S₁₀/M + S₀₁/N + 2·S₁₁/(MN)
 *     S₁₀ = I₁₀/((I₁₀−1)M) · Σ (V₁₀ᵢ − m_i A)²       and likewise S₀₁
 *     S₁₁ = I/(I−1) · Σ (V₁₀ᵢ − m_i A)(V₀₁ᵢ − n_i A)
 *
 * with V₁₀ᵢ the sum over the cluster's positives of the share of all negatives below them (ties ½), and
 * V₀₁ᵢ that over its negatives of the share of positives above. With clusters of one row it is DeLong's.
 *
 * @see Obuchowski 1997, Biometrics 53(2), eq. 4–6; DeLong, DeLong and Clarke-Pearson 1988.
 */
export function clusteredVariance({ scores, labels, groups }: TestSide): number {
  return varianceOf({ ...placements(scores, labels), labels, groups });
}

function varianceOf({ share, area, positives, negatives, labels, groups }: Placed): number {
  invariant(positives > 0 && negatives > 0, 'an AUROC of one class');
  const clusterOf = new Map(distinctGroups(groups).map((group, i) => [group, i]));
  const above = new Float64Array(clusterOf.size);
  const below = new Float64Array(clusterOf.size);
  const withPositives = new Set<number>();
  const withNegatives = new Set<number>();
  for (let row = 0; row < share.length; row++) {
    const cluster = clusterOf.get(groups[row]) ?? 0;
    const isPositive = labels[row] === 1;
    (isPositive ? above : below)[cluster] += share[row] - area;
    (isPositive ? withPositives : withNegatives).add(cluster);
  }
  const unbiased = (count: number): number => (count > 1 ? count / (count - 1) : 1);
  const sumOf = (a: Float64Array, b: Float64Array): number =>
    a.reduce((sum, v, i) => sum + v * b[i], 0);
  return (
    (unbiased(withPositives.size) * sumOf(above, above)) / positives ** 2 +
    (unbiased(withNegatives.size) * sumOf(below, below)) / negatives ** 2 +
    (2 * unbiased(clusterOf.size) * sumOf(above, below)) / (positives * negatives)
  );
}

interface Placements {
  /** Of a positive the share of negatives below it, of a negative the share of positives above it. */
  readonly share: Float64Array;
  readonly area: number;
  readonly positives: number;
  readonly negatives: number;
}

/** One walk over the sorted scores; rows with equal scores share what is between them. */
function placements(scores: Float64Array, labels: ArrayLike<number>): Placements {
  const order = Int32Array.from(scores, (_, i) => i).sort((a, b) => scores[a] - scores[b]);
  let positives = 0;
  for (const row of order) positives += labels[row];
  const negatives = scores.length - positives;
  const share = new Float64Array(scores.length);
  let negativesBelow = 0;
  let positivesBelow = 0;
  let wins = 0;
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end < order.length && scores[order[end]] === scores[order[start]]) end++;
    const tied = order.subarray(start, end);
    const tiedPositives = tied.reduce((sum, row) => sum + labels[row], 0);
    const tiedNegatives = tied.length - tiedPositives;
    for (const row of tied) {
      share[row] =
        labels[row] === 1
          ? (negativesBelow + tiedNegatives / 2) / negatives
          : (positives - positivesBelow - tiedPositives / 2) / positives;
    }
    wins += tiedPositives * (negativesBelow + tiedNegatives / 2);
    negativesBelow += tiedNegatives;
    positivesBelow += tiedPositives;
    start = end;
  }
  return { share, area: wins / (positives * negatives), positives, negatives };
}

/** One test fold, scored by two probes. */
export interface PairedSide extends TestSide {
  /** Scores of the same rows by the other probe. */
  readonly others: Float64Array;
}

export interface Difference {
  /** Mean over folds of AUROC − AUROC of the other. */
  readonly difference: number;
  /** 95 % interval, symmetric, fits held fixed. */
  readonly low: number;
  readonly high: number;
  /** Two-sided, of no difference; 1 where the two rank alike. */
  readonly p: number;
}

/**
 * Is one AUROC larger than another on the same rows? DeLong's paired test for clustered rows: the same
 * variance as above, of the difference of the placements, so that what both have in common cancels.
 *
 * The law is Student's with groups − folds degrees of freedom, or folds − 1 where the folds' areas are all that
 * varies (see `spreadOf`), and p is 1 where nothing does: by the normal law 12 groups give twice as many
 * false alarms as said. What the variation of the fits adds is not in it; the rates at 12 and 40 groups are in
 * the tests.
 */
export function clusteredDifference(folds: readonly PairedSide[]): Difference {
  const placed = folds.map(({ scores, others, labels, groups }) => {
    const one = placements(scores, labels);
    const two = placements(others, labels);
    const share = one.share.map((value, row) => value - two.share[row]);
    return { ...one, share, area: one.area - two.area, labels, groups };
  });
  const difference = placed.reduce((sum, { area }) => sum + area / placed.length, 0);
  const { variance, freedom } = spreadOf(placed);
  if (variance === Number.POSITIVE_INFINITY) return { difference, low: -1, high: 1, p: 1 };
  const half = studentQuantile(0.975, freedom) * Math.sqrt(variance);
  const p =
    variance > 0
      ? 2 * studentCdf(-Math.abs(difference) / Math.sqrt(variance), freedom)
      : difference === 0
        ? 1
        : 0;
  return { difference, low: difference - half, high: difference + half, p };
}
