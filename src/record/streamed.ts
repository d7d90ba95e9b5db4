/**
 * Takes prompts through models that need not fit into memory: stage by stage, and in each stage
 * checkpoint by checkpoint, and in each checkpoint pass by pass.
 *
 * A stage is a graph of its own whose weights stay in their files; checkpoints on one base find its bytes
 * in the page cache. Between two stages the stream of all passes lies in a scratch file: one is read while
 * the other is written, so that what a stage reads is whole however the stage ends. Nothing in memory
 * grows with the number of prompts or of blocks.
 */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { Progress, ShouldStop } from '../base/progress.ts';
import type { Graph } from '../graph/onnx.ts';
import { siteKey } from '../graph/sites.ts';
import { openScratch, type Scratch } from '../files/scratch.ts';
import { openSession, type Feed, type Fetch, type Session } from '../runtime/session.ts';
import { openWidened, type WidenedWeights } from '../runtime/widened.ts';
import { Caches, neededFrom } from './caches.ts';
import { runHead } from './head.ts';
import { rowShape, type Plan, type PlannedCheckpoint } from './plan.ts';
import { feedsOf, writeSites } from './runPass.ts';
import { sharesPasts, tokensOf, tokensRead, type Pass } from './segments.ts';
import {
  describeStage,
  graphOf,
  headGroups,
  lookedUpAtOnce,
  portsOf,
  scratchSizes,
  sitesAt,
  stagesOf,
  threadsFor,
  type Stage,
} from './stages.ts';
import type { CheckpointWriter } from './checkpointWriter.ts';
import type { RunWriter } from './store.ts';
import { drawnWeights, type DrawnWeights } from './twinFile.ts';
import { noRows, wantedRows, type WantedRows } from './wantedRows.ts';

export interface Listeners {
  readonly progress: Progress;
  readonly shouldStop: ShouldStop;
}

/** What a streamed run needs beside its plan. */
export interface Streaming extends Listeners {
  /** Where the weights of the stage at hand are widened; null where each pass widens them. */
  readonly widened: WidenedWeights | null;
}

/**
 * Runs what is left of some checkpoints.
 *
 * @returns Tokens that went through each model, summed.
 * @throws {UserError} `ENDED_EARLY` once `shouldStop` says so, with everything sealed; `NOT_FINITE`
 *   naming prompt and site.
 */
export async function runStreamed(
  plan: Plan,
  tasks: readonly PlannedCheckpoint[],
  run: RunWriter,
  { progress, shouldStop, widened }: Streaming,
): Promise<number> {
  const streams: Stream[] = [];
  try {
    for (const task of tasks) {
      if (await run.isFinished(task.record.name, task.sites.map(siteKey))) continue;
      streams.push(await openStream(plan, task, run, { progress, widened }));
    }
    const depth = Math.max(0, ...streams.map(({ stages }) => stages.length));
    for (let s = 0; s < depth; s++) {
      for (const stream of streams.filter(({ stages }) => s < stages.length)) {
        await runStage(stream, s, { progress, shouldStop });
        if (s + 1 === stream.stages.length) await settle(stream);
      }
    }
    return streams.length * tokensRead(plan.passes);
  } finally {
    for (const stream of streams) close(stream);
  }
}

/** A checkpoint on its way. */
interface Stream {
  readonly plan: Plan;
  readonly task: PlannedCheckpoint;
  readonly run: RunWriter;
  readonly writer: CheckpointWriter;
  readonly stages: readonly Stage[];
  /** Units before each stage, and at last of all. */
  readonly starts: readonly number[];
  /** A stage reads what the stage before it wrote, and writes into the other one. */
  readonly scratch: readonly [Scratch, Scratch];
  /** A twin's weights, which lie in no file of a checkpoint. */
  readonly drawn: DrawnWeights | null;
  readonly widened: WidenedWeights | null;
  isClosed: boolean;
}

async function openStream(
  plan: Plan,
  task: PlannedCheckpoint,
  run: RunWriter,
  { progress, widened }: Pick<Streaming, 'progress' | 'widened'>,
): Promise<Stream> {
  const { record, sites, model } = task;
  const positions = plan.positions.map(({ record: position }) => position);
  const files = sites.map((site) => ({
    site: siteKey(site),
    shape: rowShape(site, model, plan.longest),
    positions,
  }));
  const folder = await run.scratchFolder(record.name);
  const sizes = scratchSizes(plan, model.settings.width);
  const [even, odd] = ['even', 'odd'].map((name) => openScratch(join(folder, name), sizes));
  const stages = stagesOf(sites, model);
  const starts = [0];
  for (const stage of stages) {
    const units = stage.kind === 'head' ? headGroups(plan, model).length : plan.passes.length;
    starts.push(starts[starts.length - 1] + units);
  }
  const drawn = record.twin_seed === null ? null : drawnWeights(model, record.twin_seed, folder);
  const scratch = [even, odd] as const;
  const opened = { plan, run, stages, starts, scratch, drawn, widened, isClosed: false };
  const bound = drawn === null ? task : { ...task, bind: drawn.bind };
  const writer = await run.openCheckpoint(record.name, files);
  const stream = { ...opened, task: bound, writer };
  if (isIntact(stream)) return stream;
  progress.note(`${record.name}: its scratch files are not as they were left; it begins again`);
  writer.close();
  return { ...stream, writer: await run.openCheckpoint(record.name, files, true) };
}

/** Whether all that the next unit and those after it will read is there. */
function isIntact(stream: Stream): boolean {
  const { writer, starts, stages, scratch, plan } = stream;
  const s = starts.findLastIndex((start) => start <= writer.done);
  if (writer.done === 0 || s >= stages.length) return true;
  const within = writer.done - starts[s];
  const holds = (stage: number, pass: number): boolean =>
    scratch[stage % 2].read(pass, tagOf(stage)) !== null;
  return plan.passes.every(
    (_, i) =>
      (s === 0 || holds(s - 1, i)) &&
      (stages[s].kind === 'head' || s + 1 === stages.length || i >= within || holds(s, i)),
  );
}

function tagOf(stage: number): string {
  return `stage ${stage}`;
}

/** Runs what is left of one stage. */
async function runStage(
  stream: Stream,
  s: number,
  { progress, shouldStop }: Listeners,
): Promise<void> {
  const { starts, writer, stages, task, plan, scratch } = stream;
  const [start, end] = [starts[s], starts[s + 1]];
  if (writer.done >= end) return;
  const stage = stages[s];
  const title = `${task.record.name}, ${describeStage(stage, task.model)}`;
  const sync = (): void => scratch[s % 2].sync();
  const work = stage.kind === 'head' ? headWork(stream, s) : await passWork(stream, s, stage);
  const needed = work.needed(writer.done - start);
  try {
    progress.begin(title, tokensRead(plan.passes), 'tokens');
    for (let unit = 0, tokens = 0; unit < end - start; unit++) {
      tokens += work.tokens(unit);
      const isWritten = start + unit < writer.done;
      if (!isWritten && shouldStop()) {
        writer.commit(start + unit, true, sync);
        throw endedEarly(title, stream.run.folder);
      }
      if (needed[unit]) await work.run(unit, isWritten);
      if (isWritten) continue;
      writer.commit(start + unit + 1, start + unit + 1 === end, sync);
      progress.update(tokens);
    }
    writer.rest();
  } finally {
    await work.close();
    stream.drawn?.forget();
  }
}

/** The units of a stage. */
interface Work {
  tokens(unit: number): number;
  /** Which units run, if all before `done` are written. */
  needed(done: number): readonly boolean[];
  /** Runs a unit; one that is written runs only for what it leaves to later ones. */
  run(unit: number, isWritten: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Embedding, a block, or the norm: one pass is one unit. */
async function passWork(
  stream: Stream,
  s: number,
  stage: Exclude<Stage, { kind: 'head' }>,
): Promise<Work> {
  const { plan, task, writer, scratch, stages } = stream;
  const { passes } = plan;
  const { settings } = task.model;
  const isShared = stage.kind === 'block' && sharesPasts(passes);
  const graph = graphOf(task, stage, plan.longest, portsOf(passes));
  const blocks = stage.kind === 'block' ? { from: stage.layer, to: stage.layer + 1 } : null;
  const caches = isShared && blocks !== null ? new Caches(passes, { blocks, ...settings }) : null;
  const sites = sitesAt(stage, task.sites);
  const next =
    s + 1 === stages.length ? [] : [stage.kind === 'norm' ? 'final_norm' : 'stream.next'];
  let session = await openMapped(stream, graph);
  let lookedUp = 0;

  const feeds = (i: number, rows: WantedRows): Record<string, Feed> => {
    const steady = withTwoRows(passes[i]);
    const copies = steady.segments.length / passes[i].segments.length;
    const given = { ...feedsOf(plan, steady, rows), ...caches?.feedsOf(i, copies) };
    return s === 0 ? given : { ...given, stream: streamOf(stream, s, i, steady) };
  };
  const write = (i: number, wanted: WantedRows, fetched: Readonly<Record<string, Fetch>>): void => {
    writeSites(plan, task, { pass: passes[i], wanted, sites, fetched }, writer);
    const rows = stage.kind === 'norm' ? wanted.rows.length : tokensOf(passes[i]);
    for (const name of next) {
      scratch[s % 2].write(i, tagOf(s), fetched[name].data.subarray(0, rows * settings.width));
    }
  };
  return {
    tokens: (i) => tokensOf(passes[i]),
    needed: (done) => (isShared ? neededFrom(passes, done) : passes.map((_, i) => i >= done)),
    async run(i, isWritten) {
      const wanted = isWritten ? noRows : wantedRows(plan, passes[i]);
      if (stage.kind === 'embedding' && (lookedUp += tokensOf(passes[i])) > lookedUpAtOnce) {
        await session.close();
        session = await openMapped(stream, graph);
        lookedUp = tokensOf(passes[i]);
      }
      const keys = isWritten ? [] : [...new Set([...sites.map(siteKey), ...next])];
      const names = [...keys, ...(caches?.outputsOf(i) ?? [])];
      const fetched = await session.run(feeds(i, wanted), names);
      caches?.keep(i, fetched);
      if (!isWritten) write(i, wanted, fetched);
    },
    close: () => session.close(),
  };
}

/** The stream of a pass as the stage before left it. Shape: `[tokens, d]`. */
function streamOf({ scratch, task, run }: Stream, s: number, i: number, pass: Pass): Feed {
  const { width } = task.model.settings;
  const data = scratch[(s - 1) % 2].read(i, tagOf(s - 1));
  if (data === null) throw spoilt(task.record.name, run.folder);
  const rows = tokensOf(pass);
  if (data.length === rows * width) return { data, shape: [rows, width] };
  const repeated = new Float32Array(rows * width);
  for (let at = 0; at < repeated.length; at += data.length) repeated.set(data, at);
  return { data: repeated, shape: [rows, width] };
}

/** The head: the rows of some passes are one unit. */
function headWork(stream: Stream, s: number): Work {
  const { plan, task, writer, scratch, run } = stream;
  const groups = headGroups(plan, task.model);
  return {
    tokens: (unit) => groups[unit].reduce((sum, i) => sum + tokensOf(plan.passes[i]), 0),
    needed: (done) => groups.map((_, unit) => unit >= done),
    async run(unit) {
      const parts = groups[unit].map((i) => {
        const normed = scratch[(s - 1) % 2].read(i, tagOf(s - 1));
        if (normed === null) throw spoilt(task.record.name, run.folder);
        return { wanted: wantedRows(plan, plan.passes[i]), normed: normed.slice() };
      });
      await runHead(plan, task, parts, { open: (graph) => openMapped(stream, graph), writer });
    },
    close: async () => {},
  };
}

/** A row by itself would be summed in another order than the same row beside others. */
function withTwoRows(pass: Pass): Pass {
  if (tokensOf(pass) > 1) return pass;
  const { segments } = pass;
  return { ...pass, segments: [...segments, ...segments] };
}

async function openMapped({ plan, task, widened }: Stream, graph: Graph): Promise<Session> {
  const options = { threads: threadsFor(task.model, plan.request.threads), mapped: true };
  return await (widened === null
    ? openSession(graph, options)
    : openWidened(graph, options, widened));
}

async function settle(stream: Stream): Promise<void> {
  stream.isClosed = true;
  for (const one of stream.scratch) one.close();
  await stream.writer.settle();
  await stream.run.removeScratch(stream.task.record.name);
}

function close(stream: Stream): void {
  if (stream.isClosed) return;
  stream.isClosed = true;
  stream.writer.close();
  for (const one of stream.scratch) one.close();
}

function endedEarly(where: string, out: string): UserError {
  return new UserError('ENDED_EARLY', `stopped in ${where}; everything so far is kept`, {
    where: out,
    fix: 'Run the same command again to go on.',
  });
}

function spoilt(name: string, out: string): UserError {
  return new UserError(
    'RUN_INVALID',
    `the scratch files of ${name} changed while the run was made`,
    {
      where: out,
      fix: `Run the same command again: ${name} begins from its first block.`,
    },
  );
}
