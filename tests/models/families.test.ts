/**
 * Does every family compute what transformers computed in float64, from every spelling of its config
 * and under settings that few files use? And do a prompt's numbers depend on nothing but the prompt?
 */

import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/files/checkpoint.ts';
import { Builder } from '../../src/graph/builder.ts';
import { selectSites, siteKey } from '../../src/graph/sites.ts';
import { greedy } from '../../src/runtime/generate.ts';
import { untrainedTwin } from '../../models/bindings.ts';
import { openModel, type Model } from '../../models/model.ts';
import { architectures } from '../../models/registry.ts';
import { bitsOf, forward, goldenFacts, goldenFolder, type GoldenFacts } from '../support/golden.ts';
import {
  configOf,
  modelOf,
  parityOf,
  sitesOf,
  variantCases,
  variantModel,
  wholeCases,
} from '../support/families.ts';

const spellings = ['config.json', 'config.v4.json'] as const;

describe('each family', () => {
  it('has a reference', async () => {
    const covered = await Promise.all(
      wholeCases.map(async (name) => (await modelOf(name)).architecture.family),
    );
    expect(new Set(covered)).toEqual(new Set(architectures.keys()));
  });

  const cases = wholeCases.flatMap((name) =>
    spellings.flatMap((spelling) =>
      configOf(name, spelling) === undefined ? [] : [[name, spelling] as const],
    ),
  );
  it.each(cases)('%s, %s: every tensor within 4 noise floors', async (name, spelling) => {
    const model = await modelOf(name, {}, configOf(name, spelling));
    const { comparisons, notCompared } = await parityOf(model, name);
    const failed = comparisons.filter(({ ofAllowed }) => !(ofAllowed <= 1));
    expect(failed).toEqual([]);
    // unembed_in stands between two maps of OPT's head, and the logits behind it are compared.
    const left = notCompared.filter((tensor) => !/^grad\.|^unembed_in$/.test(tensor));
    expect(left).toEqual([]);
    // Whatever the model offers to look at was held against the reference.
    const compared = comparisons.map((comparison) => comparison.name.split('.')[0]);
    expect(compared).toEqual(expect.arrayContaining([...model.sites.kinds]));
  });
});

describe('greedy', () => {
  const written = wholeCases.filter((name) => greedyOf(name) !== undefined);

  it.each(written)('goes on as transformers does in %s', async (name) => {
    const model = await modelOf(name);
    const { prompts } = goldenFacts(name);
    const wanted = greedyOf(name) ?? [];
    for (const [i, prompt] of prompts.entries()) {
      const maxTokens = Math.min(wanted[i].length, model.settings.context - prompt.length);
      const answer = await greedy(model, prompt, { maxTokens });
      expect(answer).toEqual(wanted[i].slice(0, maxTokens));
    }
  });
});

/** Tokens that transformers chose after each prompt; absent where the reference has none. */
function greedyOf(name: string): readonly (readonly number[])[] | undefined {
  const facts: Partial<GoldenFacts> = goldenFacts(name);
  return facts.greedy;
}

describe('settings that few files use', () => {
  it.each(variantCases)('%s: every tensor within 4 noise floors', async (name) => {
    const model = await variantModel(name);
    const { comparisons } = await parityOf(model, `variants/${name}`);
    expect(comparisons.filter(({ ofAllowed }) => !(ofAllowed <= 1))).toEqual([]);
    expect(comparisons.length).toBeGreaterThan(4);
  });
});

describe('a prompt', () => {
  const tiny = wholeCases.filter((name) => name !== 'stories260K');

  async function aloneAsInABatch(
    model: Model,
    prompts: readonly (readonly number[])[],
  ): Promise<void> {
    const sites = sitesOf(model).filter(({ kind }) => kind !== 'pattern');
    const longest = Math.max(...prompts.map((ids) => ids.length));
    const batch = await forward(model, { prompts, sites });
    for (const [row, ids] of prompts.entries()) {
      const alone = await forward(model, { prompts: [ids], sites });
      for (const site of sites) {
        const [got, wanted] = [batch, alone].map((fetched) => fetched[siteKey(site)]);
        const width = got.data.length / got.shape[0];
        const start = row * longest * width;
        const ours = got.data.subarray(start, start + ids.length * width);
        expect(bitsOf(ours).equals(bitsOf(wanted.data)), siteKey(site)).toBe(true);
      }
    }
  }

  it.each(tiny)('has the same bits alone and in a batch in %s', async (name) => {
    await aloneAsInABatch(await modelOf(name), goldenFacts(name).prompts);
  });

  it.each(['llama_dynamic', 'phi3_longrope'])(
    'has the same bits beside longer ones in %s, where its own length decides',
    async (name) => {
      const { prompts } = goldenFacts(`variants/${name}`);
      await aloneAsInABatch(await variantModel(name), prompts);
    },
  );

  it.each(['mixtral', 'qwen3_moe'])('of one token runs in %s', async (name) => {
    const model = await modelOf(name);
    const fetched = await forward(model, { prompts: [[5]], sites: sitesOf(model) });
    expect(fetched['logits'].shape).toEqual([1, model.settings.vocabulary]);
    expect(fetched['logits'].data.every(Number.isFinite)).toBe(true);
  });
});

describe('openModel refuses', () => {
  it.each([
    ['two heads', 'gpt_neox', 'embed_out.weight', 'lm_head.weight'],
    ['a tensor with and without the prefix', 'gpt_neo', 'transformer.wte.weight', 'wte.weight'],
  ])('%s', async (_, name, stored, twice) => {
    const files = await openCheckpoint(goldenFolder(name));
    const tensor = files.tensors.get(stored);
    if (tensor === undefined) throw new Error(`${name} holds no ${stored}`);
    const tensors = new Map([...files.tensors, [twice, { ...tensor, name: twice }]]);
    await expect(openModel({ ...files, tensors })).rejects.toMatchObject({
      code: 'TENSOR_UNEXPECTED',
      what: `config.json has no place for tensor "${twice}"`,
    });
  });
});

describe('sites', () => {
  it.each([
    [
      'gpt_neox',
      'resid_mid',
      'Attention and MLP read the same stream: nothing stands between them.',
    ],
    ['phi', 'resid_mid', 'Attention and MLP read the same stream: nothing stands between them.'],
    ['opt_350m', 'final_norm', 'No norm stands between the last block and the head.'],
    ['opt_350m', 'mlp_out_raw', 'The norm stands behind the sum: mlp_out is the raw output.'],
    [
      'qwen3',
      'attn_out_raw',
      'No norm stands between attention and the stream: attn_out is the raw output.',
    ],
  ])('%s has no %s, and says why', async (name, kind, reason) => {
    const { sites } = await modelOf(name);
    expect(() => selectSites(kind, sites)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        what: `this model has no site "${kind}"`,
        cause: reason,
      }),
    );
  });

  it.each(['gpt_neox_sequential', 'gemma2', 'olmo2'])(
    '%s has one between its branches',
    async (name) => {
      const { sites } = await modelOf(name);
      expect(selectSites('resid_mid.1', sites)).toEqual([{ kind: 'resid_mid', block: 1 }]);
    },
  );
});

describe('the untrained twin', () => {
  it('starts a gain that is stored as w and acts as 1 + w from 0', async () => {
    const gains = async (name: string): Promise<Set<number>> => {
      const g = new Builder('twin');
      untrainedTwin(await modelOf(name), 1)(g, 'norm.weight');
      const [{ data }] = g.finish([]).initializers;
      return new Set(data.kind === 'inline' ? new Float32Array(data.bytes.slice().buffer) : []);
    };
    expect(await gains('gemma')).toEqual(new Set([0]));
    expect(await gains('qwen3')).toEqual(new Set([1]));
  });
});
