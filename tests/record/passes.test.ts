/** Are batches that go through a model block by block given what the whole model gives them, each its own? */

import { describe, expect, it } from 'vitest';
import { companyOf } from '../../src/record/invariances.ts';
import {
  allSites,
  endSites,
  look,
  reachOf,
  samplePrompts,
  sharedTokens,
  windowOf,
} from '../../src/record/passes.ts';
import { variantModel } from '../support/families.ts';
import { WidenedWeights } from '../../src/runtime/widened.ts';
import { goldenFolder, modelIn } from '../support/golden.ts';
import { wideModel } from '../support/wideModel.ts';

describe('look', () => {
  it.each([
    ['gpt2', () => goldenFolder('gpt2')],
    ['a wide model in half precision', () => wideModel('BF16')],
  ])('gives of %s by stages what it gives of the whole', async (_, folderOf) => {
    const model = await modelIn(folderOf());
    const prompts = samplePrompts(model, 0);
    const lookings = [
      { sites: allSites(model), batches: [{ prompts }] },
      { sites: endSites(model), batches: companyOf(prompts, model) },
    ];
    const length = prompts[0].length + 3;
    const whole = await look({ model, threads: 1 }, lookings, length);
    for (const more of [{}, { widened: new WidenedWeights() }]) {
      const subject = { model, threads: 1, isStreamed: true, ...more };
      const streamed = await look(subject, lookings, length);
      expect(streamed.map((batches) => batches.map((sites) => Object.keys(sites).sort()))).toEqual(
        whole.map((batches) => batches.map((sites) => Object.keys(sites).sort())),
      );
      for (const [l, batches] of whole.entries()) {
        for (const [b, sites] of batches.entries()) {
          for (const [key, { data, shape }] of Object.entries(sites)) {
            const other = streamed[l][b][key];
            expect(other.shape, key).toEqual(shape);
            const size = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
            const error = data.reduce(
              (most, value, i) => Math.max(most, Math.abs(value - other.data[i])),
              0,
            );
            // Sums of some hundred float32 products, taken in another order.
            expect(error, key).toBeLessThanOrEqual(2 ** -19 * size);
          }
        }
      }
    }
  });
});

describe('samplePrompts', () => {
  it('has a prompt, its beginning, another that begins so, and one that has nothing to do with it', async () => {
    const [first, half, other, stranger] = samplePrompts(await modelIn(goldenFolder('gpt2')), 0);
    const known = sharedTokens(first);
    expect(half).toEqual(first.slice(0, known));
    expect(other.slice(0, known)).toEqual(half);
    expect(other.length).toBeGreaterThan(known);
    expect(other.length).not.toBe(first.length);
    expect(other.slice(known).filter((token, t) => token === first[known + t])).toEqual([]);
    expect(stranger.slice(0, 3)).not.toEqual(first.slice(0, 3));
  });

  it('reaches beyond a window that is near, and never beyond where a prefix keeps its numbers', async () => {
    const sliding = await modelIn(goldenFolder('mistral_sliding'));
    expect(samplePrompts(sliding, 0)[0].length).toBeGreaterThan(windowOf(sliding, 0) ?? Infinity);
    const growing = await variantModel('llama_dynamic');
    const { rope } = [...growing.architecture.rotary(growing.settings).values()][0];
    expect(reachOf(growing)).toBe('trained' in rope ? rope.trained : undefined);
    expect(samplePrompts(growing, 0)[0].length).toBeLessThanOrEqual(reachOf(growing) - 4);
  });

  it('is the same for the same seed', async () => {
    const model = await modelIn(goldenFolder('gpt2'));
    expect(samplePrompts(model, 3)).toEqual(samplePrompts(model, 3));
    expect(samplePrompts(model, 3)).not.toEqual(samplePrompts(model, 4));
  });
});
