import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  assertBothClasses,
  assertNoLeak,
  distinctGroups,
  groupedFolds,
  splitsOf,
} from '../../probes/folds.ts';
import { readGolden } from '../support/sines.ts';

const grouping = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), {
  minLength: 1,
  maxLength: 60,
});

describe('groupedFolds', () => {
  it('never divides a group, uses every fold, and spreads the groups evenly', () => {
    fc.assert(
      fc.property(grouping, fc.integer({ min: 2, max: 5 }), (groups, k) => {
        const distinct = distinctGroups(groups).length;
        fc.pre(distinct >= k);
        const folds = groupedFolds(groups, k);
        expect(() => assertNoLeak(folds, groups)).not.toThrow();
        for (const { train, test } of splitsOf(folds, k)) {
          const trained = new Set(Array.from(train, (i) => groups[i]));
          const tested = new Set(Array.from(test, (i) => groups[i]));
          expect([...tested].filter((group) => trained.has(group))).toEqual([]);
          expect(train.length + test.length).toBe(groups.length);
          expect(tested.size).toBeGreaterThanOrEqual(Math.floor(distinct / k));
          expect(tested.size).toBeLessThanOrEqual(Math.ceil(distinct / k));
        }
      }),
    );
  });

  it('puts the i-th group in code-unit order into fold i mod k', () => {
    // In code units 'B' < 'a' < 'b' < 'é'.
    expect([...groupedFolds(['b', 'é', 'a', 'B', 'b'], 3)]).toEqual([2, 0, 1, 0, 2]);
  });

  it('matches the folds that Python makes by the same rule', () => {
    const { folds }: { folds: { fold: number[] } } = readGolden('probes/probes.json');
    const groups = Array.from({ length: 120 }, (_, i) => `topic-${(i * i * 7) % 37}`);
    expect([...groupedFolds(groups, 5)]).toEqual(folds.fold);
  });

  it('refuses fewer groups than folds, and a number that is none', () => {
    expect(() => groupedFolds(['a', 'b', 'a'], 3)).toThrow(
      '3 folds cannot be made of 2 groups without splitting one',
    );
    expect(() => groupedFolds(['a', 'b'], 1)).toThrow('"1" is not a number of folds');
  });
});

describe('assertNoLeak', () => {
  it('refuses a group that lies in two folds', () => {
    expect(() => assertNoLeak(Int32Array.of(0, 1, 1), ['a', 'b', 'a'])).toThrow(
      'group "a" lies in fold 0 and in fold 1 — row 2',
    );
  });
});

describe('assertBothClasses', () => {
  const splits = splitsOf(Int32Array.of(0, 0, 1, 1, 2, 2), 3);

  it('accepts both labels everywhere', () => {
    expect(() => assertBothClasses(splits, [0, 1, 1, 0, 0, 1])).not.toThrow();
  });

  it('refuses a side with one label, naming fold and side', () => {
    expect(() => assertBothClasses(splits, [0, 1, 1, 1, 0, 1])).toThrow(
      'every test row of fold 1 has label 1',
    );
    expect(() => assertBothClasses(splits, [0, 1, 0, 0, 0, 0])).toThrow(
      'every training row of fold 0 has label 0',
    );
    expect(() => assertBothClasses(splitsOf(Int32Array.of(0, 0, 2, 2), 3), [0, 1, 0, 1])).toThrow(
      'no test row of those chosen is there for fold 1',
    );
  });
});
