import { describe, expect, it } from 'vitest';

import { evaluateProbe } from '../../probes/evaluate.ts';
import type { Evaluation, EvaluationOptions } from '../../probes/evaluate.ts';
import { fitMeanDifference } from '../../probes/meanDifference.ts';
import { auroc } from '../../probes/metrics.ts';
import { score } from '../../probes/probe.ts';
import { shuffledLabels } from '../../probes/shuffles.ts';
import { splitsOf } from '../../probes/folds.ts';
import { Random } from '../../src/base/random.ts';
import { rowsOf, takeRows } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

const {
  folds: golden,
}: {
  folds: { fold: number[]; auroc_by_fold: Record<string, number[]> };
} = readGolden('probes/probes.json');
const n = 120;
const labels = stripedLabels(n);
const rows = sines(n, 10, 5);
labels.forEach((label, i) => {
  rows.data[i * 10] += 0.6 * label;
  rows.data[i * 10 + 4] -= 0.4 * label;
});
const groups = Array.from({ length: n }, (_, i) => `topic-${(i * i * 7) % 37}`);
const quick = { shuffles: 19, seed: 1 } as const;

interface NullData {
  rows: Rows;
  labels: number[];
  groups: string[];
}

/** 12 groups of 4 rows that share much with their group, with labels that have nothing to do with them. */
function nullData(seed: number, kind: 'within groups' | 'between groups'): NullData {
  const random = new Random('null').fork(kind, seed);
  const d = 4;
  const data = new Float32Array(48 * d);
  const ofGroup = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1];
  // Both labels in each of three folds, as an evaluation asks.
  const isUsable = (fold: number): boolean =>
    new Set(ofGroup.filter((_, g) => g % 3 === fold)).size === 2;
  do random.shuffle(ofGroup);
  while (![0, 1, 2].every(isUsable));
  const drawn: number[] = [];
  for (let g = 0; g < 12; g++) {
    const shared = Array.from({ length: d }, () => random.normal());
    const inGroup =
      kind === 'within groups' ? random.shuffle([0, 0, 1, 1]) : Array(4).fill(ofGroup[g]);
    for (let i = 0; i < 4; i++) {
      drawn.push(inGroup[i]);
      for (let j = 0; j < d; j++) data[(4 * g + i) * d + j] = shared[j] + random.normal();
    }
  }
  return {
    rows: rowsOf(48, d, data),
    labels: drawn,
    groups: Array.from(
      { length: 48 },
      (_, i) => `group-${String(Math.floor(i / 4)).padStart(2, '0')}`,
    ),
  };
}

const run = (seed: number): Evaluation =>
  evaluateProbe(rows, labels, groups, { estimator: 'logistic', ...quick, seed });

describe('evaluateProbe', () => {
  it.each([
    ['mean_difference', { estimator: 'mean_difference' }],
    ['mean_difference standardised', { estimator: 'mean_difference', standardise: true }],
    ['logistic', { estimator: 'logistic', c: 0.1, standardise: true }],
  ] as const)('matches scikit-learn fold by fold: %s', (name, options) => {
    const found = evaluateProbe(rows, labels, groups, { ...options, ...quick });
    const wanted = golden.auroc_by_fold[name];
    found.aurocByFold.forEach((area, f) => expect(area).toBeCloseTo(wanted[f], 12));
    expect(found.auroc).toBeCloseTo(wanted.reduce((sum, area) => sum + area, 0) / 5, 12);
    expect([...found.folds]).toEqual(golden.fold);
    expect(found.nGroups).toBe(new Set(groups).size);
    expect(found.nPositive).toBe(labels.filter((label) => label === 1).length);
  });

  it('scores each row by a probe that has not seen its group', () => {
    const found = evaluateProbe(rows, labels, groups, { estimator: 'mean_difference', ...quick });
    splitsOf(found.folds, 5).forEach(({ train, test }, f) => {
      const trained = Array.from(train, (i) => labels[i]);
      const probe = fitMeanDifference(takeRows(rows, train), trained);
      expect(Array.from(test, (i) => found.scores[i])).toEqual([
        ...score(probe, takeRows(rows, test)),
      ]);
      const tested = Array.from(test, (i) => labels[i]);
      expect(found.aurocByFold[f]).toBe(
        auroc(
          Array.from(test, (i) => found.scores[i]),
          tested,
        ),
      );
    });
    expect(found.probe.coef).toEqual(fitMeanDifference(rows, labels).coef);
  });

  it('gives the same numbers for the same seed, and another null for another', () => {
    expect(run(3)).toEqual(run(3));
    expect(run(4).auroc).toBe(run(3).auroc);
    expect(run(4).null).not.toEqual(run(3).null);
  });

  it('takes folds that were made of a larger set', () => {
    const chosen = Array.from({ length: 90 }, (_, i) => i + 15);
    const folds = Int32Array.from(chosen, (i) => golden.fold[i]);
    const found = evaluateProbe(
      takeRows(rows, chosen),
      chosen.map((i) => labels[i]),
      chosen.map((i) => groups[i]),
      { estimator: 'mean_difference', ...quick, folds },
    );
    expect([...found.folds]).toEqual([...folds]);
    expect(found.aurocByFold).toHaveLength(5);
  });

  it('tells of every null fit', () => {
    const told: number[] = [];
    const onProgress = (done: number, total: number): void => {
      expect(total).toBe(19 * 5);
      told.push(done);
    };
    evaluateProbe(rows, labels, groups, { estimator: 'logistic', ...quick, onProgress });
    expect(told).toEqual(Array.from({ length: 95 }, (_, i) => i + 1));
  });

  it.each(['mean_difference', 'logistic'] as const)('finds a planted signal: %s', (estimator) => {
    const data = nullData(1, 'within groups');
    data.labels.forEach((label, i) => (data.rows.data[4 * i] += 4 * label));
    const found = evaluateProbe(data.rows, data.labels, data.groups, {
      estimator,
      folds: 3,
      shuffles: 99,
    });
    expect(found.auroc).toBeGreaterThan(0.9);
    expect(found.null.p).toBe(0.01);
    expect(found.null.max).toBeLessThan(found.low);
    expect(found.low).toBeLessThanOrEqual(found.auroc);
    expect(found.high).toBeGreaterThanOrEqual(found.auroc);
    expect(found.null.low).toBeLessThan(found.null.median);
    expect(found.null.median).toBeLessThan(found.null.high);
    expect(found.null.high).toBeLessThanOrEqual(found.null.max);
  });

  it.each([
    ['mean_difference', 'within groups'],
    ['mean_difference', 'between groups'],
    ['logistic', 'within groups'],
    ['logistic', 'between groups'],
  ] as const)(
    'calls a null significant as often as it says: %s, %s',
    { timeout: 120_000 },
    (estimator, kind) => {
      const sets = 200;
      let significant = 0;
      for (let seed = 0; seed < sets; seed++) {
        const data = nullData(seed, kind);
        const options: EvaluationOptions = { estimator, folds: 3, shuffles: 39, seed };
        const found = evaluateProbe(data.rows, data.labels, data.groups, options);
        expect(found.shuffled).toBe(kind);
        if (found.null.p <= 0.05) significant++;
      }
      // With 39 shuffles p ≤ .05 has a chance of 2/40; of 200 that is 10, and 99.9 % of the time 2 to 21.
      expect(significant).toBeGreaterThanOrEqual(2);
      expect(significant).toBeLessThanOrEqual(21);
    },
  );

  it('refuses what it cannot evaluate', () => {
    const options = { estimator: 'mean_difference', ...quick } as const;
    expect(() => evaluateProbe(rows, labels, groups.slice(1), options)).toThrow(
      '119 group values for 120 rows',
    );
    expect(() => evaluateProbe(rows, labels, groups, { ...options, shuffles: 0 })).toThrow(
      '"0" is not a number of shuffles',
    );
    expect(() => evaluateProbe(rows, labels, groups, { ...options, folds: 50 })).toThrow(
      '50 folds cannot be made of 19 groups without splitting one',
    );
    expect(() =>
      evaluateProbe(rows, labels, groups, { ...options, folds: new Int32Array(3) }),
    ).toThrow('3 folds for 120 rows');
    const gap = Int32Array.from(golden.fold, (fold) => (fold === 1 ? 2 : fold));
    expect(() => evaluateProbe(rows, labels, groups, { ...options, folds: gap })).toThrow(
      'no row of those chosen lies in fold 1',
    );
    const leaky = Int32Array.from(golden.fold, (fold, i) => (i === 119 ? (fold + 1) % 5 : fold));
    expect(() => evaluateProbe(rows, labels, groups, { ...options, folds: leaky })).toThrow(
      /^group "topic-\d+" lies in fold \d and in fold \d — row 119$/,
    );
    const broken = rowsOf(n, 10, rows.data.slice());
    broken.data[37] = Number.NaN;
    expect(() => evaluateProbe(broken, labels, groups, options)).toThrow(
      'activation NaN cannot be probed — row 3, dimension 7',
    );
    const first = groups.map((group, i) => (group === groups[0] && i > 0 ? 1 : 0));
    expect(() => evaluateProbe(rows, first, groups, options)).toThrow(
      /^every (test|training) row of fold \d has label 0$/,
    );
  });
});

describe('shuffledLabels', () => {
  const split = splitsOf(Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1), 2);
  const fours = ['a', 'a', 'b', 'b', 'c', 'c', 'd', 'd'];

  it('keeps the number of positives in each group, where groups hold both', () => {
    const mixed = [0, 1, 0, 1, 1, 1, 0, 1];
    const drawn = shuffledLabels(mixed, fours, split, 40, new Random(1));
    expect(drawn.shuffled).toBe('within groups');
    for (const labelling of drawn.labellings) {
      for (let g = 0; g < 4; g++) {
        expect(labelling[2 * g] + labelling[2 * g + 1]).toBe(mixed[2 * g] + mixed[2 * g + 1]);
      }
    }
    expect(new Set(drawn.labellings.map((labelling) => labelling.join(''))).size).toBe(8);
  });

  it('moves whole groups, where each has one label, and keeps both classes on every side', () => {
    const drawn = shuffledLabels([0, 0, 1, 1, 0, 0, 1, 1], fours, split, 40, new Random(1));
    expect(drawn.shuffled).toBe('between groups');
    for (const labelling of drawn.labellings) {
      for (let g = 0; g < 4; g++) expect(labelling[2 * g]).toBe(labelling[2 * g + 1]);
      expect(labelling[0] + labelling[2]).toBe(1);
      expect(labelling[4] + labelling[6]).toBe(1);
    }
    expect(new Set(drawn.labellings.map((labelling) => labelling.join(''))).size).toBe(4);
  });

  it('refuses groups that cannot be shuffled into both classes everywhere', () => {
    // Three folds of two groups each, and one positive group: no order puts it into all three.
    const three = splitsOf(Int32Array.of(0, 0, 1, 1, 2, 2), 3);
    const six = ['a', 'b', 'c', 'd', 'e', 'f'];
    expect(() => shuffledLabels([1, 0, 0, 0, 0, 0], six, three, 1, new Random(1))).toThrow(
      '6 groups are too few to shuffle labels among: 1000 draws each left a fold with one class',
    );
  });
});
