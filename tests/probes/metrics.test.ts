import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { auroc } from '../../probes/metrics.ts';
import { readGolden } from '../support/sines.ts';

/** Small integers, so that ties are common, with both classes present. */
const scored = fc
  .array(fc.tuple(fc.integer({ min: -4, max: 4 }), fc.integer({ min: 0, max: 1 })), {
    minLength: 2,
    maxLength: 25,
  })
  .filter((rows) => rows.some(([, label]) => label === 1) && rows.some(([, label]) => label === 0))
  .map((rows) => ({ scores: rows.map(([s]) => s), labels: rows.map(([, label]) => label) }));

/** The definition: every positive against every negative, ties counting half. */
function byPairs(scores: number[], labels: number[], weights: number[]): number {
  let wins = 0;
  let pairs = 0;
  for (let i = 0; i < scores.length; i++) {
    for (let j = 0; j < scores.length; j++) {
      if (labels[i] !== 1 || labels[j] !== 0) continue;
      const weight = weights[i] * weights[j];
      pairs += weight;
      if (scores[i] > scores[j]) wins += weight;
      if (scores[i] === scores[j]) wins += weight / 2;
    }
  }
  return wins / pairs;
}

describe('auroc', () => {
  it('is the share of pairs in the right order, ties counting half', () => {
    fc.assert(
      fc.property(scored, ({ scores, labels }) => {
        const once = scores.map(() => 1);
        expect(auroc(scores, labels)).toBeCloseTo(byPairs(scores, labels, once), 12);
      }),
    );
  });

  it('turns round with the scores, and does not see a monotone change', () => {
    fc.assert(
      fc.property(scored, ({ scores, labels }) => {
        const area = auroc(scores, labels);
        expect(
          auroc(
            scores.map((s) => -s),
            labels,
          ),
        ).toBeCloseTo(1 - area, 12);
        expect(
          auroc(
            scores.map((s) => Math.exp(s / 3) + 2),
            labels,
          ),
        ).toBe(area);
      }),
    );
  });

  it('matches values worked by hand', () => {
    expect(auroc([1, 2, 3, 4], [0, 0, 1, 1])).toBe(1);
    expect(auroc([4, 3, 2, 1], [0, 0, 1, 1])).toBe(0);
    expect(auroc([1, 1, 1], [0, 1, 1])).toBe(0.5);
    // Positive 2 beats 1 and loses to 3; positive 3 beats 1 and ties with 3: (1 + 1.5) / 4.
    expect(auroc([1, 2, 3, 3], [0, 1, 0, 1])).toBe(0.625);
  });

  it('matches scikit-learn with ties', () => {
    const oracle: {
      ties_scores: number[];
      ties_y: number[];
      ties_auroc: number;
    } = readGolden('oracles/science.json');
    expect(auroc(oracle.ties_scores, oracle.ties_y)).toBeCloseTo(oracle.ties_auroc, 14);
  });

  it('refuses one class and scores that are not finite', () => {
    expect(() => auroc([1, 2], [1, 1])).toThrow(
      'an ROC curve needs both classes: got 2 positive and 0 negative rows',
    );
    expect(() => auroc([1, Number.NaN], [0, 1])).toThrow(
      'score NaN has no place in a ranking — row 1',
    );
  });
});
