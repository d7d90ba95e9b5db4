/**
 * How long will a run take? Found out by running its own first block for a moment.
 *
 * One block is opened as the run will open it and is given a small pass and one like the run's largest.
 * What a pass costs beside its tokens, what a token costs, and what opening costs then follow, and with
 * them the run, since its blocks are alike. The machine is taken as it is now: another program's share
 * of it is a part of the measurement.
 */

import { composeModel } from '../../models/compose.ts';
import { parametersOf } from '../../models/model.ts';
import { openSession, type Session } from '../runtime/session.ts';
import { openWidened, WidenedWeights } from '../runtime/widened.ts';
import { diskOf, scratchOf } from './foresight.ts';
import { elsewhere, type Plan, type PlannedCheckpoint } from './plan.ts';
import { tokensOf, type Pass } from './segments.ts';
import { movedShare } from './sharing.ts';
import { headGroups, stagesOf, threadsFor, wantsLogits } from './stages.ts';
import { wantedRows } from './wantedRows.ts';

/** Seconds that the parts of a run take. */
export interface Rates {
  /** To open a block, the reading of its weights included. */
  readonly open: number;
  /** To take a pass through a block, whatever it holds, and for each of its tokens. */
  readonly pass: number;
  readonly token: number;
}

/** Numbers that a run is made of, by which rates are multiplied. */
export interface Amounts {
  readonly kind: 'whole' | 'streamed';
  readonly blocks: number;
  /** Tokens of each pass, padding included. */
  readonly passes: readonly number[];
  /** Rows of logits, and the head's weights as a multiple of a block's; 0 without. */
  readonly headRows: number;
  readonly headBlocks: number;
  /** How often the head is gone through. */
  readonly headRuns: number;
  /** How often the doctor reads a block's weights; null without a doctor. */
  readonly doctorOpens: number | null;
}

/** Bytes a second of rows that are put into their places, forced to disk, read back and digested. */
const storedPerSecond = 7e7;
/** Bytes a second of streams between stages. */
const movedPerSecond = 1.1e8;
/** Process, folders and files. */
const fixedSeconds = 0.15;
/** The doctor's passes through a model, and the tokens of one. */
const doctorRuns = 3;
const doctorTokens = 37;
/** Tokens of the larger pass that is timed; more of them cost the same each. */
const timedTokens = 256;
const leastSeconds = 0.04;

/** Seconds that a plan will take on this machine, as it is now. */
export async function predictSeconds(plan: Plan, hasDoctor: boolean): Promise<number> {
  // A run hashes weights beside its doctor; here the hash would take a core from what is timed.
  await Promise.all(plan.checkpoints.map(({ sha256 }) => sha256));
  let seconds =
    fixedSeconds + diskOf(plan) / storedPerSecond + movedByScratch(plan) / movedPerSecond;
  const known = new Map<string, Rates>();
  for (const checkpoint of plan.checkpoints) {
    const { model, record } = checkpoint;
    const key = `${model.folder} ${JSON.stringify(record.derivation)}`;
    const rates = known.get(key) ?? (await measureBlock(plan, checkpoint));
    known.set(key, rates);
    seconds += secondsOf(amountsOf(plan, checkpoint, hasDoctor), rates);
  }
  return seconds;
}

/** The arithmetic of a prediction. */
export function secondsOf(amounts: Amounts, { open, pass, token }: Rates): number {
  const { kind, blocks, passes, headRows, headBlocks, headRuns, doctorOpens } = amounts;
  const tokens = passes.reduce((sum, count) => sum + count, 0);
  const body = blocks * (open + passes.length * pass + tokens * token);
  const headOpens = kind === 'whole' ? headBlocks * open : 0;
  const head = headOpens + headBlocks * (headRuns * pass + headRows * token);
  if (doctorOpens === null) return body + head;
  return body + head + blocks * (doctorOpens * open + doctorRuns * (pass + doctorTokens * token));
}

export function amountsOf(plan: Plan, checkpoint: PlannedCheckpoint, hasDoctor: boolean): Amounts {
  const { model, sites, record } = checkpoint;
  const { architecture, settings } = model;
  const { vocabulary, width, wordWidth = width } = settings;
  const stages = stagesOf(sites, model);
  const prefix = architecture.blockPrefix(0);
  const block = parametersOf(architecture, settings)
    .filter(({ name }) => name.startsWith(prefix))
    .reduce((sum, { shape }) => sum + shape.reduce((size, axis) => size * axis, 1), 0);
  const hasHead = wantsLogits(sites);
  const rows = plan.passes.reduce((sum, pass) => sum + wantedRows(plan, pass).rows.length, 0);
  return {
    kind: plan.kind,
    blocks: stages.filter(({ kind }) => kind === 'block').length,
    passes: plan.passes.map((pass) => tokensOf(pass) + pastOf(pass) * movedShare(model)),
    headRows: hasHead ? rows : 0,
    headBlocks: hasHead ? (vocabulary * wordWidth) / block : 0,
    headRuns: plan.kind === 'whole' ? plan.passes.length : headGroups(plan, model).length,
    doctorOpens: hasDoctor && record.twin_seed === null ? doctorOpensOf(plan) : null,
  };
}

/** The doctor maps weights: each of its passes reads, and where need be widens, all of them. */
function doctorOpensOf({ kind, widensOnce }: Plan): number {
  if (kind === 'whole') return doctorRuns;
  return widensOnce ? 1 : 2;
}

/** Cached tokens that go into a pass. */
function pastOf({ segments, past }: Pass): number {
  return segments.length * past;
}

/** Each stage reads what the one before wrote. */
function movedByScratch(plan: Plan): number {
  if (plan.kind === 'whole') return 0;
  const depths = plan.checkpoints.map(({ sites, model }) => stagesOf(sites, model).length);
  return scratchOf(plan) * Math.max(...depths);
}

/** Opens the first block and times it. */
async function measureBlock(plan: Plan, { model, bind }: PlannedCheckpoint): Promise<Rates> {
  const { architecture, settings } = model;
  const mapped = plan.kind === 'streamed';
  const graph = composeModel(architecture, settings, bind, {
    sites: [],
    length: plan.longest,
    blocks: { from: 0, to: 1 },
    isEmbedded: true,
  });
  const [largest] = plan.passes.toSorted(
    (a, b) => b.segments.length * b.length - a.segments.length * a.length,
  );
  const rows = Math.min(largest.segments.length, Math.ceil(timedTokens / largest.length));
  const threads = mapped ? threadsFor(model, plan.request.threads) : plan.request.threads;
  const options = { threads, mapped, ...elsewhere(plan.request) };
  const open = async (): Promise<Session> =>
    mapped && plan.widensOnce
      ? await openWidened(graph, options, new WidenedWeights())
      : await openSession(graph, options);
  // The first session of a process waits for what all others find there.
  await (await open()).close();
  const began = performance.now();
  const session = await open();
  try {
    const opened = (performance.now() - began) / 1000;
    const run = (count: number, length: number): Promise<number> =>
      timeOf(session, settings.width, count, length);
    // What the first run takes longer is the reading of weights that are mapped.
    const first = await run(1, 2);
    const few = Math.min(first, await steady(() => run(1, 2)));
    const many = await steady(() => run(rows, largest.length));
    const token = Math.max(0, (many - few) / Math.max(1, rows * largest.length - 2));
    const read = mapped ? first - few : 0;
    return { open: opened + read, pass: Math.max(0, few - 2 * token), token };
  } finally {
    await session.close();
  }
}

/** The quickest of as many runs as fit into a moment, at least two. */
export async function steady(run: () => Promise<number>): Promise<number> {
  let least = await run();
  for (let spent = least, runs = 1; runs < 2 || spent < leastSeconds; runs++) {
    const one = await run();
    least = Math.min(least, one);
    spent += one;
  }
  return least;
}

/** Seconds of one pass of a block over a stream of some numbers. */
async function timeOf(
  session: Session,
  width: number,
  count: number,
  length: number,
): Promise<number> {
  const tokens = count * length;
  const shape = [count, length];
  const whole = (of: (i: number) => number): BigInt64Array =>
    BigInt64Array.from({ length: tokens }, (_, i) => BigInt(of(i)));
  const feeds = {
    stream: {
      data: Float32Array.from({ length: tokens * width }, (_, i) => ((i * 7) % 11) / 11 - 0.5),
      shape: [tokens, width],
    },
    input_ids: { data: whole(() => 0), shape },
    position_ids: { data: whole((i) => i % length), shape },
    lengths: { data: new BigInt64Array(count).fill(BigInt(length)), shape: [count] },
    rows: { data: whole(() => 0).subarray(0, 1), shape: [1] },
  };
  const began = performance.now();
  await session.run(feeds);
  return (performance.now() - began) / 1000;
}
