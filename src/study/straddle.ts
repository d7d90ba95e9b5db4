/**
 * Does something that prompts share lie on both sides of a fold?
 *
 * A probe recognises the topic of a test row from its siblings among the training rows, and a network with random
 * weights then reads well above chance. So a topic on both sides is refused unless it is asked for by name. Other columns that gather
 * whole groups may be the same thing under another name, or not: they are named.
 */

import { UserError } from '../base/errors.ts';
import type { Prompt } from '../text/prompts.ts';

/** The column that is never on both sides unless told. */
export const topicColumn = 'topic';
/** Sides of a set by design, however many there are: no topic under another name. */
const splitColumn = 'split';

/** Folds that were made of a column. */
export interface FoldsOf {
  readonly column: string;
  readonly groups: readonly string[];
  /** Of each prompt. */
  readonly folds: Int32Array;
}

/** @throws {UserError} `SPLIT_LEAKS` where prompts of one topic lie in two folds. */
export function refuseSplitTopics(prompts: readonly Prompt[], { column, folds }: FoldsOf): void {
  if (column === topicColumn) return;
  const foldOf = new Map<unknown, number>();
  for (const [i, { columns }] of prompts.entries()) {
    const topic = columns[topicColumn];
    if (topic === undefined || topic === null) continue;
    const fold = foldOf.get(topic) ?? folds[i];
    foldOf.set(topic, fold);
    if (fold === folds[i]) continue;
    throw new UserError(
      'SPLIT_LEAKS',
      `prompts of topic ${JSON.stringify(topic)} lie in fold ${fold} and in fold ${folds[i]}`,
      {
        where: `--groups ${column}`,
        cause: 'A probe would know test rows by their topic.',
        fix: 'Leave --groups at topic, or ask for folds inside topics by --split-topics.',
      },
    );
  }
}

/**
 * Columns of text other than `topic` whose values each gather whole groups and still lie in two folds, with enough values
 * to make folds of. `split` is none: folds that keep its sides whole test each on what the others were made for.
 */
export function straddlingColumns(
  prompts: readonly Prompt[],
  { column, groups, folds }: FoldsOf,
): readonly string[] {
  const count = new Set(folds).size;
  const names = new Set(prompts.flatMap(({ columns }) => Object.keys(columns)));
  return [...names].filter((name) => {
    if (name === column || name === topicColumn || name === splitColumn) return false;
    const values = prompts.map(({ columns }) => columns[name]);
    if (!values.every((value) => typeof value === 'string')) return false;
    const distinct = new Set(values).size;
    return (
      distinct >= count &&
      distinct < new Set(groups).size &&
      isDecidedBy(values, groups) &&
      !isDecidedBy(Array.from(folds, String), values)
    );
  });
}

/** Whether equal keys go with equal values. */
function isDecidedBy(values: readonly string[], keys: readonly string[]): boolean {
  const valueOf = new Map<string, string>();
  return keys.every((key, i) => {
    const known = valueOf.get(key) ?? values[i];
    valueOf.set(key, known);
    return known === values[i];
  });
}
