/**
 * Which rows of a run does a question take, with which labels, and in which folds?
 *
 * Folds are made of all prompts of the run, so that questions on subsets are tested on the same groups.
 */

import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { parseSite } from '../graph/sites.ts';
import type { CheckpointRecord } from '../contract/manifest.ts';
import { groupedFolds } from '../../probes/folds.ts';
import type { Run } from '../record/run.ts';
import type { Prompt } from '../text/prompts.ts';
import type { JudgedRows } from './baselines.ts';
import { refuseSplitTopics, type FoldsOf } from './straddle.ts';
import { columnOf, isTrue, parseWhere } from './where.ts';

/** What decides the rows, their labels and their folds. */
export interface RowsRequest {
  readonly position: string;
  readonly label: string;
  /** Rows that take part; '' for all. */
  readonly where: string;
  /** Column whose values stay together. */
  readonly groups: string;
  readonly folds: number;
  /** Whether prompts of one topic may lie in several folds; refused if left out. */
  readonly splitsTopics?: boolean;
}

export interface ChosenRows extends JudgedRows {
  readonly index: Int32Array;
  /** The prompt of each row. */
  readonly prompts: readonly Prompt[];
  /** Tokens up to and including the row's own; 0 where that is not known. */
  readonly tokens: readonly number[];
  /** Where all tokens of a prompt are read as one: how many of `index` are each prompt's. Null for single rows. */
  readonly sizes: readonly number[] | null;
}

/**
 * The rows of a position that a request is about.
 *
 * @throws {UserError} `LABELS_INVALID` where none is, `SPLIT_LEAKS` where folds of the groups split a topic.
 */
export function chosenRows(run: Run, request: RowsRequest): ChosenRows {
  const matches = parseWhere(request.where);
  const records = run.rowsAt(request.position);
  const made = foldsOf(run.prompts, request);
  if (request.splitsTopics !== true) refuseSplitTopics(run.prompts, made);
  const foldOf = new Map(made.groups.map((group, i) => [group, made.folds[i]]));
  const taken = records.filter(({ prompt }) => matches(run.prompts[prompt]));
  if (taken.length === 0) {
    throw new UserError('LABELS_INVALID', `no row meets "${request.where}"`, {
      where: `position ${request.position}`,
      fix: 'Relax --where.',
    });
  }
  const groups = taken.map(({ prompt }) => groupOf(run.prompts[prompt], request.groups));
  return {
    index: Int32Array.from(taken, ({ row }) => row),
    labels: Uint8Array.from(taken, ({ prompt }) =>
      Number(isTrue(run.prompts[prompt], request.label)),
    ),
    groups,
    folds: Int32Array.from(groups, (group) => foldOf.get(group) ?? 0),
    prompts: taken.map(({ prompt }) => run.prompts[prompt]),
    tokens: taken.map(({ token_index: index }) => (index === null ? 0 : index + 1)),
    sizes: null,
  };
}

/** The same with all rows of a prompt as one: labels, groups and folds are those of prompts. */
export function chosenPrompts(run: Run, request: RowsRequest): ChosenRows {
  const rows = chosenRows(run, request);
  const firsts: number[] = [];
  rows.prompts.forEach((prompt, i) => {
    if (i === 0 || prompt !== rows.prompts[i - 1]) firsts.push(i);
  });
  invariant(new Set(rows.prompts).size === firsts.length, 'tokens of a prompt lie apart');
  const ends = [...firsts.slice(1), rows.index.length];
  return {
    index: rows.index,
    labels: Uint8Array.from(firsts, (i) => rows.labels[i]),
    groups: firsts.map((i) => rows.groups[i]),
    folds: Int32Array.from(firsts, (i) => rows.folds[i]),
    prompts: firsts.map((i) => rows.prompts[i]),
    tokens: ends.map((end) => rows.tokens[end - 1]),
    sizes: firsts.map((first, p) => ends[p] - first),
  };
}

/** Folds of all prompts of a run. */
export function foldsOf(
  prompts: readonly Prompt[],
  { groups: column, folds }: Pick<RowsRequest, 'groups' | 'folds'>,
): FoldsOf {
  const groups = prompts.map((prompt) => groupOf(prompt, column));
  return { column, groups, folds: groupedFolds(groups, folds) };
}

/** The group of a prompt, as text. */
export function groupOf(prompt: Prompt, column: string): string {
  return String(columnOf(prompt, column));
}

/**
 * The untrained twin that a trained checkpoint is held against: random weights in its own architecture, its own
 * weights' twin before another's. Undefined where the run has none, or this is one.
 */
export function twinOf(run: Run, checkpoint: string, site: string): CheckpointRecord | undefined {
  const { checkpoints } = run.manifest;
  const own = checkpoints.find(({ name }) => name === checkpoint);
  if (own === undefined || own.twin_seed !== null) return undefined;
  const alike = checkpoints.filter(
    ({ twin_seed: seed, family, n_layers: layers, d_model: width, files }) =>
      seed !== null &&
      family === own.family &&
      layers === own.n_layers &&
      width === own.d_model &&
      Object.hasOwn(files, site),
  );
  return alike.find(({ sha256 }) => sha256 === own.sha256) ?? alike.at(0);
}

/** Sites of a kind that the run holds for a checkpoint, block after block. */
export function sitesOfKind(run: Run, checkpoint: string, kind: string): string[] {
  const record = run.manifest.checkpoints.find(({ name }) => name === checkpoint);
  if (record === undefined) {
    const names = run.manifest.checkpoints.map(({ name }) => name).join(', ');
    throw new UserError('USAGE', `the run has no checkpoint "${checkpoint}"`, {
      where: run.folder,
      fix: `Choose among ${names}.`,
    });
  }
  const sites = Object.keys(record.files)
    .map((key) => ({ key, ...parseSite(key) }))
    .filter((site) => site.kind === kind)
    .sort((a, b) => (a.block ?? 0) - (b.block ?? 0))
    .map(({ key }) => key);
  if (sites.length > 0) return sites;
  if (/\.\d/.test(kind)) {
    throw new UserError(
      'USAGE',
      `"${kind}" names a block, and this goes over all blocks of a kind`,
      {
        where: '--sites',
        fix: `Choose among ${[...new Set(Object.keys(record.files).map((key) => parseSite(key).kind))].join(', ')}.`,
      },
    );
  }
  throw new UserError('USAGE', `the run holds no site "${kind}" of "${checkpoint}"`, {
    where: run.folder,
    fix: `Extract it with --sites ${kind} --add.`,
  });
}
