/**
 * How long will it take to answer, at the most? Found out by one block, as calibrate.ts does.
 *
 * The first block is opened as a decoder has it and takes steps of one token for a batch of rows, and a
 * piece of some prompts. What a step costs beside its rows, what a row and what a read token cost then
 * follow. An answer that ends early costs less, so this is what all answers of full length would take.
 */

import { Random } from '../base/random.ts';
import { composeModel } from '../../models/compose.ts';
import { parametersOf, type Model } from '../../models/model.ts';
import { cacheNames } from '../../models/pasts.ts';
import { cacheOf, grownBy } from '../runtime/cache.ts';
import { choose } from '../runtime/choose.ts';
import { openSession, type Session } from '../runtime/session.ts';
import { steady } from './calibrate.ts';
import {
  answerBatches,
  batchTokensOf,
  type AnswersPlan,
  type PlannedModel,
} from './planAnswers.ts';
import { prefillPasses } from './prefill.ts';
import { movedShare } from './sharing.ts';

/** Seconds of one block. */
export interface AnswerRates {
  readonly open: number;
  /** A run of the block, whatever it reads; and for each row of a step, and each token of a prompt. */
  readonly run: number;
  readonly row: number;
  readonly token: number;
  /** To choose a token, its row of logits once through. */
  readonly choice: number;
}

/** Numbers that answering is made of. */
export interface AnswerAmounts {
  readonly blocks: number;
  /** The head's weights as a multiple of a block's. */
  readonly headBlocks: number;
  /** Runs that read prompts, and their tokens. */
  readonly reads: number;
  readonly tokens: number;
  /** Steps over all batches, and their rows. */
  readonly steps: number;
  readonly rows: number;
}

/** Files, lines, and what is put in place at the end. */
const fixedSeconds = 0.1;

/** Seconds that a plan takes on this machine, as it is now, if every answer is as long as is allowed. */
export async function predictAnswerSeconds(plan: AnswersPlan): Promise<number> {
  const rates = await measure(plan, plan.writer);
  const isSpliced = plan.reader !== plan.writer;
  // A reader opens besides, and reads the last token of every prompt too, which is one step of many.
  const more = isSpliced ? plan.reader.model.settings.layers * rates.open : 0;
  return secondsOfAnswers(amountsOfAnswers(plan), rates) + more;
}

/** The arithmetic of a prediction. */
export function secondsOfAnswers(
  { blocks, headBlocks, reads, tokens, steps, rows }: AnswerAmounts,
  { open, run, row, token, choice }: AnswerRates,
): number {
  const opening = (blocks + headBlocks) * open;
  const reading = blocks * (reads * run + tokens * token);
  const saying = blocks * (steps * run + rows * row) + rows * (headBlocks * token + choice);
  return fixedSeconds + opening + reading + saying;
}

export function amountsOfAnswers(plan: AnswersPlan): AnswerAmounts {
  const { request, prefill, reader } = plan;
  const { model } = plan.writer;
  const batches = answerBatches(plan, () => false);
  const rows = batches.reduce((sum, { prompts }) => sum + prompts.length, 0);
  const costs = { batchTokens: batchTokensOf(plan), movedShare: movedShare(reader.model) };
  const passes =
    prefill === null
      ? batches.map(({ prompts, length }) => prompts.length * (length - 1))
      : prefillPasses(prefill, batches, costs).flatMap((one) =>
          one.passes.map(({ branches, from, length }) => branches.length * (length - from)),
        );
  const { vocabulary, width, wordWidth = width, layers } = model.settings;
  return {
    blocks: layers,
    headBlocks: (vocabulary * wordWidth) / blockSize(model),
    reads: passes.length,
    tokens: passes.reduce((sum, count) => sum + count, 0),
    steps: batches.length * request.maxTokens,
    rows: rows * request.maxTokens,
  };
}

function blockSize({ architecture, settings }: Model): number {
  const prefix = architecture.blockPrefix(0);
  return parametersOf(architecture, settings)
    .filter(({ name }) => name.startsWith(prefix))
    .reduce((sum, { shape }) => sum + shape.reduce((size, axis) => size * axis, 1), 0);
}

/** Tokens of a prompt's piece that is timed; more of them cost the same each. */
const timedTokens = 256;

async function measure(plan: AnswersPlan, { model, bind }: PlannedModel): Promise<AnswerRates> {
  const { architecture, settings } = model;
  const { maxTokens, threads, sampling } = plan.request;
  const batches = answerBatches(plan, () => false);
  const [{ prompts, length }] = batches.toSorted((a, b) => b.prompts.length - a.prompts.length);
  const most = length + maxTokens - 1;
  const graph = composeModel(architecture, settings, bind, {
    sites: [],
    length: plan.longest + maxTokens,
    blocks: { from: 0, to: 1 },
    isEmbedded: true,
    past: 'growing',
    keeps: true,
  });
  const began = performance.now();
  const session = await openSession(graph, { threads });
  try {
    const open = (performance.now() - began) / 1000;
    const held = length + (maxTokens >> 1) - 1;
    const step = (rows: number, past: number, fresh: number): Promise<number> =>
      steady(() => timeOf(session, model, { rows, past, fresh, most }));
    const rows = prompts.length;
    const run = await step(1, held, 1);
    const many = rows === 1 ? run : await step(rows, held, 1);
    const piece = Math.max(1, Math.min(timedTokens, length - 1));
    const some = Math.max(1, Math.floor(timedTokens / piece));
    const read = await step(some, 0, piece);
    const row = Math.max(0, many - run) / Math.max(1, rows - 1);
    const token = Math.max(0, read - run) / Math.max(1, some * piece - 1);
    const logits = Float32Array.from({ length: settings.vocabulary }, (_, i) => (i * 7919) % 101);
    const random = new Random(0);
    const choice = await steady(async () => {
      const start = performance.now();
      for (let i = 0; i < 32; i++) choose(logits, sampling, random);
      return (performance.now() - start) / 32_000;
    });
    return { open, run, row, token, choice };
  } finally {
    await session.close();
  }
}

interface Size {
  readonly rows: number;
  readonly past: number;
  readonly fresh: number;
  readonly most: number;
}

/** Seconds of one run of a block, what it adds to a cache included. */
async function timeOf(
  session: Session,
  { settings }: Model,
  { rows, past, fresh, most }: Size,
): Promise<number> {
  const one = { ...settings, layers: 1 };
  const heads = settings.keyHeads * settings.headDim;
  const nothing = [0, 1].map(() => new Float32Array(past * heads));
  const cache = cacheOf(
    one,
    Array.from({ length: rows }, () => [nothing]),
    past,
    most,
  );
  const tokens = rows * fresh;
  const shape = [rows, fresh];
  const whole = (of: (i: number) => number): BigInt64Array =>
    BigInt64Array.from({ length: tokens }, (_, i) => BigInt(of(i)));
  const names = cacheNames(0);
  const feeds = {
    stream: {
      data: Float32Array.from(
        { length: tokens * settings.width },
        (_, i) => ((i * 7) % 11) / 11 - 0.5,
      ),
      shape: [tokens, settings.width],
    },
    input_ids: { data: whole(() => 0), shape },
    position_ids: { data: whole((i) => past + (i % fresh)), shape },
    lengths: { data: new BigInt64Array(rows).fill(BigInt(past + fresh)), shape: [rows] },
    held: { data: BigInt64Array.of(BigInt(past)), shape: [1] },
    rows: { data: whole(() => 0).subarray(0, 1), shape: [1] },
    ...Object.fromEntries(
      names.map((name, i) => {
        const { data, room } = cache.stores[i];
        return [
          name.past,
          { data, shape: [rows, settings.keyHeads, room, settings.headDim] },
        ] as const;
      }),
    ),
  };
  const began = performance.now();
  const fetched = await session.run(
    feeds,
    names.map(({ present }) => present),
  );
  grownBy(
    cache,
    fresh,
    names.map(({ present }) => fetched[present].data),
  );
  return (performance.now() - began) / 1000;
}
