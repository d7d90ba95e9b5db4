/**
 * Prompts → answers, one JSON line each.
 *
 * Answers are kept as they end, and the file is put in place, in the order of the prompts, when the last
 * one is there. Whoever was stopped or killed gives the same command again: rows that have their answer
 * are passed by, all others begin anew with their own stream of chance, and the file is the same.
 */

import { UserError } from '../base/errors.ts';
import { isJsonObject, isWhole } from '../base/json.ts';
import { silent, type Progress, type ShouldStop } from '../base/progress.ts';
import { Random } from '../base/random.ts';
import { plural } from '../base/units.ts';
import { openGrowing, type Growing } from '../files/growing.ts';
import { answerBatch, type Answer, type Finish, type Parts } from '../runtime/answer.ts';
import { defaultBudgetBytes, requireBudget } from '../runtime/budget.ts';
import type { Cache } from '../runtime/cache.ts';
import { openDecoder, type Decoder } from '../runtime/decoder.ts';
import type { Prompt } from '../text/prompts.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Batch } from './batches.ts';
import { answersPeakBytes } from './answersMemory.ts';
import { Prefixes } from './prefill.ts';
import { movedShare } from './sharing.ts';
import {
  answerBatches,
  answersIdentity,
  answersOrigin,
  batchTokensOf,
  type AnswersPlan,
  type PlannedModel,
} from './planAnswers.ts';

/** What a line of the file holds besides its prompt's body and columns. */
export interface AnswerRecord {
  readonly id: string;
  /** Without the end token, cut before a stop text; null without a tokenizer. */
  readonly reply: string | null;
  /** Every token that was said, the one that ended the answer included. */
  readonly reply_ids: readonly number[];
  readonly finish: Finish;
}

export interface GenerateOptions {
  readonly out: string;
  readonly memoryBudgetBytes?: number;
  readonly progress?: Progress;
  readonly shouldStop?: ShouldStop;
}

export interface GenerateResult {
  /** False if the file was complete before. */
  readonly ran: boolean;
  /** How many answers this process wrote, and their tokens. */
  readonly answers: number;
  readonly tokens: number;
}

/**
 * Writes all answers of a plan, or those that are left.
 *
 * @throws {UserError} `PLAN_CONFLICT` if the file is of another plan; `ENDED_EARLY` once `shouldStop` says
 *   so; `NOT_FINITE` naming the row.
 */
export async function generate(
  plan: AnswersPlan,
  { out, memoryBudgetBytes, progress = silent, shouldStop = () => false }: GenerateOptions,
): Promise<GenerateResult> {
  requireBudget(answersPeakBytes(plan), memoryBudgetBytes ?? defaultBudgetBytes(), 'generate');
  const growing = await openGrowing(out, answersIdentity(plan), answersOrigin(plan));
  if (growing === null) return { ran: false, answers: 0, tokens: 0 };
  try {
    const records = recordsOf(plan, growing, out);
    const before = records.size;
    let tokens = 0;
    const keep = (row: number, answer: Answer): void => {
      const record = recordOf(plan, plan.prepared[row].id, answer);
      growing.append(record);
      records.set(record.id, record);
      tokens += record.reply_ids.length;
      progress.update(records.size);
    };
    progress.begin('answers', plan.prepared.length, 'answers');
    await answerAll(plan, records, growing, keep, shouldStop);
    if (records.size < plan.prepared.length) throw endedEarly(records.size, plan, out);
    await growing.finish(plan.set.prompts.map((prompt) => lineOf(prompt, records.get(prompt.id))));
    return { ran: true, answers: records.size - before, tokens };
  } finally {
    await growing.close();
  }
}

/** A power cut may cost as much. */
const syncEveryMs = 2000;

async function answerAll(
  plan: AnswersPlan,
  records: ReadonlyMap<string, AnswerRecord>,
  growing: Growing,
  keep: (row: number, answer: Answer) => void,
  shouldStop: ShouldStop,
): Promise<void> {
  const batches = answerBatches(plan, (row) => records.has(plan.prepared[row].id));
  if (batches.length === 0 || shouldStop()) return;
  const parts = await openParts(plan);
  try {
    const prefixes = prefixesOf(plan, parts, batches);
    let synced = performance.now();
    for (const [b, { prompts }] of batches.entries()) {
      if (shouldStop()) return;
      const before = await prefixes?.cacheFor(b, plan.request.maxTokens);
      await answerPrompts(plan, parts, { prompts, before }, keep, shouldStop);
      // Whatever happens to this process, lines are safe; only a machine that goes down could take them.
      if (performance.now() - synced < syncEveryMs) continue;
      growing.sync();
      synced = performance.now();
    }
  } finally {
    await closeParts(parts);
  }
}

/** Null where each prompt is read whole. */
function prefixesOf(plan: AnswersPlan, parts: Parts, batches: readonly Batch[]): Prefixes | null {
  const { prefill, prepared, reader } = plan;
  if (prefill === null) return null;
  const ids = prepared.map((one) => one.ids);
  const costs = { batchTokens: batchTokensOf(plan), movedShare: movedShare(reader.model) };
  return new Prefixes(prefill, ids, parts.reader, batches, costs);
}

interface AskedBatch {
  readonly prompts: readonly number[];
  /** What the reader has read of them, if it has. */
  readonly before: Cache | undefined;
}

async function answerPrompts(
  { request, prepared, tokenizer, endIds }: AnswersPlan,
  parts: Parts,
  { prompts, before }: AskedBatch,
  keep: (row: number, answer: Answer) => void,
  shouldStop: ShouldStop,
): Promise<void> {
  const chance = new Random(request.seed);
  const asked = prompts.map((row) => {
    const { id, ids } = prepared[row];
    return { id, ids, random: chance.fork('answer', id) };
  });
  const { stop, maxTokens, sampling } = request;
  await answerBatch(parts, asked, {
    maxTokens,
    sampling,
    endIds: new Set(endIds),
    shouldStop,
    ...(before === undefined ? {} : { before }),
    onAnswer: (b, answer) => keep(prompts[b], answer),
    ...(stop.length === 0
      ? {}
      : { isStopped: (ids) => stopPlace(textOf(tokenizer, ids) ?? '', stop) >= 0 }),
  });
}

async function openParts(plan: AnswersPlan): Promise<Parts> {
  const { threads, maxTokens } = plan.request;
  const longest = plan.longest + maxTokens;
  const opened = async ({ model, bind }: PlannedModel): Promise<Decoder> =>
    await openDecoder(model, { bind, threads, longest });
  const writer = await opened(plan.writer);
  if (plan.reader === plan.writer) return { reader: writer, writer };
  try {
    return { reader: await opened(plan.reader), writer };
  } catch (error) {
    await writer.close();
    throw error;
  }
}

async function closeParts({ reader, writer }: Parts): Promise<void> {
  await writer.close();
  if (reader !== writer) await reader.close();
}

function recordOf(plan: AnswersPlan, id: string, { ids, finish }: Answer): AnswerRecord {
  const said = finish === 'end' ? ids.slice(0, -1) : ids;
  const whole = textOf(plan.tokenizer, said);
  const place = finish === 'stop' ? stopPlace(whole ?? '', plan.request.stop) : -1;
  const reply = place < 0 ? whole : (whole ?? '').slice(0, place);
  return { id, reply, reply_ids: ids, finish };
}

/** The prompt with its answer: a line of a prompt set, whose replies can be forced in other runs. */
function lineOf({ id, body, columns }: Prompt, record: AnswerRecord | undefined): object {
  const { kind: _, ...own } = body;
  return { id, ...own, ...columns, ...record };
}

function textOf(tokenizer: Tokenizer | null, ids: readonly number[]): string | null {
  return tokenizer === null ? null : tokenizer.decode(ids);
}

/** Where the first of the stop texts begins; −1 where there is none. */
function stopPlace(text: string, stop: readonly string[]): number {
  const places = stop.map((one) => text.indexOf(one)).filter((place) => place >= 0);
  return places.length === 0 ? -1 : Math.min(...places);
}

/** The answers that an earlier process kept, by id. */
function recordsOf(plan: AnswersPlan, growing: Growing, out: string): Map<string, AnswerRecord> {
  const known = new Set(plan.prepared.map(({ id }) => id));
  const records = new Map<string, AnswerRecord>();
  for (const value of growing.values) {
    if (!isRecord(value) || !known.has(value.id) || records.has(value.id)) {
      throw new UserError('RUN_INVALID', 'a kept line is no answer to one of the prompts', {
        where: `${out}.partial`,
        fix: 'Remove that folder and give the same command again.',
      });
    }
    records.set(value.id, value);
  }
  return records;
}

function isRecord(value: unknown): value is AnswerRecord {
  if (!isJsonObject(value)) return false;
  const { id, reply, reply_ids: ids, finish } = value;
  const isText = reply === null || typeof reply === 'string';
  const isEnd = finish === 'end' || finish === 'stop' || finish === 'length';
  return typeof id === 'string' && isText && isEnd && Array.isArray(ids) && ids.every(isWhole);
}

function endedEarly(done: number, plan: AnswersPlan, out: string): UserError {
  return new UserError(
    'ENDED_EARLY',
    `stopped after ${done} of ${plural(plan.prepared.length, 'answer')}; all of them are kept`,
    { where: out, fix: 'Run the same command again to go on.' },
  );
}
