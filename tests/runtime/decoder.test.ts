/**
 * Does a cache change what a model says? Every family of the references, and every setting that few
 * files use, is read in pieces and held against passes that recompute everything.
 */

import { describe, expect, it } from 'vitest';
import type { Settings } from '../../models/architecture.ts';
import type { Model } from '../../models/model.ts';
import { cacheOf, keepRows } from '../../src/runtime/cache.ts';
import { logitsFrom, withDecoder } from '../support/decoding.ts';
import { modelOf, variantCases, variantModel, wholeCases } from '../support/families.ts';
import { bitsOf, goldenFacts, organismFolder, modelIn } from '../support/golden.ts';
import { recomputedLogits } from '../support/recompute.ts';

/** Largest difference of a logit, in noise floors, where the cache begins with the first half of the prompt. */
async function worstFloors(model: Model, name: string): Promise<number> {
  const { prompts, noise_floor: floors } = goldenFacts(name);
  let worst = 0;
  await withDecoder(model, Math.max(...prompts.map((ids) => ids.length)), async (decoder) => {
    for (const prompt of prompts) {
      const first = prompt.length >> 1;
      const wanted = await recomputedLogits(model, prompt, first);
      const steps = await logitsFrom(decoder, [prompt], first);
      expect(steps).toHaveLength(wanted.length);
      for (const [i, logits] of steps.entries()) {
        expect(logits).toHaveLength(model.settings.vocabulary);
        logits.forEach((value, id) => (worst = Math.max(worst, Math.abs(value - wanted[i][id]))));
      }
    }
  });
  return worst / floors['logits'].max_abs;
}

describe('a cache', () => {
  // Both ways are float32, each about one floor from the truth, so they may be two apart.
  it.each(wholeCases)('changes nothing in %s', async (name) => {
    expect(await worstFloors(await modelOf(name), name)).toBeLessThan(2);
  });

  it.each(variantCases)('changes nothing under the settings of %s', async (name) => {
    expect(await worstFloors(await variantModel(name), `variants/${name}`)).toBeLessThan(2);
  });

  it.each(['mistral_sliding', 'gemma2', 'gpt2'])(
    'is read: without it %s says otherwise',
    async (name) => {
      const model = await modelOf(name);
      const prompt = goldenFacts(name).prompts[2];
      await withDecoder(model, prompt.length, async (decoder) => {
        const { cache } = await decoder.read([prompt], 10, decoder.empty(1, 8));
        const stores = cache.stores.map((store) => ({ ...store, data: store.data.map(() => 0) }));
        const own = (await decoder.read([prompt], 11, cache)).logits;
        const blank = (await decoder.read([prompt], 11, { ...cache, stores })).logits;
        const apart = Math.max(...own.map((value, id) => Math.abs(value - blank[id])));
        expect(apart).toBeGreaterThan(1000 * goldenFacts(name).noise_floor['logits'].max_abs);
      });
    },
  );

  it('grows by what is read, and no more', async () => {
    const model = await modelOf('llama_gqa_llama3');
    await withDecoder(model, 8, async (decoder) => {
      const texts = [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ];
      const three = await decoder.read(texts, 3, decoder.empty(2, 4));
      const four = await decoder.read(texts, 4, three.cache);
      const { keyHeads, headDim, layers } = model.settings;
      expect(four.cache).toMatchObject({ rows: 2, length: 4, heads: keyHeads, headDim });
      expect(four.cache.stores.map(({ filled }) => filled)).toEqual(
        Array.from({ length: 2 * layers }, () => 4),
      );
      expect(three.cache.length).toBe(3);
    });
  });

  it('may be gone on from twice, and over more positions than were put by', async () => {
    const model = await modelOf('llama_gqa_llama3');
    const text = Array.from({ length: 60 }, (_, t) => (t * 37 + 5) % 90);
    await withDecoder(model, text.length, async (decoder) => {
      const { cache } = await decoder.read([text], 3, decoder.empty(1, 8));
      const once = await logitsFrom(decoder, [text], 3);
      const other = await decoder.read([[...text.slice(0, 3), 1]], 4, cache);
      let own = await decoder.read([text], 4, cache);
      expect(other.logits).not.toEqual(own.logits);
      const again = [own.logits];
      for (let length = 5; length <= text.length; length++) {
        own = await decoder.read([text], length, own.cache);
        again.push(own.logits);
      }
      // Room grows by another way, and a row's bits may depend on the masked keys beside its own.
      const floor = goldenFacts('llama_gqa_llama3').noise_floor['logits'].max_abs;
      expect(again).toHaveLength(once.length);
      for (const [i, logits] of again.entries()) {
        const apart = Math.max(...logits.map((value, id) => Math.abs(value - once[i][id])));
        expect(apart).toBeLessThan(2 * floor);
      }
      expect((await decoder.read([[...text.slice(0, 3), 1]], 4, cache)).logits).toEqual(
        other.logits,
      );
    });
  });
});

describe('a row', () => {
  const sizes = [1, 2, 3, 7, 16, 33];

  it.each(['gpt2', 'llama_gqa_llama3', 'mistral_sliding', 'qwen3_moe', 'gemma2', 'planb'])(
    'of %s has the same bits whatever its batch is',
    async (name) => {
      const model = name === 'planb' ? await modelIn(organismFolder(name)) : await modelOf(name);
      const word = (row: number, t: number): number => (row * 7919 + t * 10_007 + 13) % 90;
      const texts = Array.from({ length: 40 }, (_, row) =>
        Array.from({ length: 14 }, (_one, t) => word(row, t)),
      );
      const { vocabulary } = model.settings;
      await withDecoder(model, 14, async (decoder) => {
        const all = await logitsFrom(decoder, texts, 10);
        for (const size of sizes) {
          const some = await logitsFrom(decoder, texts.slice(40 - size), 10);
          const start = (40 - size) * vocabulary;
          some.forEach((logits, i) => {
            expect(bitsOf(logits).equals(bitsOf(all[i].subarray(start))), `${size} rows`).toBe(
              true,
            );
          });
        }
      });
    },
  );
});

describe('keepRows', () => {
  it('takes rows, of which each keeps its positions', () => {
    const settings = { layers: 1, keyHeads: 2, headDim: 2 } as Settings;
    // Two positions of three rows: heads side by side, as they leave a graph.
    const rows = [0, 100, 200].map((row) => [
      [0, 1].map((part) => Float32Array.from({ length: 8 }, (_, i) => row + 10 * part + i)),
    ]);
    const { rows: count, stores } = keepRows(cacheOf(settings, rows, 2, 4), [0, 2]);
    expect(count).toBe(2);
    const [{ room }, { data }] = stores;
    const held = (row: number, head: number): number[] => {
      const start = (row * 2 + head) * room * 2;
      return [...data.subarray(start, start + 4)];
    };
    // Positions of one head stand together.
    expect(held(1, 0)).toEqual([210, 211, 214, 215]);
    expect(held(1, 1)).toEqual([212, 213, 216, 217]);
    expect(held(0, 1)).toEqual([12, 13, 16, 17]);
  });
});
