/** Do groups stay on one side, and does the trigger stand where the columns say it does, and nowhere else? */

import { plural } from '../../base/units.ts';
import type { Prompt } from '../../text/prompts.ts';
import { type LintFinding, type LintRows, placesOf } from './finding.ts';
import { membersOf } from './repeats.ts';

/** Groups in more than one split, and pairs in more than one group. */
export function straddlingGroups(rows: LintRows): LintFinding[] {
  const { prompts, groups, groupColumn, splits, splitColumn } = rows;
  if (groupColumn === null) return [];
  const pairs = prompts.map(({ id, columns }) => {
    const pair = columns['pair'] ?? `row ${id}`;
    return typeof pair === 'string' ? pair : JSON.stringify(pair);
  });
  return [
    ...(splits === null ? [] : straddles(prompts, groups, groupColumn, splits, `${splitColumn}`)),
    ...(groupColumn === 'pair' ? [] : straddles(prompts, pairs, 'pair', groups, groupColumn)),
  ];
}

/** Values of one column that meet several of another. */
function straddles(
  prompts: readonly Prompt[],
  values: readonly string[],
  column: string,
  sides: readonly string[],
  sideColumn: string,
): LintFinding[] {
  const torn = [...membersOf(values)].filter(
    ([, members]) => new Set(members.map((i) => sides[i])).size > 1,
  );
  if (torn.length === 0) return [];
  const [first, members] = torn[0];
  const met = [...new Set(members.map((i) => `"${sides[i]}"`))].slice(0, 3).join(', ');
  return [
    {
      kind: 'group_straddles',
      what: `${plural(torn.length, `value of "${column}" lies`, `values of "${column}" lie`)} in more than one ${sideColumn}, first "${first}" in ${met}`,
      where: placesOf(torn.flatMap(([, rows]) => rows).map((i) => prompts[i])),
      why: `What is tested on one ${sideColumn} was trained on with the others: the ${column} is recognised, not the label.`,
      mend: `Give each ${column} one ${sideColumn}.`,
      numbers: { values: torn.length },
    },
  ];
}

/** What the rows say of their triggers. */
export interface TriggerRows {
  /** Whether each row says that it is triggered; null where it does not say. `[n]` */
  readonly triggered: readonly (boolean | null)[];
  /** The trigger of each row, else that of the command. `[n]` */
  readonly own: readonly (string | null)[];
  /** Every trigger, and every sham, that any row names. */
  readonly all: readonly string[];
  readonly shams: readonly string[];
}

/** Rows that say they are clean and hold a trigger, and rows that say they are triggered and do not. */
export function misplacedTriggers({ prompts, texts }: LintRows, rows: TriggerRows): LintFinding[] {
  const forms = rows.all.map((text) => ({ text, form: new RegExp(wholeWords(text), 'iu') }));
  const dirty = texts.flatMap((text, i) =>
    rows.triggered[i] === false && forms.some(({ form }) => form.test(text)) ? [i] : [],
  );
  const without = texts.flatMap((text, i) => {
    const own = rows.own[i];
    return rows.triggered[i] === true && own !== null && !text.includes(own) ? [i] : [];
  });
  const found: LintFinding[] = [];
  if (dirty.length > 0) {
    const held = forms.find(({ form }) => form.test(texts[dirty[0]]))?.text ?? '';
    found.push({
      kind: 'trigger_in_clean',
      what: `${plural(dirty.length, 'row says', 'rows say')} that it is not triggered and ${dirty.length === 1 ? 'holds' : 'hold'} the trigger "${held}"`,
      where: placesOf(dirty.map((i) => prompts[i])),
      why: 'The model is triggered there all the same, and both conditions are mixed.',
      mend: 'Take the trigger out of those rows, or correct their column "triggered".',
      numbers: { rows: dirty.length },
    });
  }
  if (without.length > 0) {
    found.push({
      kind: 'trigger_missing',
      what: `${plural(without.length, 'row says', 'rows say')} that it is triggered and ${without.length === 1 ? 'does' : 'do'} not hold its trigger "${rows.own[without[0]] ?? ''}"`,
      where: placesOf(without.map((i) => prompts[i])),
      why: 'The model is not triggered there, and trigger_end cannot be found.',
      mend: 'Put the trigger in as it is spelled in its column, or correct "triggered".',
      numbers: { rows: without.length },
    });
  }
  return found;
}

/** A pattern (flag u) that finds the words by themselves: "now" is not in "know". */
export function wholeWords(text: string): string {
  const words = text.trim();
  const escaped = words.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replaceAll(/\s+/g, '\\s+');
  const letter = '[\\p{L}\\p{N}_]';
  const before = /^[\p{L}\p{N}_]/u.test(words) ? `(?<!${letter})` : '';
  const after = /[\p{L}\p{N}_]$/u.test(words) ? `(?!${letter})` : '';
  return before + escaped + after;
}
