/**
 * Labels as they might have fallen if they had nothing to do with the activations.
 *
 * Where groups hold both labels, labels are shuffled inside each group, so that whatever the group
 * itself gives away stays as it was. Where every group has one label, that would change nothing; then
 * the labels of whole groups are shuffled among each other, and the result says so.
 */

import { UserError } from '../src/base/errors.ts';
import type { Random } from '../src/base/random.ts';
import { distinctGroups, sideWithoutBoth } from './folds.ts';
import type { Split } from './folds.ts';

export interface Shuffles {
  readonly shuffled: 'within groups' | 'between groups';
  /** `[shuffles][n]`, each 0 or 1. */
  readonly labellings: readonly Uint8Array[];
}

/** Draws for one shuffle that leave a fold with one class before we say that the data cannot bear it. */
const patience = 1000;

/**
 * Shuffled labels, each with both classes on both sides of every split, as the true labels have.
 *
 * @param labels 0 or 1, `[n]`.
 * @param groups `[n]`.
 * @throws {UserError} `LABELS_INVALID` when groups are too few to shuffle between.
 */
export function shuffledLabels(
  labels: ArrayLike<number>,
  groups: readonly string[],
  splits: readonly Split[],
  count: number,
  random: Random,
): Shuffles {
  const members = membersOf(groups);
  const isMixed = members.some((rows) => rows.some((i) => labels[i] !== labels[rows[0]]));
  const draw = isMixed ? shuffleWithin : shuffleBetween;
  const labellings = Array.from({ length: count }, (_, s) => {
    const stream = random.fork(s);
    for (let attempt = 0; attempt < patience; attempt++) {
      const drawn = draw(labels, members, stream);
      if (sideWithoutBoth(splits, drawn) === undefined) return drawn;
    }
    throw new UserError(
      'LABELS_INVALID',
      `${members.length} groups are too few to shuffle labels among: ${patience} draws each left a fold with one class`,
      { fix: 'Ask for fewer folds or for no shuffles, or choose rows of more groups.' },
    );
  });
  return { shuffled: isMixed ? 'within groups' : 'between groups', labellings };
}

/** The rows of each group, groups in code-unit order. */
export function membersOf(groups: readonly string[]): readonly (readonly number[])[] {
  const rowsOf = new Map<string, number[]>(distinctGroups(groups).map((group) => [group, []]));
  for (let i = 0; i < groups.length; i++) rowsOf.get(groups[i])?.push(i);
  return [...rowsOf.values()];
}

function shuffleWithin(
  labels: ArrayLike<number>,
  members: readonly (readonly number[])[],
  random: Random,
): Uint8Array {
  const out = new Uint8Array(labels.length);
  for (const rows of members) {
    const values = random.shuffle(rows.map((i) => labels[i]));
    for (let i = 0; i < rows.length; i++) out[rows[i]] = values[i];
  }
  return out;
}

function shuffleBetween(
  labels: ArrayLike<number>,
  members: readonly (readonly number[])[],
  random: Random,
): Uint8Array {
  const out = new Uint8Array(labels.length);
  const values = random.shuffle(members.map((rows) => labels[rows[0]]));
  for (let g = 0; g < members.length; g++) for (const i of members[g]) out[i] = values[g];
  return out;
}
