/**
 * What in a prompt set would let a probe cheat? All checks, in one pass over the rows.
 *
 * The checks of chance (length, words, cells) share one rate of false alarms; see chance.ts. The others are
 * facts. What could not be looked at is said, so that silence is not taken for a clean bill.
 */

import { lintKinds } from '../../base/choices.ts';
import { UserError } from '../../base/errors.ts';
import type { Run } from '../../record/run.ts';
import type { Prompt, PromptSet } from '../../text/prompts.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { columnOf, isTrue, parseWhere } from '../where.ts';
import { identicalActivations } from './activations.ts';
import type { LintFinding, LintLabel, LintRows } from './finding.ts';
import { judgeLabels } from './labels.ts';
import { duplicates, nearDuplicates, textOf } from './repeats.ts';
import { misplacedTriggers, straddlingGroups, type TriggerRows, wholeWords } from './structure.ts';
import { cutRows, lostTokens, type TokenLimit } from './tokens.ts';

export interface LintOptions {
  /** Columns of true and false; `harmful` and `triggered` where all rows have them, unless told. */
  readonly labels?: readonly string[];
  /** What probes will keep together; `topic` or else `pair` where all rows have it, unless told. */
  readonly groups?: string;
  /** `split` where all rows have it, unless told. */
  readonly split?: string;
  /** The column that says whether a row is triggered. */
  readonly triggered: string;
  /** The trigger, where rows do not name theirs. */
  readonly trigger?: string;
  /** Rows that take part; '' for all. */
  readonly where: string;
  readonly tokenizer?: Tokenizer;
  readonly limit?: TokenLimit;
  readonly run?: Run;
}

export interface LintResult {
  readonly findings: readonly LintFinding[];
  /** What was not looked at, and why. */
  readonly notes: readonly string[];
  readonly rows: LintRows;
}

/**
 * Looks at a prompt set.
 *
 * @throws {UserError} `LABELS_INVALID` for columns that are named and not there or hold something else;
 *   `PROMPTS_INVALID` where the run has other prompts; `USAGE` for a condition that cannot be read.
 */
export async function lintPrompts(set: PromptSet, options: LintOptions): Promise<LintResult> {
  const { tokenizer, run } = options;
  const matches = parseWhere(options.where);
  const prompts = set.prompts.filter((prompt) => matches(prompt));
  if (prompts.length === 0) {
    const fix = 'Relax --where.';
    throw new UserError('LABELS_INVALID', `no row meets "${options.where}"`, {
      where: set.path,
      fix,
    });
  }
  if (run !== undefined) requireSamePrompts(run, set);
  const cut = tokenizer === undefined ? null : cutRows(set, prompts, tokenizer);
  const triggers = triggersOf(prompts, options);
  const rows = rowsOf(prompts, options, triggers, cut?.map(({ length }) => length) ?? null);
  const judged = judgeLabels(rows);
  const recorded = run === undefined ? null : await identicalActivations(run, prompts);
  const found = [
    ...duplicates(rows),
    ...nearDuplicates(rows),
    ...straddlingGroups(rows),
    ...misplacedTriggers(rows, triggers),
    ...judged.findings,
    ...(cut === null ? [] : lostTokens(prompts, cut, options.limit ?? null)),
    ...(recorded?.findings ?? []),
  ];
  return {
    findings: found.toSorted((a, b) => lintKinds.indexOf(a.kind) - lintKinds.indexOf(b.kind)),
    notes: [
      ...notesOn(rows, triggers),
      ...judged.notes,
      ...(cut === null ? ['tokens: give --model'] : []),
      ...(recorded === null ? ['activations: give --run'] : recorded.notes),
    ],
    rows,
  };
}

function requireSamePrompts(run: Run, { prompts, path }: PromptSet): void {
  const known = new Map(prompts.map((prompt) => [prompt.id, prompt]));
  const strange = run.prompts.find((own) => {
    const other = known.get(own.id);
    return other === undefined || textOf(other) !== textOf(own);
  });
  if (strange === undefined) return;
  const what = known.has(strange.id) ? 'says something else in' : 'is not in';
  throw new UserError('PROMPTS_INVALID', `prompt "${strange.id}" of the run ${what} the file`, {
    where: `${run.folder} and ${path}`,
    fix: 'Give the prompts that the run was made of, or leave the file out: the run keeps its own.',
  });
}

function triggersOf(prompts: readonly Prompt[], options: LintOptions): TriggerRows {
  const text = (value: unknown): string | null =>
    typeof value === 'string' && value.trim() !== '' ? value : null;
  const own = prompts.map(({ columns }) => text(columns['trigger']) ?? options.trigger ?? null);
  const shams = prompts.map(({ columns }) => text(columns['sham']));
  return {
    triggered: prompts.map((prompt) =>
      (prompt.columns[options.triggered] ?? null) === null
        ? null
        : isTrue(prompt, options.triggered),
    ),
    own,
    all: [...new Set(own.filter((trigger) => trigger !== null))],
    shams: [...new Set(shams.filter((sham) => sham !== null))],
  };
}

function rowsOf(
  prompts: readonly Prompt[],
  options: LintOptions,
  { all, shams }: TriggerRows,
  tokens: readonly number[] | null,
): LintRows {
  const isEverywhere = (column: string): boolean =>
    prompts.every(({ columns }) => (columns[column] ?? null) !== null);
  const groupColumn = options.groups ?? ['topic', 'pair'].find(isEverywhere) ?? null;
  const splitColumn = options.split ?? ['split'].find(isEverywhere) ?? null;
  const labels = options.labels ?? ['harmful', options.triggered].filter(isEverywhere);
  const texts = prompts.map(textOf);
  const marks = [...all, ...shams].map((words) => new RegExp(wholeWords(words), 'giu'));
  const bareTexts = texts.map((text) =>
    marks.reduce((rest, mark) => rest.replace(mark, ' '), text),
  );
  return {
    prompts,
    texts,
    bareTexts,
    groupColumn,
    groups: prompts.map((prompt) =>
      groupColumn === null ? `row ${prompt.id}` : String(columnOf(prompt, groupColumn)),
    ),
    splitColumn,
    splits:
      splitColumn === null ? null : prompts.map((prompt) => String(columnOf(prompt, splitColumn))),
    labels: labels.map((column): LintLabel => ({
      column,
      values: Uint8Array.from(prompts, (prompt) => Number(isTrue(prompt, column))),
      isUnnamedTrigger: column === options.triggered && all.length === 0,
    })),
    lengths: Float64Array.from(
      tokens ?? texts.map((text) => text.split(/\s+/).filter((word) => word !== '').length),
    ),
    unit: tokens === null ? 'words' : 'tokens',
  };
}

/** Checks that these rows leave nothing to look at for. */
function notesOn(rows: LintRows, { triggered, all }: TriggerRows): string[] {
  const says = triggered.some((value) => value !== null);
  return [
    ...(rows.labels.length === 0 ? ['labels: no column says any; give --label'] : []),
    ...(rows.groupColumn === null
      ? ['groups: no column says any, so that each row is its own; give --groups']
      : []),
    ...(rows.splits === null ? ['splits: no column says any; give --split'] : []),
    ...(says && all.length === 0 ? ['triggers: no row names its trigger; give --trigger'] : []),
    ...(says ? [] : ['triggers: no column says which rows are triggered']),
  ];
}
