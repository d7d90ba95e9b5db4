import { describe, expect, it } from 'vitest';
import {
  clusteredDifference,
  clusteredInterval,
  clusteredVariance,
  type PairedSide,
  type TestSide,
} from '../../probes/interval.ts';
import { auroc } from '../../probes/metrics.ts';
import { Random } from '../../src/base/random.ts';

const alone = (n: number): string[] => Array.from({ length: n }, (_, i) => `${i}`);

/** Each cluster is one positive and one negative that share most of their noise, as trigger pairs do. */
function pairedSample(random: Random, pairs: number, shift: number): TestSide {
  const scores = new Float64Array(2 * pairs);
  for (let i = 0; i < pairs; i++) {
    const shared = 2 * random.normal();
    scores[2 * i] = shared + random.normal() + shift;
    scores[2 * i + 1] = shared + random.normal();
  }
  const groups = Array.from(scores, (_, i) => `${Math.floor(i / 2)}`);
  return { scores, labels: Array.from(scores, (_, i) => (i + 1) % 2), groups };
}

describe('clusteredVariance', () => {
  it('is DeLong’s variance when every row is a cluster of its own', () => {
    // Ten scores with ties; the value is numpy's, from the definition with var(ddof=1).
    const side = {
      scores: Float64Array.of(0.1, 0.4, 0.35, 0.8, 0.4, 0.7, 0.2, 0.9, 0.4, 0.6),
      labels: [0, 0, 1, 1, 1, 0, 0, 1, 0, 1],
      groups: alone(10),
    };
    expect(clusteredVariance(side)).toBeCloseTo(0.0262, 12);
  });

  it('agrees with the sums written out pair by pair', () => {
    const random = new Random('by pairs');
    const side = pairedSample(random, 9, 0.7);
    const { scores, labels, groups } = side;
    const rows = (label: number): number[] =>
      alone(18)
        .map(Number)
        .filter((i) => labels[i] === label);
    const [positive, negative] = [rows(1), rows(0)];
    const psi = (i: number, j: number): number =>
      scores[i] > scores[j] ? 1 : scores[i] === scores[j] ? 0.5 : 0;
    const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const area = mean(positive.flatMap((i) => negative.map((j) => psi(i, j))));
    const deviations = [...new Set(groups)].map((group) => {
      const above = positive
        .filter((i) => groups[i] === group)
        .map((i) => mean(negative.map((j) => psi(i, j))) - area);
      const below = negative
        .filter((j) => groups[j] === group)
        .map((j) => mean(positive.map((i) => psi(i, j))) - area);
      return [above.reduce((a, b) => a + b, 0), below.reduce((a, b) => a + b, 0)];
    });
    // Every cluster has one row of each class, so all three corrections are I/(I−1) and M = N = I.
    const sum = deviations.reduce((total, [a, b]) => total + (a + b) ** 2, 0);
    expect(clusteredVariance(side)).toBeCloseTo((9 / 8) * (sum / 81), 12);
  });

  it('is the spread over fresh samples of a paired design, where independence would overstate it', () => {
    const random = new Random('spread');
    const sides = Array.from({ length: 600 }, () => pairedSample(random, 60, 0.8));
    const areas = sides.map(({ scores, labels }) => auroc(scores, labels));
    const mean = areas.reduce((a, b) => a + b, 0) / areas.length;
    const spread = areas.reduce((sum, area) => sum + (area - mean) ** 2, 0) / (areas.length - 1);
    const estimate = sides.reduce((sum, side) => sum + clusteredVariance(side), 0) / sides.length;
    // A variance from 600 samples is known to √(2/599) = 6 %; three of those.
    expect(estimate / spread).toBeGreaterThan(0.83);
    expect(estimate / spread).toBeLessThan(1.17);
    const asIfAlone = sides.reduce(
      (sum, side) => sum + clusteredVariance({ ...side, groups: alone(120) }),
      0,
    );
    expect(asIfAlone / sides.length / spread).toBeGreaterThan(1.5);
  });
});

describe('clusteredInterval', () => {
  it('contains the estimate and the truth of a paired design nineteen times in twenty', () => {
    const random = new Random('coverage');
    // Scores differ by N(0.8, σ² = 2·(4 + 1)) between a random positive and a random negative: Φ(0.8/√10).
    const truth = 0.59986;
    let covered = 0;
    for (let i = 0; i < 400; i++) {
      const folds = [pairedSample(random, 40, 0.8), pairedSample(random, 40, 0.8)];
      const mean = folds.reduce((sum, { scores, labels }) => sum + auroc(scores, labels) / 2, 0);
      const { low, high } = clusteredInterval(mean, folds);
      expect(low).toBeLessThan(mean);
      expect(high).toBeGreaterThan(mean);
      if (low <= truth && truth <= high) covered++;
    }
    // Binomial(400, .95) lies in [366, 392] with probability .999.
    expect(covered).toBeGreaterThanOrEqual(366);
    expect(covered).toBeLessThanOrEqual(392);
  });

  it('stays within [0, 1], and has no width where nothing varies', () => {
    const perfect = { scores: Float64Array.of(1, 2, 1, 2), labels: [0, 1, 0, 1], groups: alone(4) };
    expect(clusteredInterval(1, [perfect])).toEqual({ low: 1, high: 1 });
    const nearly = {
      scores: Float64Array.of(1, 3, 2, 4, 0, 1.5),
      labels: [0, 1, 0, 1, 0, 1],
      groups: alone(6),
    };
    const { low, high } = clusteredInterval(auroc(nearly.scores, nearly.labels), [nearly]);
    expect(low).toBeGreaterThanOrEqual(0);
    expect(high).toBeLessThanOrEqual(1);
  });
});

/**
 * Groups of ten rows and one label each, dealt over five folds, and two readings of nothing: rows of a group
 * share half of their noise.
 */
function pureGroups(random: Random, count: number): PairedSide[] {
  return [0, 1, 2, 3, 4].map((fold) => {
    const own = Array.from({ length: count }, (_, g) => g).filter((g) => g % 5 === fold);
    const groups = own.flatMap((g) => Array.from({ length: 10 }, () => `${g}`));
    const reading = (): Float64Array =>
      Float64Array.from(
        own.flatMap(() => {
          const common = random.normal();
          return Array.from({ length: 10 }, () => common + random.normal());
        }),
      );
    const labels = groups.map((g) => Math.floor(Number(g) / 5) % 2);
    return { scores: reading(), others: reading(), labels, groups };
  });
}

describe('folds in which one group is all that there is of a class', () => {
  // DeLong's variance within such a fold is 0 whatever the truth: of 10 groups 99 in 100 nulls were called.
  it.each([10, 12, 16])('keep what is said of %d groups as sure as it is said to be', (count) => {
    const random = new Random(`few groups ${count}`);
    let called = 0;
    let outside = 0;
    for (let i = 0; i < 600; i++) {
      const folds = pureGroups(random, count);
      const { p, low: under, high: over } = clusteredDifference(folds);
      if (p <= 0.05) called++;
      expect(p <= 0.05).toBe(under > 0 || over < 0);
      const mean = folds.reduce((sum, fold) => sum + auroc(fold.scores, fold.labels) / 5, 0);
      const { low, high } = clusteredInterval(mean, folds);
      if (low > 0.5 || high < 0.5) outside++;
    }
    // Binomial(600, .05) lies in [13, 49] with probability .999.
    for (const found of [called, outside]) {
      expect(found).toBeGreaterThanOrEqual(13);
      expect(found).toBeLessThanOrEqual(49);
    }
  });

  it('say nothing where there is but one fold', () => {
    const side = {
      scores: Float64Array.of(1, 2, 5, 6),
      others: Float64Array.of(1, 5, 2, 6),
      labels: [0, 0, 1, 1],
      groups: ['a', 'a', 'b', 'b'],
    };
    expect(clusteredInterval(1, [side])).toEqual({ low: 0, high: 1 });
    expect(clusteredDifference([side])).toEqual({ difference: 0.25, low: -1, high: 1, p: 1 });
  });
});
