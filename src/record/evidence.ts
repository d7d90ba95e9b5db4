/**
 * Does a model read ordinary text better as its config says than with one setting changed?
 *
 * A trained model loses by a wrong setting. What is compared is the loss on the same tokens, so that
 * the difference has a standard error of its own. The text must come from outside: on what a model
 * wrote itself, the settings it wrote with always win, right or wrong.
 */

import { UserError } from '../base/errors.ts';
import { preparePrompts } from '../text/prepare.ts';
import { parsePositions } from '../text/positions.ts';
import { readPrompts } from '../text/prompts.ts';
import { openTokenizer } from '../text/tokenizer.ts';
import type { Model } from '../../models/model.ts';
import { openPasses, reachOf, type Prompts, type Subject } from './passes.ts';

/** Token ids to read, or why there are none. */
export type Text = { readonly prompts: Prompts; readonly from: string } | { readonly none: string };

/** Plain sentences that any model of English has learned to expect. */
const sentences = [
  'Once upon a time there was a little girl who lived with her mother in a small house near the forest.',
  'One day she went out to play in the garden. She saw a big red ball under the tree and picked it up.',
  'The dog wanted to play too. He ran after the ball and brought it back to her. They were very happy.',
  'When the sun went down, her mother called her to come inside, because it was time to eat and go to bed.',
];

/** Most tokens of a text, and most of all, that are read. */
const mostTokens = 48;
const mostPrompts = 8;
/** Above this share of words that a tokenizer does not know, its model knows nothing of the text. */
const mostUnknown = 0.05;

/** @param path A prompt set to read instead of the built-in sentences. */
export async function textFor(model: Model, path?: string): Promise<Text> {
  try {
    return path === undefined ? await plainText(model) : await textOf(model, path);
  } catch (error) {
    if (!(error instanceof UserError) || path !== undefined) throw error;
    return { none: error.what };
  }
}

async function plainText(model: Model): Promise<Text> {
  const tokenizer = await openTokenizer(model.folder);
  const encoded = sentences.map((text) => tokenizer.encode(text, { addSpecialTokens: true }).ids);
  const all = encoded.flat();
  const unknown = all.filter((id) => id === tokenizer.unknownId).length;
  if (unknown > mostUnknown * all.length) {
    return { none: 'the tokenizer does not know the words of the built-in text; give --prompts' };
  }
  return { prompts: shortened(encoded, model), from: 'four built-in sentences' };
}

async function textOf(model: Model, path: string): Promise<Text> {
  const set = await readPrompts(path);
  const needsTokenizer = set.prompts.some(({ body }) => body.kind !== 'ids');
  const prepared = preparePrompts(
    { ...set, prompts: set.prompts.slice(0, mostPrompts) },
    needsTokenizer ? await openTokenizer(model.folder) : null,
    { positions: parsePositions('last'), modelLimit: model.settings.context },
  );
  return {
    prompts: shortened(
      prepared.map(({ ids }) => ids),
      model,
    ),
    from: path,
  };
}

function shortened(prompts: Prompts, model: Model): Prompts {
  const most = Math.min(mostTokens, reachOf(model));
  return prompts.map((ids) => ids.slice(0, most)).filter((ids) => ids.length > 1);
}

/** Loss of each token but the first of each text, in nats. */
export async function lossesOf(subject: Subject, prompts: Prompts): Promise<Float64Array> {
  const length = Math.max(...prompts.map((ids) => ids.length));
  const passes = await openPasses(subject, [{ kind: 'logits', block: null }], length);
  const losses: number[] = [];
  try {
    for (const ids of prompts) {
      const { data } = (await passes.run([ids]))['logits'];
      const width = data.length / ids.length;
      for (let t = 0; t + 1 < ids.length; t++) {
        const row = data.subarray(t * width, (t + 1) * width);
        losses.push(logSumExp(row) - row[ids[t + 1]]);
      }
    }
  } finally {
    await passes.close();
  }
  return Float64Array.from(losses);
}

function logSumExp(row: Float32Array): number {
  const largest = row.reduce((best, value) => Math.max(best, value), -Infinity);
  return largest + Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/** By how much the loss rises, and the standard error of that, token against token. */
export interface Rise {
  readonly nats: number;
  readonly error: number;
}

export function riseOf(right: Float64Array, wrong: Float64Array): Rise {
  const n = right.length;
  const steps = right.map((loss, i) => wrong[i] - loss);
  const nats = steps.reduce((sum, step) => sum + step, 0) / n;
  const variance = steps.reduce((sum, step) => sum + (step - nats) ** 2, 0) / Math.max(1, n - 1);
  return { nats, error: Math.sqrt(variance / n) };
}

/** Standard errors that a change of the loss must have, and nats that a fall must have to count. */
const significant = 4;
const worthAWord = 0.02;

export function isRise({ nats, error }: Rise): boolean {
  return nats > significant * error && nats > 1e-4;
}

/** The model reads better when it is wrong: the setting may be the fault. */
export function isFall({ nats, error }: Rise): boolean {
  return -nats > significant * error && -nats > worthAWord;
}
