/**
 * Does a prompt get the same numbers when what it begins with was read for another?
 *
 * Every family, with tokens shared wherever two prompts begin alike, against each prompt read whole.
 */

import { describe, expect, it } from 'vitest';
import { siteKey, type Site } from '../../src/graph/sites.ts';
import type { Pass } from '../../src/record/segments.ts';
import { planPasses } from '../../src/record/sharing.ts';
import type { Model } from '../../models/model.ts';
import { bitsOf, forward, goldenFacts, goldenFolder, modelIn } from '../support/golden.ts';
import { sitesOf, variantCases, variantModel, wholeCases } from '../support/families.ts';
import { alike, runPasses } from '../support/passes.ts';

type Prompts = readonly (readonly number[])[];

function shared(prompts: Prompts, model: Model, batchTokens = 64): Pass[] {
  return planPasses(prompts, { batchTokens, models: [model], sharing: 'always' });
}

/** By site, the largest difference of a token's values from those of its prompt read whole. */
async function differences(
  model: Model,
  prompts: Prompts,
  passes: readonly Pass[],
  sites = sitesOf(model),
): Promise<Map<Site, number>> {
  const parts = await runPasses(model, prompts, passes, sites);
  const length = Math.max(...prompts.map((ids) => ids.length));
  const rows = prompts.flatMap((ids, b) => ids.map((_, t) => b * length + t));
  const whole = await forward(model, { prompts, sites, rows });
  return new Map(
    sites.map((site) => {
      const { data } = whole[siteKey(site)];
      const width = data.length / rows.length;
      let worst = 0;
      parts[siteKey(site)].forEach((values, row) => {
        expect(values).toHaveLength(width);
        values.forEach((value, i) => {
          worst = Math.max(worst, Math.abs(value - data[row * width + i]));
        });
      });
      expect(parts[siteKey(site)].filter(Boolean)).toHaveLength(rows.length);
      return [site, worst];
    }),
  );
}

describe('a prompt that goes on from what was read for another', () => {
  const cases = [...wholeCases, ...variantCases.map((name) => `variants/${name}`)];
  it.each(cases)('of %s has the numbers of a prompt read whole', async (name) => {
    const model = name.startsWith('variants/')
      ? await variantModel(name.slice('variants/'.length))
      : await modelIn(goldenFolder(name));
    const { prompts: references, noise_floor: floors } = goldenFacts(name);
    const prompts = alike(references);
    const passes = shared(prompts, model);
    expect(passes.some(({ past }) => past > 0)).toBe(true);
    for (const [site, worst] of await differences(model, prompts, passes)) {
      const floor = floors[siteKey(site)]?.max_abs;
      if (floor !== undefined) expect.soft(worst, siteKey(site)).toBeLessThanOrEqual(floor);
    }
  });
});

describe.each(['llama_gqa_llama3', 'gpt2', 'mistral_sliding'])('sharing in %s', (name) => {
  const { prompts: references, noise_floor: floors } = goldenFacts(name);
  const prompts = alike(references);
  const site: Site = { kind: 'resid_post', block: 1 };
  const floor = floors['resid_post.1'].max_abs;

  it('gives the same bits in another order of the set', async () => {
    const model = await modelIn(goldenFolder(name));
    const there = prompts.map((_, i) => i).sort((a, b) => ((a * 7) % 11) - ((b * 7) % 11));
    const one = await runPasses(model, prompts, shared(prompts, model), [site]);
    const moved = there.map((i) => prompts[i]);
    const other = await runPasses(model, moved, shared(moved, model), [site]);
    const first = (of: typeof prompts, i: number): number =>
      of.slice(0, i).reduce((sum, { length }) => sum + length, 0);
    there.forEach((from, to) => {
      for (let t = 0; t < prompts[from].length; t++) {
        const [a, b] = [one['resid_post.1'], other['resid_post.1']];
        const [x, y] = [a[first(prompts, from) + t], b[first(moved, to) + t]];
        expect(bitsOf(x).equals(bitsOf(y))).toBe(true);
      }
    });
  });

  it('goes on in the middle with the bits of a run that nobody stopped', async () => {
    const model = await modelIn(goldenFolder(name));
    const passes = shared(prompts, model, 24);
    const whole = (await runPasses(model, prompts, passes, [site]))['resid_post.1'];
    for (let done = 1; done < passes.length; done++) {
      const rest = await runPasses(model, prompts, passes, [site], { done });
      rest['resid_post.1'].forEach((values, row) => {
        expect(bitsOf(values).equals(bitsOf(whole[row]))).toBe(true);
      });
    }
  });

  it('would not pass with the keys and values of a neighbour', async () => {
    const model = await modelIn(goldenFolder(name));
    const passes = shared(prompts, model);
    const worstOf = async (spoilt: readonly Pass[]): Promise<number> =>
      (await differences(model, prompts, spoilt, [site])).get(site) ?? 0;
    expect(await worstOf(passes)).toBeLessThanOrEqual(floor);
    const neighbours = passes.map((pass) => ({
      ...pass,
      parents: pass.parents.map(({ pass: p, row }) => ({
        pass: p,
        row: (row + 1) % passes[p].segments.length,
      })),
    }));
    expect(await worstOf(neighbours)).toBeGreaterThan(1000 * floor);
  });
});
