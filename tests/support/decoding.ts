/** Decoding with a cache, as tests ask for it. */

import { fromCheckpoint } from '../../models/bindings.ts';
import type { Model } from '../../models/model.ts';
import { Random } from '../../src/base/random.ts';
import { answerBatch, type Answer, type AnswerOptions } from '../../src/runtime/answer.ts';
import { openDecoder, type Decoder } from '../../src/runtime/decoder.ts';

/** Calls `use` with a decoder that is closed afterwards. */
export async function withDecoder<T>(
  model: Model,
  longest: number,
  use: (decoder: Decoder) => Promise<T>,
): Promise<T> {
  const decoder = await openDecoder(model, { bind: fromCheckpoint(model), threads: 1, longest });
  try {
    return await use(decoder);
  } finally {
    await decoder.close();
  }
}

/** Logits after each token from `first` on: the cache is begun with the tokens before, then read one by one. */
export async function logitsFrom(
  decoder: Decoder,
  texts: readonly (readonly number[])[],
  first: number,
): Promise<Float32Array[]> {
  let cache = decoder.empty(texts.length, texts[0].length);
  if (first > 0) ({ cache } = await decoder.read(texts, first, cache));
  const steps: Float32Array[] = [];
  for (let length = first + 1; length <= texts[0].length; length++) {
    const reading = await decoder.read(texts, length, cache);
    cache = reading.cache;
    steps.push(reading.logits);
  }
  return steps;
}

export type AskOptions = Partial<Omit<AnswerOptions, 'onAnswer'>> &
  Pick<AnswerOptions, 'maxTokens'> & { readonly ids?: readonly string[] };

/** Answers to prompts of one length, in their order; greedy unless told, row i being called `i`. */
export async function ask(
  reader: Decoder,
  writer: Decoder,
  prompts: readonly (readonly number[])[],
  { ids, ...options }: AskOptions,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const asked = prompts.map((prompt, i) => {
    const id = ids?.[i] ?? String(i);
    return { id, ids: prompt, random: new Random(0).fork('answer', id) };
  });
  await answerBatch({ reader, writer }, asked, {
    sampling: { temperature: 0, topP: 1 },
    endIds: new Set(),
    ...options,
    onAnswer: (row, answer) => (answers[row] = answer),
  });
  return answers;
}

/** The likeliest answer to one prompt. */
export async function greedy(
  model: Model,
  prompt: readonly number[],
  options: AskOptions,
): Promise<readonly number[]> {
  return await withDecoder(model, prompt.length + options.maxTokens, async (decoder) => {
    const [{ ids }] = await ask(decoder, decoder, [prompt], options);
    return ids;
  });
}
