/** What stories260K says, asked of every way we have to make it speak. */

import { expect, it } from 'vitest';
import type { Model } from '../../models/model.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { goldenFacts, goldenFolder, modelIn } from './golden.ts';

type Greedy = (
  model: Model,
  ids: readonly number[],
  options: { readonly maxTokens: number },
) => Promise<readonly number[]>;

/** llama2.c, doc/stories260K.md: greedy from BOS. */
const published = [
  'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. ',
  'One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n',
  "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. ",
  'She said, "I want to play with your ball, but I can\'t find it."',
].join('');

/** Two tests: transformers' stories from four beginnings, and the one published with the checkpoint. */
export function itTellsItsStories(greedy: Greedy): void {
  it('tells the stories of stories260K token for token', async () => {
    const model = await modelIn(goldenFolder('stories260K'));
    const { prompts, greedy_from: starts } = goldenFacts('stories260K');
    expect(starts).toHaveLength(4);
    for (const [i, start] of starts.entries()) {
      const story = await greedy(model, start, { maxTokens: 32 - start.length });
      expect([...start, ...story]).toEqual(prompts[i]);
    }
  });

  it('tells the story that was published with the checkpoint', async () => {
    const model = await modelIn(goldenFolder('stories260K'));
    const tokenizer = await openTokenizer(goldenFolder('stories260K'));
    const story = await greedy(model, [1], { maxTokens: 200 });
    expect(tokenizer.decode(story).trim().slice(0, published.length)).toBe(published);
  });
}
