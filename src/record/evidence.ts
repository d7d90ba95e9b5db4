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

/** Plain sentences that any model of English has learned to expect, each read by itself. */
const sentences = [
  'Once upon a time there was a little girl who lived with her mother in a small house near the forest.',
  'One day she went out to play in the garden and saw a big red ball under the tree.',
  'The dog wanted to play too, so he ran after the ball and brought it back to her.',
  'When the sun went down, her mother called her to come inside, because it was time to eat.',
  'Tom was very sad because he had lost his new toy car and could not find it anywhere.',
  '"Do not worry," said his friend. "I will help you look for it. We can find it together."',
  'They looked under the bed, behind the door, and in the box, but the car was not there.',
  'Then they heard a noise from the kitchen, and there was the cat with the car in its mouth.',
  'It was a cold day and the snow was falling, so the children put on their hats and coats.',
  'The old man gave the boy some bread and water and told him to be careful on the way home.',
  'She opened the door and saw that all of her friends were there to say happy birthday.',
  'The bird could not fly, because one of its wings was hurt, so Lily took it home with her.',
  'Every day she gave the bird some food, and after a few weeks it was able to fly again.',
  'He wanted to eat the cake, but his father said that he had to wait until after dinner.',
  'The two brothers went to the park with their grandmother and played on the swings.',
  'At the end of the day they were all very tired, but they were happy, and they went to sleep.',
];

/** Most tokens of a text, and most texts, that are read. */
const mostTokens = 48;
const mostPrompts = 64;
/** Numbers in the logits of one pass. */
const mostLogits = 2 ** 24;
/** Above this share of words that a tokenizer does not know, its model knows nothing of the text. */
const mostUnknown = 0.05;
/** A loss above this share of that of a model that knows nothing is no knowledge either. */
const ignorance = 0.9;

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
  return { prompts: shortened(encoded, model), from: `${sentences.length} built-in sentences` };
}

async function textOf(model: Model, path: string): Promise<Text> {
  const set = await readPrompts(path);
  const needsTokenizer = set.prompts.some(({ body }) => body.kind !== 'ids');
  // From all over the file: neighbours are often variants of one another.
  const step = Math.max(1, Math.floor(set.prompts.length / mostPrompts));
  const prompts = set.prompts.filter((_, i) => i % step === 0).slice(0, mostPrompts);
  const prepared = preparePrompts(
    { ...set, prompts },
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

/** Loss of each token but the first, in nats, text by text. */
export async function lossesOf(subject: Subject, prompts: Prompts): Promise<number[][]> {
  const { vocabulary } = subject.model.settings;
  const length = Math.max(...prompts.map((ids) => ids.length));
  const together = Math.max(1, Math.floor(mostLogits / (length * vocabulary)));
  const passes = await openPasses(subject, [{ kind: 'logits', block: null }], length);
  const losses: number[][] = [];
  try {
    for (let start = 0; start < prompts.length; start += together) {
      const some = prompts.slice(start, start + together);
      const { data } = (await passes.run({ prompts: some }))['logits'];
      let row = 0;
      for (const ids of some) {
        losses.push(
          ids.slice(1).map((next) => {
            const logits = data.subarray(row * vocabulary, (row + 1) * vocabulary);
            row++;
            return logSumExp(logits) - logits[next];
          }),
        );
        row++; // nothing is known of what follows a text
      }
    }
  } finally {
    await passes.close();
  }
  return losses;
}

/** What a model makes of text. */
export interface Reading {
  readonly from: string;
  readonly texts: number;
  readonly tokens: number;
  /** Mean loss in nats, and that of a model that knows nothing. */
  readonly loss: number;
  readonly uniform: number;
  /** Whether the model knows enough of this text for a wrong setting to show. */
  readonly isKnown: boolean;
}

export function readingOf(
  from: string,
  losses: readonly (readonly number[])[],
  model: Model,
): Reading {
  const all = losses.flat();
  const loss = all.reduce((sum, value) => sum + value, 0) / all.length;
  const uniform = Math.log(model.settings.vocabulary);
  const isKnown = loss < ignorance * uniform;
  return { from, texts: losses.length, tokens: all.length, loss, uniform, isKnown };
}

function logSumExp(row: Float32Array): number {
  const largest = row.reduce((best, value) => Math.max(best, value), -Infinity);
  return largest + Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/** By how much the loss rises for each token, and the standard error of that, text against text. */
export interface Rise {
  readonly nats: number;
  readonly error: number;
}

/**
 * The mean over tokens; its error by the spread over texts, since tokens of one text are not
 * independent (the usual estimate for a ratio of sums over clusters).
 */
export function riseOf(
  right: readonly (readonly number[])[],
  wrong: readonly (readonly number[])[],
): Rise {
  const steps = right.map((losses, i) => losses.map((loss, t) => wrong[i][t] - loss));
  const sums = steps.map((list) => list.reduce((sum, step) => sum + step, 0));
  const tokens = steps.reduce((sum, list) => sum + list.length, 0);
  const nats = sums.reduce((sum, part) => sum + part, 0) / tokens;
  const squares = sums.reduce((sum, part, i) => sum + (part - nats * steps[i].length) ** 2, 0);
  const texts = steps.length;
  return { nats, error: Math.sqrt((squares * texts) / Math.max(1, texts - 1)) / tokens };
}

/** Standard errors that a change of the loss must have to count. */
const significant = 4;
/** Nats below which a rise is no evidence, however certain. */
const leastRise = 1e-4;
/**
 * Share of the loss by which it must fall to cast doubt on a setting. On text of another kind than a
 * model was trained on, a right setting was seen to lose 2 % to a wrong one; a wrong one loses 5 % and more.
 */
const doubtfulFall = 0.05;

export function isRise({ nats, error }: Rise): boolean {
  return nats > significant * error && nats > leastRise;
}

/** The model reads better when it is changed: the setting may be the fault. */
export function isFall({ nats, error }: Rise, { loss }: Reading): boolean {
  return -nats > significant * error && -nats > doubtfulFall * loss;
}
