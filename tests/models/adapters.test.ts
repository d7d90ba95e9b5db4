/**
 * Does a base with an adapter compute what peft computes in float64? And does whatever does not fit
 * get refused by name, before a number comes out?
 */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openAdapter } from '../../src/files/peft.ts';
import { parseSite } from '../../src/graph/sites.ts';
import { readGolden, readNoiseFloor } from '../../src/record/golden.ts';
import { compareWithGolden } from '../../src/record/parity.ts';
import { composeModel } from '../../models/compose.ts';
import { asStored, between, withAdapter, type Variant } from '../../models/variants.ts';
import {
  bitsOf,
  floatsOf,
  forward,
  goldenFacts,
  goldenFolder,
  modelIn,
  readJson,
  readTensors,
  writeTensors,
  type Json,
  type Tensor,
} from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

/** See tests/golden/how.md. */
const allowedFloors = 4;

const cases = [
  'lora_plain',
  'lora_rslora_patterns',
  'lora_dora',
  'lora_gpt2',
  'lora_embeddings',
  'lora_dora_embeddings',
  'lora_saved_modules',
  'lora_resized',
  'lora_resized_tied',
  'lora_tied',
] as const;

/** Those whose references hold every site. */
const fullCases = cases.slice(0, 4);

async function baseOf(name: string): Promise<Variant> {
  return asStored(await modelIn(goldenFolder(name)));
}

async function adapted(name: string, scale = 1, base?: Variant): Promise<Variant> {
  const adapter = await openAdapter(join(goldenFolder(name), 'adapter'));
  return await withAdapter(base ?? (await baseOf(name)), adapter, scale);
}

/** Worst error in noise floors, and the tensors that were compared. */
async function floorsOff(
  { model, bind }: Variant,
  golden: string,
): Promise<{ worst: number; names: readonly string[] }> {
  const { comparisons } = await compareWithGolden(
    model,
    await readGolden(`${golden}.safetensors`),
    { floors: await readNoiseFloor(`${golden}.json`), threads: 1, bind: bind('') },
  );
  const ratios = comparisons.map(({ ofAllowed }) => allowedFloors * ofAllowed);
  return { worst: Math.max(...ratios), names: comparisons.map(({ name }) => name) };
}

async function logitsOf({ model, bind }: Variant, name: string): Promise<Float32Array> {
  const { prompts } = goldenFacts(name);
  const sites = [parseSite('logits')];
  const fetched = await forward(model, { prompts, sites, bind: bind('') });
  return fetched['logits'].data;
}

describe.each(cases)('%s', (name) => {
  const golden = join(goldenFolder(name), 'golden');

  it('agrees with peft in every tensor', async () => {
    const { worst, names } = await floorsOff(await adapted(name), golden);
    expect(worst).toBeLessThanOrEqual(allowedFloors);
    expect(names).toEqual(expect.arrayContaining(['resid_pre.0', 'resid_post.1', 'logits']));
  });

  it('is seen to differ if the adapter is left out or its scale is a twentieth off', async () => {
    const base = await baseOf(name);
    const isResized = name.includes('resized');
    const wrong = isResized ? [] : [base, await adapted(name, 0.95)];
    for (const variant of wrong) {
      expect((await floorsOff(variant, golden)).worst).toBeGreaterThan(30);
    }
    // A base cannot stand in for one with more tokens; its logits have another size.
    if (isResized) expect((await floorsOff(base, golden)).worst).toBe(Infinity);
  });

  it('is the base, bit for bit, at scale 0', async () => {
    const base = await baseOf(name);
    const nothing = await logitsOf(await adapted(name, 0), name);
    expect(bitsOf(nothing).equals(bitsOf(await logitsOf(base, name)))).toBe(true);
  });
});

describe.each(fullCases)('%s', (name) => {
  it('compares all sites', async () => {
    const tensors = readTensors(join(goldenFolder(name), 'golden.safetensors'));
    const { names } = await floorsOff(await adapted(name), join(goldenFolder(name), 'golden'));
    const sites = [...tensors.keys()].filter(
      (key) => !/^(input_ids|attention_mask|logits_base)$/.test(key),
    );
    expect(names.toSorted()).toEqual(sites.toSorted());
    expect(sites.length).toBeGreaterThan(13);
  });

  it('gives the reference’s logits of the base without the adapter', async () => {
    const { model } = await baseOf(name);
    const tensors = readTensors(join(goldenFolder(name), 'golden.safetensors'));
    const mask = tensors.get('attention_mask')!;
    const reference = tensors.get('logits_base')!;
    const vocabulary = reference.shape[2];
    const ours = await logitsOf(asStored(model), name);
    const { max_abs: floor } = goldenFacts(name).noise_floor['logits'];
    let worst = 0;
    floatsOf(reference).forEach((value, i) => {
      const isReal = mask.bytes.readBigInt64LE(8 * Math.floor(i / vocabulary)) === 1n;
      if (isReal) worst = Math.max(worst, Math.abs(value - ours[i]));
    });
    expect(worst).toBeLessThanOrEqual(allowedFloors * floor);
  });
});

describe('withAdapter', () => {
  const ways = goldenFolder('lora_ways');

  it('lays one adapter on another as if the first had been merged', async () => {
    const stack = await adapted('lora_dora', 1, await adapted('lora_plain'));
    expect(stack.depth).toBe(2);
    expect((await floorsOff(stack, join(ways, 'stack'))).worst).toBeLessThanOrEqual(allowedFloors);
    const turned = await adapted(
      'lora_plain',
      1,
      await adapted('lora_dora', 1, await baseOf('lora_plain')),
    );
    expect((await floorsOff(turned, join(ways, 'stack'))).worst).toBeGreaterThan(30);
  });

  it('makes half of a change as peft does with half its scaling', async () => {
    const half = await adapted('lora_plain', 0.5);
    expect((await floorsOff(half, join(ways, 'half'))).worst).toBeLessThanOrEqual(allowedFloors);
  });

  it.each(['lora_dora', 'lora_saved_modules'])(
    'walks straight through weights in %s',
    async (name) => {
      // Half way to half way from the other end: W + ½(W′ − W) is the same from both.
      const base = await baseOf(name);
      const full = await adapted(name);
      const half = await adapted(name, 0.5, base);
      // A tie that the adapter cuts is cut in the base too, so that both ends have one shape.
      const cut = { ...base, model: { ...full.model, weights: base.model.weights } };
      const start: Variant = name === 'lora_dora' ? base : { ...cut, bind: untiedBind(base) };
      const way = between(start, full, 0.5);
      const [a, b] = [await logitsOf(half, name), await logitsOf(way, name)];
      // Rounding of weights in another order.
      a.forEach((value, i) => expect(Math.abs(value - b[i])).toBeLessThan(2e-4));
    },
  );

  it('reads base and adapter in place', async () => {
    const { model, bind } = await adapted('lora_plain');
    const sites = [parseSite('logits')];
    const graph = composeModel(model.architecture, model.settings, bind(''), { sites, length: 8 });
    const files = graph.initializers.flatMap(({ data, shape }) =>
      shape.length === 2 && data.kind === 'external' ? [data.file.replace(/.*\/golden\//, '')] : [],
    );
    const count = (name: string): number => files.filter((file) => file === name).length;
    // Two blocks of seven matrices, embedding and head; A and B of two modules in each block.
    expect(count('lora_plain/model.safetensors')).toBe(16);
    expect(count('lora_plain/adapter/adapter_model.safetensors')).toBe(8);
    expect(files).toHaveLength(24);
  });
});

/** The head's name read as the embedding's, where a base is tied. */
function untiedBind(base: Variant): Variant['bind'] {
  return (label) => {
    const bind = base.bind(label);
    const other = base.bind(`${label}head/`);
    return (g, name) =>
      name === 'lm_head.weight' ? other(g, base.model.architecture.embedding) : bind(g, name);
  };
}

describe('between', () => {
  it('is either end, bit for bit, at 0 and 1', async () => {
    const [a, b] = [await baseOf('lora_plain'), await baseOf('lora_dora')];
    const name = 'lora_plain';
    const [atA, atB] = [await logitsOf(a, name), await logitsOf(b, name)];
    expect(bitsOf(await logitsOf(between(a, b, 0), name)).equals(bitsOf(atA))).toBe(true);
    expect(bitsOf(await logitsOf(between(a, b, 1), name)).equals(bitsOf(atB))).toBe(true);
    expect(bitsOf(atA).equals(bitsOf(atB))).toBe(false);
  });

  it('mixes weights as numpy does', async () => {
    const quarter = between(await baseOf('lora_plain'), await baseOf('lora_dora'), 0.25);
    const golden = join(goldenFolder('lora_ways'), 'between');
    expect((await floorsOff(quarter, golden)).worst).toBeLessThanOrEqual(allowedFloors);
  });

  it('refuses checkpoints of different configs', async () => {
    const [a, b] = [await baseOf('lora_plain'), await baseOf('lora_gpt2')];
    expect(() => between(a, b, 0.5)).toThrowError(
      /^no path leads between checkpoints of different configs — /,
    );
  });
});

/** A copy of a case's adapter with other keys in its config, or other tensors. */
function copyOf(name: string, keys: Json, change?: (tensors: Map<string, Tensor>) => void): string {
  const from = join(goldenFolder(name), 'adapter');
  const to = scratchFolder('adapter');
  mkdirSync(to, { recursive: true });
  const config = { ...readJson(join(from, 'adapter_config.json')), ...keys };
  writeFileSync(join(to, 'adapter_config.json'), JSON.stringify(config));
  const file = 'adapter_model.safetensors';
  if (change === undefined) symlinkSync(join(from, file), join(to, file));
  else {
    const tensors = readTensors(join(from, file));
    change(tensors);
    writeTensors(join(to, file), tensors);
  }
  return to;
}

const layer = 'base_model.model.model.layers.0.self_attn';

function moved(from: string, to: string) {
  return (tensors: Map<string, Tensor>): void => {
    const tensor = tensors.get(from)!;
    tensors.delete(from);
    tensors.set(to, tensor);
  };
}

describe('matchAdapter', () => {
  it.each<[string, string, Json, ((tensors: Map<string, Tensor>) => void) | undefined, string]>([
    [
      'a lora_A without its lora_B',
      'lora_plain',
      {},
      (t) => t.delete(`${layer}.q_proj.lora_B.weight`),
      'the adapter lacks lora_B of "model.layers.0.self_attn.q_proj"',
    ],
    [
      'a module without both',
      'lora_plain',
      {},
      (t) => ['A', 'B'].forEach((x) => t.delete(`${layer}.q_proj.lora_${x}.weight`)),
      'the adapter lacks lora_A and lora_B of "model.layers.0.self_attn.q_proj", which target_modules names',
    ],
    [
      'a module that the config does not name',
      'lora_plain',
      { target_modules: ['q_proj'] },
      undefined,
      `nothing takes tensor "${layer}.v_proj.lora_A.weight": target_modules does not name "model.layers.0.self_attn.v_proj"`,
    ],
    [
      'an excluded module',
      'lora_plain',
      { exclude_modules: '.*layers\\.0.*v_proj' },
      undefined,
      `nothing takes tensor "${layer}.v_proj.lora_A.weight": target_modules does not name "model.layers.0.self_attn.v_proj"`,
    ],
    [
      'a module that the base does not have',
      'lora_plain',
      {},
      (t) =>
        ['A', 'B'].forEach((x) =>
          moved(`${layer}.q_proj.lora_${x}.weight`, `${layer}.z_proj.lora_${x}.weight`)(t),
        ),
      `nothing takes tensor "${layer}.z_proj.lora_A.weight": the base has no module "model.layers.0.self_attn.z_proj"`,
    ],
    [
      'a name that is not peft’s',
      'lora_plain',
      {},
      moved(`${layer}.q_proj.lora_A.weight`, 'q_proj.lora_A.weight'),
      'nothing takes tensor "q_proj.lora_A.weight": its name does not begin with "base_model.model."',
    ],
    [
      'another rank',
      'lora_plain',
      { r: 5 },
      undefined,
      'shape [4, 48] where the base and the rank ask for [5, 48]',
    ],
    [
      'another rank by a pattern',
      'lora_plain',
      { rank_pattern: { 'layers.1.*v_proj': 2 } },
      undefined,
      'shape [4, 48] where the base and the rank ask for [2, 48]',
    ],
    [
      'a magnitude that nobody asked for',
      'lora_dora',
      { use_dora: false },
      undefined,
      'nothing takes tensor "base_model.model.model.layers.0.mlp.down_proj.lora_magnitude_vector": use_dora is false',
    ],
    [
      'a magnitude that is missing',
      'lora_plain',
      { use_dora: true },
      undefined,
      'the adapter lacks lora_magnitude_vector of "model.layers.0.self_attn.q_proj"',
    ],
    [
      'a saved module that is missing',
      'lora_plain',
      { modules_to_save: ['norm'] },
      undefined,
      'the adapter lacks "norm.weight", which modules_to_save names',
    ],
    [
      'biases that are missing',
      'lora_gpt2',
      { bias: 'all' },
      undefined,
      'the adapter lacks "ln_f.bias", which bias "all" says was trained',
    ],
    [
      'biases that nobody trained',
      'lora_embeddings',
      { bias: 'none' },
      undefined,
      'nothing takes tensor "base_model.model.transformer.h.0.attn.c_attn.base_layer.bias": nothing in its config says that this weight was trained',
    ],
    [
      'a whole weight that nobody trained',
      'lora_saved_modules',
      { modules_to_save: ['embed_tokens'] },
      undefined,
      'nothing takes tensor "base_model.model.model.layers.0.input_layernorm.weight": nothing in its config says that this weight was trained',
    ],
    [
      'a larger embedding and no head',
      'lora_resized',
      {},
      (t) => t.delete('base_model.model.lm_head.weight'),
      'the adapter lacks "lm_head.weight" for its vocabulary of 101',
    ],
    [
      'two different matrices of a tied model',
      'lora_tied',
      {},
      (t) => {
        const name = 'base_model.model.lm_head.base_layer.weight';
        const tensor = t.get(name)!;
        const bytes = Buffer.from(tensor.bytes);
        bytes.writeFloatLE(1, 0);
        t.set(name, { ...tensor, bytes });
      },
      'the head is tied, yet "base_model.model.lm_head.base_layer.weight" is not "base_model.model.model.embed_tokens.base_layer.weight"',
    ],
    [
      'weights in integers',
      'lora_plain',
      {},
      (t) => {
        const name = `${layer}.q_proj.lora_A.weight`;
        t.set(name, { ...t.get(name)!, dtype: 'I32' });
      },
      'a weight of type I32',
    ],
  ])('refuses %s', async (_what, name, keys, change, message) => {
    const adapter = await openAdapter(copyOf(name, keys, change));
    await expect(withAdapter(await baseOf(name), adapter, 1)).rejects.toMatchObject({
      what: message,
      exitCode: 3,
    });
  });

  it('refuses to go part of the way to another vocabulary', async () => {
    await expect(adapted('lora_resized', 0.5)).rejects.toMatchObject({
      what: 'no part of the way, such as 0.5, leads to another vocabulary',
      exitCode: 2,
    });
  });

  it('takes what the config says in other words', async () => {
    const plain = await logitsOf(await adapted('lora_plain'), 'lora_plain');
    const spellings: Json[] = [
      { target_modules: '.*\\.(q|v)_proj' },
      { target_modules: ['self_attn.q_proj', 'v_proj'] },
      { r: 1, rank_pattern: { 'q_proj|v_proj': 4 } },
      { lora_alpha: 1, alpha_pattern: { '[qv]_proj': 8 } },
      { lora_alpha: 4, use_rslora: true },
      { target_modules: ['q_proj', 'v_proj', 'o_proj'], exclude_modules: ['o_proj'] },
      { layers_to_transform: [0, 1], layers_pattern: 'layers' },
      { fan_in_fan_out: true },
    ];
    for (const keys of spellings) {
      const adapter = await openAdapter(copyOf('lora_plain', keys));
      const variant = await withAdapter(await baseOf('lora_plain'), adapter, 1);
      const logits = await logitsOf(variant, 'lora_plain');
      expect(bitsOf(logits).equals(bitsOf(plain)), JSON.stringify(keys)).toBe(true);
    }
  });
});
