/**
 * Would parity notice? Each line of the table is one thing that is easily got wrong; with it, the same
 * comparison must fail by at least 30 noise floors (4 are allowed, rounding reaches 3).
 */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Builder } from '../../src/graph/builder.ts';
import type { Value } from '../../src/graph/onnx.ts';
import { readGolden, readNoiseFloor } from '../../src/record/golden.ts';
import { compareWithGolden } from '../../src/record/parity.ts';
import type { Frame, Ports, Settings } from '../../models/architecture.ts';
import type { Model } from '../../models/model.ts';
import {
  goldenFolder,
  modelIn,
  readJson,
  tinyCases,
  withKeys,
  type Json,
} from '../support/golden.ts';

/** The worst ratio of an error to its noise floor. */
async function worstFloors(model: Model, name: string): Promise<number> {
  const folder = goldenFolder(name);
  const { comparisons } = await compareWithGolden(
    model,
    await readGolden(join(folder, 'golden.safetensors')),
    { floors: await readNoiseFloor(join(folder, 'golden.json')), threads: 1 },
  );
  return 4 * Math.max(...comparisons.map(({ ofAllowed }) => ofAllowed));
}

/** What is wrong; in which checkpoint; the keys of config.json that say so. */
const configMutations: readonly (readonly [string, string, Json])[] = [
  ['epsilon ten times too large', 'llama_mha', { rms_norm_eps: 1e-4 }],
  ['epsilon ten times too large', 'gpt2', { layer_norm_epsilon: 1e-4 }],
  ['epsilon ten times too small', 'llama_gqa_llama3', { rms_norm_eps: 1e-6 }],
  ['exact gelu for its tanh form', 'gpt2', { activation_function: 'gelu' }],
  ['relu for gelu', 'gpt2_hub_names', { activation_function: 'relu' }],
  ['tanh gelu for silu', 'llama_mha', { hidden_act: 'gelu_new' }],
  ['scores not scaled', 'gpt2', { scale_attn_weights: false }],
  ['scores not scaled by layer', 'gpt2_inverse_layer', { scale_attn_by_inverse_layer_idx: false }],
  ['scores scaled by layer', 'gpt2', { scale_attn_by_inverse_layer_idx: true }],
  ['rotary base 10 001 for 10 000', 'llama_mha', ropeOf({ rope_theta: 10_001 })],
  ['rotary base 10 000 for 500 000', 'llama_gqa_llama3', llama3Of({ rope_theta: 10_000 })],
  ['no linear scaling', 'llama_linear_bias', ropeOf({ rope_theta: 20_000 })],
  [
    'linear factor 2 for 2.5',
    'llama_linear_bias',
    { rope_parameters: { rope_type: 'linear', rope_theta: 20_000, factor: 2 } },
  ],
  ['no llama3 scaling', 'llama_gqa_llama3', ropeOf({ rope_theta: 500_000 })],
  ['llama3 factor 4 for 8', 'llama_gqa_llama3', llama3Of({ factor: 4 })],
  ['llama3 low edge moved', 'llama_gqa_llama3', llama3Of({ low_freq_factor: 0.5 })],
  ['llama3 high edge moved', 'llama_gqa_llama3', llama3Of({ high_freq_factor: 8 })],
  [
    'llama3 trained context doubled',
    'llama_gqa_llama3',
    llama3Of({ original_max_position_embeddings: 32 }),
  ],
  [
    'linear scaling where llama3 is right',
    'llama_gqa_llama3',
    { rope_parameters: { rope_type: 'linear', rope_theta: 500_000, factor: 8 } },
  ],
];

function ropeOf(keys: Json): Json {
  return { rope_parameters: { rope_type: 'default', ...keys } };
}

function llama3Of(keys: Json): Json {
  const config = readJson(join(goldenFolder('llama_gqa_llama3'), 'config.json'));
  return { rope_parameters: { ...Object(config['rope_parameters']), ...keys } };
}

describe('a wrong setting', () => {
  it.each(configMutations)('%s (%s) is seen', async (_, name, keys) => {
    const model = await modelIn(withKeys(goldenFolder(name), keys));
    expect(await worstFloors(model, name)).toBeGreaterThan(30);
  });
});

type Change = (model: Model) => Model;

/** Another binding of a port, or another order of what the equation reads. */
const codeMutations: readonly (readonly [string, string, Change])[] = [
  ['norm gains are 1 + w', 'llama_mha', addingOne(/norm\.weight$/)],
  ['norm gains are 1 + w', 'gpt2', addingOne(/ln_(1|2|f)\.weight$/)],
  ['the last norm is left out', 'llama_mha', withoutFinalNorm],
  ['the last norm is left out', 'gpt2', withoutFinalNorm],
  ['keys and values change places', 'llama_mha', swapping('self_attn.k_proj', 'self_attn.v_proj')],
  ['gate and up change places', 'llama_mha', swapping('mlp.gate_proj', 'mlp.up_proj')],
  [
    'the two norms change places',
    'llama_mha',
    swapping('input_layernorm', 'post_attention_layernorm'),
  ],
  ['the two norms change places', 'gpt2', swapping('ln_1', 'ln_2')],
  ['blocks run in another order', 'llama_mha', reversingBlocks],
  ['blocks run in another order', 'gpt2_inverse_layer', reversingBlocks],
  ['the head is tied although it is not', 'llama_mha', tying],
  ['queries and keys are not turned', 'llama_mha', withoutPositions],
  ['all positions are 0', 'gpt2', withoutPositions],
  ['key heads in another order', 'llama_gqa_llama3', reversingKeyHeads],
  ['query heads interleaved over key heads', 'llama_linear_bias', interleavingHeads],
];

describe('a wrong equation', () => {
  it.each(codeMutations)('%s (%s) is seen', async (_, name, change) => {
    const model = change(await modelIn(goldenFolder(name)));
    expect(await worstFloors(model, name)).toBeGreaterThan(30);
  });
});

describe('no change', () => {
  it.each(tinyCases)('is no failure in %s', async (name) => {
    const folder = goldenFolder(name);
    expect(await worstFloors(await modelIn(withKeys(folder, {})), name)).toBeLessThan(4);
  });
});

/** The architecture with another block: its ports and frame changed before the block reads them. */
function changingBlock(
  model: Model,
  change: (g: Builder, frame: Frame, ports: Ports, layer: number) => [Frame, Ports, number],
): Model {
  const { architecture } = model;
  return {
    ...model,
    architecture: {
      ...architecture,
      block(g, frame, ports, settings: Settings, layer, x): Value {
        const [otherFrame, otherPorts, otherLayer] = change(g, frame, ports, layer);
        return architecture.block(g, otherFrame, otherPorts, settings, otherLayer, x);
      },
    },
  };
}

function addingOne(names: RegExp): Change {
  return (model) => {
    const { architecture } = model;
    let count = 0;
    const plusOne = (g: Builder, name: string, value: Value): Value =>
      names.test(name)
        ? g.add(g.cast(value, 'float32'), g.floats(`one_${count++}`, [1], Float32Array.of(1)))
        : value;
    const changed = changingBlock(model, (g, frame, ports, layer) => [
      frame,
      { ...ports, param: (name) => plusOne(g, name, ports.param(name)) },
      layer,
    ]);
    return {
      ...changed,
      architecture: {
        ...changed.architecture,
        finalNorm: (g, params, settings, x) =>
          architecture.finalNorm(g, (name) => plusOne(g, name, params(name)), settings, x),
      },
    };
  };
}

function withoutFinalNorm(model: Model): Model {
  return { ...model, architecture: { ...model.architecture, finalNorm: (_g, _p, _s, x) => x } };
}

function swapping(a: string, b: string): Change {
  const other = (name: string): string => {
    if (name.startsWith(`${a}.`)) return name.replace(a, b);
    return name.startsWith(`${b}.`) ? name.replace(b, a) : name;
  };
  return (model) =>
    changingBlock(model, (_g, frame, ports, layer) => [
      frame,
      { ...ports, param: (name) => ports.param(other(name)) },
      layer,
    ]);
}

function reversingBlocks(model: Model): Model {
  const last = model.settings.layers - 1;
  const { architecture } = model;
  const blockPrefix = (layer: number): string => architecture.blockPrefix(last - layer);
  return { ...model, architecture: { ...architecture, blockPrefix } };
}

function tying(model: Model): Model {
  return { ...model, settings: { ...model.settings, isTied: true } };
}

function withoutPositions(model: Model): Model {
  const { architecture } = model;
  const changed = changingBlock(model, (g, frame, ports, layer) => {
    const rows = g.mul(frame.positions, g.integers('zero', [0]));
    const rotary = [...frame.rotary].map(([name, tables]) => [name, { ...tables, rows }] as const);
    return [{ ...frame, rotary: new Map(rotary) }, ports, layer];
  });
  return {
    ...changed,
    architecture: {
      ...changed.architecture,
      embed(g, frame, params, settings) {
        const flatPositions = g.mul(frame.flatPositions, g.integers('zero', [0]));
        return architecture.embed(g, { ...frame, flatPositions }, params, settings);
      },
    },
  };
}

/** Reads a projection's heads, `[heads · headDim, d]`, in another order. */
function permutingHeads(model: Model, names: RegExp, order: readonly number[]): Model {
  const { headDim, width } = model.settings;
  const permuted = (g: Builder, name: string, value: Value): Value => {
    if (!names.test(name)) return value;
    const rest = name.endsWith('.bias') ? [] : [width];
    const shape = g.integers(`${name}.byHead`, [order.length, headDim, ...rest]);
    const flat = g.integers(`${name}.flat`, [order.length * headDim, ...rest]);
    const heads = g.reshape(g.cast(value, 'float32'), shape, [order.length, headDim, ...rest]);
    const taken = g.gather(heads, g.integers(`${name}.order`, order));
    return g.reshape(taken, flat, [order.length * headDim, ...rest]);
  };
  return changingBlock(model, (g, frame, ports, layer) => [
    frame,
    { ...ports, param: (name) => permuted(g, name, ports.param(name)) },
    layer,
  ]);
}

function reversingKeyHeads(model: Model): Model {
  return permutingHeads(model, /self_attn\.[kv]_proj\./, [1, 0]);
}

/** Query head i on key head i mod KV, as a wrong repetition lays them out, where i div (H / KV) is right. */
function interleavingHeads(model: Model): Model {
  return permutingHeads(model, /self_attn\.q_proj\./, [0, 2, 1, 3]);
}
