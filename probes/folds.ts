/**
 * Which rows are trained on and which are tested: whole groups, never part of one.
 *
 * A random split of rows lets a probe recognise the topic or the base prompt of a test row from its
 * siblings among the training rows; even a network with random weights then scores well above chance.
 * So rows that share a group value stay together, and the fold of a row depends on that value alone.
 */

import { UserError } from '../src/base/errors.ts';
import { plural } from '../src/base/units.ts';

/** One way to divide the rows, as ascending row numbers. */
export interface Split {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/**
 * The fold of each row: the distinct group values in code-unit order, the i-th in fold i mod k.
 *
 * @param groups One value a row, `[n]`.
 * @returns `[n]`, each in [0, k).
 * @throws {UserError} `SPLIT_LEAKS` when there are fewer groups than folds.
 */
export function groupedFolds(groups: readonly string[], k: number): Int32Array {
  if (!Number.isInteger(k) || k < 2) {
    throw new UserError('USAGE', `"${k}" is not a number of folds`, {
      fix: 'Ask for 2 folds or more.',
    });
  }
  const values = distinctGroups(groups);
  if (values.length < k) {
    throw new UserError(
      'SPLIT_LEAKS',
      `${k} folds cannot be made of ${plural(values.length, 'group')} without splitting one`,
      { fix: `Ask for at most ${Math.max(values.length, 2)} folds, or group by a finer column.` },
    );
  }
  const foldOf = new Map(values.map((value, i) => [value, i % k]));
  return Int32Array.from(groups, (group) => foldOf.get(group) ?? 0);
}

/** The distinct values in code-unit order. */
export function distinctGroups(groups: readonly string[]): readonly string[] {
  return [...new Set(groups)].sort();
}

/** For each fold, its rows tested and all others trained on. */
export function splitsOf(folds: Int32Array, k: number): readonly Split[] {
  const rows = Int32Array.from(folds, (_, i) => i);
  return Array.from({ length: k }, (_, fold) => ({
    train: rows.filter((i) => folds[i] !== fold),
    test: rows.filter((i) => folds[i] === fold),
  }));
}

/**
 * Refuses folds that put rows of one group on both sides of a split.
 *
 * @throws {UserError} `SPLIT_LEAKS`, naming the group.
 */
export function assertNoLeak(folds: Int32Array, groups: readonly string[]): void {
  const foldOf = new Map<string, number>();
  for (let i = 0; i < groups.length; i++) {
    const fold = foldOf.get(groups[i]) ?? folds[i];
    if (fold !== folds[i]) {
      throw new UserError(
        'SPLIT_LEAKS',
        `group "${groups[i]}" lies in fold ${fold} and in fold ${folds[i]}`,
        { where: `row ${i}`, fix: 'Keep all rows of a group in one fold.' },
      );
    }
    foldOf.set(groups[i], fold);
  }
}

/**
 * Refuses folds in which a side lacks a class, for then nothing can be fitted or ranked there.
 *
 * @throws {UserError} `LABELS_INVALID`, naming the fold and the side.
 */
export function assertBothClasses(splits: readonly Split[], labels: ArrayLike<number>): void {
  const lacking = sideWithoutBoth(splits, labels);
  if (lacking === undefined) return;
  const { side, fold, label } = lacking;
  throw new UserError(
    'LABELS_INVALID',
    label === undefined
      ? `no ${side} row of those chosen is there for fold ${fold}`
      : `every ${side} row of fold ${fold} has label ${label}`,
    { fix: 'Ask for fewer folds, or choose rows in which more groups of each class take part.' },
  );
}

/** The first side of a split on which one class is missing. */
export function sideWithoutBoth(
  splits: readonly Split[],
  labels: ArrayLike<number>,
):
  | {
      readonly fold: number;
      readonly side: 'training' | 'test';
      /** Undefined where the side has no rows. */
      readonly label: number | undefined;
    }
  | undefined {
  for (let fold = 0; fold < splits.length; fold++) {
    for (const side of ['training', 'test'] as const) {
      const rows = side === 'training' ? splits[fold].train : splits[fold].test;
      const label: number | undefined = rows.length === 0 ? undefined : labels[rows[0]];
      if (rows.every((i) => labels[i] === label)) return { fold, side, label };
    }
  }
  return undefined;
}
