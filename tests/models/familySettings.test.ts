/**
 * Config traps: what a key means in one family and not in the next, what its absence means, and what
 * is refused because it would change the computation in a way that is not built in.
 */

import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import type { Settings } from '../../models/architecture.ts';
import { parametersOf } from '../../models/model.ts';
import { ConfigReader } from '../../models/settings.ts';
import { architectureFor } from '../../models/registry.ts';
import { configOf, wholeCases } from '../support/families.ts';
import { publishedConfigs } from '../support/publishedConfigs.ts';
import type { Json } from '../support/golden.ts';

/** What a family makes of a config, every key of it. */
function settingsOf(config: Json): Json {
  return { ...readSettings(config) };
}

function readSettings(config: Json): Settings {
  const written = Object.entries(config).filter(([, value]) => value !== undefined);
  const reader = new ConfigReader(Object.fromEntries(written), 'config.json');
  const architecture = architectureFor(config['model_type'], 'config.json');
  const settings = architecture.readSettings(reader);
  // openModel reads these for every family.
  for (const key of ['initializer_range', 'init_std']) reader.raw(key);
  reader.finish(architecture.irrelevantKeys, new Set());
  return settings;
}

const old = (name: string, keys: Json): Json => ({ ...configOf(name, 'config.v4.json'), ...keys });
const modern = (name: string, keys: Json): Json => ({ ...configOf(name, 'config.json'), ...keys });

describe('both spellings', () => {
  const cases = wholeCases.filter((name) => configOf(name, 'config.v4.json') !== undefined);
  it.each(cases)('mean the same in %s', (name) => {
    expect(settingsOf(old(name, {}))).toEqual(settingsOf(modern(name, {})));
  });
});

describe('a published config', () => {
  it.each(Object.keys(publishedConfigs))('of %s is understood, every key', (name) => {
    const { width, layers, vocabulary } = settingsOf(publishedConfigs[name]);
    expect([width, layers, vocabulary]).not.toContain(undefined);
  });
});

/** Parameters of published checkpoints, as their publishers and the hub count them. */
const publishedCounts: readonly (readonly [string, number])[] = [
  ['Llama 3 8B', 8_030_261_248],
  ['Llama 2 7B', 6_738_415_616],
  ['SmolLM2 135M', 134_515_008],
  ['Mistral 7B v0.1', 7_241_732_096],
  ['Qwen2.5 7B', 7_615_616_512],
  ['Qwen3 8B', 8_190_735_360],
  ['Qwen3 30B-A3B', 30_532_122_624],
  ['Gemma 2B', 2_506_172_416],
  ['Gemma 2 2B', 2_614_341_888],
  ['Gemma 3 1B', 999_885_952],
  ['Phi 2', 2_779_683_840],
  ['Phi 3 mini 4k', 3_821_079_552],
  ['Pythia 70M', 70_426_624],
  ['GPT-Neo 125M', 125_198_592],
  ['OPT 125M', 125_239_296],
  ['OPT 350M', 331_196_416],
  ['OLMo 1B', 1_176_764_416],
  ['OLMo 7B', 6_888_095_744],
  ['OLMo 2 7B', 7_298_617_344],
  ['StarCoder2 3B', 3_030_371_328],
  ['Mixtral 8x7B', 46_702_792_704],
];

describe('parametersOf', () => {
  it.each(publishedCounts)('counts what %s has', (name, count) => {
    const config = publishedConfigs[name];
    const architecture = architectureFor(config['model_type'], 'config.json');
    const sizes = parametersOf(architecture, readSettings(config)).map(({ shape }) =>
      shape.reduce((size, axis) => size * axis, 1),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(count);
  });
});

const rope = (kind: Json): Json => ({ rope: expect.objectContaining(kind) });

describe('an absent or unusual key', () => {
  it.each<[string, Json, Json]>([
    [
      'mistral without a window key slides over 4096',
      old('mistral_sliding', { sliding_window: undefined }),
      { window: 4096 },
    ],
    [
      'mistral with a null window sees everything',
      old('mistral_sliding', { sliding_window: null }),
      { window: null },
    ],
    [
      'mistral without head_dim shares the width',
      old('mistral_sliding', { head_dim: undefined }),
      { headDim: 12 },
    ],
    [
      'mistral with a null head_dim shares the width',
      old('mistral_sliding', { head_dim: null }),
      { headDim: 12 },
    ],
    [
      'phi3 without a window key sees everything',
      old('phi3', { sliding_window: undefined }),
      { window: null },
    ],
    [
      'starcoder2 without a window key sees everything',
      old('starcoder2', { sliding_window: undefined }),
      { window: null },
    ],
    [
      'mixtral without a window key sees everything',
      old('mixtral', { sliding_window: undefined }),
      { window: null },
    ],
    [
      'mixtral without rope_theta turns at its own base',
      old('mixtral', { rope_theta: undefined }),
      { turning: expect.objectContaining(rope({ theta: 1e6 })) },
    ],
    [
      'qwen2 ignores a window that is switched off',
      old('qwen2', {}),
      { windows: [null, null, null] },
    ],
    [
      'qwen2 slides from max_window_layers on',
      old('qwen2', { use_sliding_window: true, max_window_layers: 1 }),
      { windows: [null, 8, 8] },
    ],
    [
      'qwen2 has layer_types before max_window_layers',
      old('qwen2', {
        use_sliding_window: true,
        max_window_layers: 0,
        layer_types: ['full_attention', 'sliding_attention', 'full_attention'],
      }),
      { windows: [null, 8, null] },
    ],
    ['qwen3 without head_dim has 128', old('qwen3', { head_dim: undefined }), { headDim: 128 }],
    [
      'qwen3 without attention_bias has none',
      old('qwen3', { attention_bias: undefined }),
      { bias: false },
    ],
    [
      'qwen3_moe without head_dim shares the width',
      old('qwen3_moe', { head_dim: undefined }),
      { headDim: 8 },
    ],
    [
      'qwen3_moe mixes every second layer if it says so',
      old('qwen3_moe', { decoder_sparse_step: 2, mlp_only_layers: null }),
      { isMixture: [false, true, false] },
    ],
    ['gemma without head_dim has 256', old('gemma', { head_dim: undefined }), { headDim: 256 }],
    [
      'gemma calls the tanh form gelu',
      old('gemma', { hidden_act: 'gelu', hidden_activation: null }),
      { isTied: true },
    ],
    [
      'gemma without a tie is tied',
      old('gemma', { tie_word_embeddings: undefined }),
      { isTied: true },
    ],
    [
      'gemma2 without layer_types slides in even layers',
      old('gemma2', {}),
      { windows: [6, null, 6, null] },
    ],
    [
      'gemma2 with null caps has none',
      old('gemma2', { attn_logit_softcapping: null, final_logit_softcapping: null }),
      { scoreCap: null, logitCap: null },
    ],
    [
      'gemma3 without a pattern sees everything in each sixth layer',
      old('gemma3_text', { sliding_window_pattern: undefined, _sliding_window_pattern: undefined }),
      { windows: [6, 6, 6, 6] },
    ],
    [
      'gemma3 scales its global layers only',
      old('gemma3_text', {}),
      {
        turning: expect.objectContaining(rope({ kind: 'linear', theta: 1e5 })),
        localTurning: expect.objectContaining(rope({ kind: 'default', theta: 1e3 })),
      },
    ],
    [
      'gemma3 without bases has its own two',
      old('gemma3_text', { rope_theta: undefined, rope_local_base_freq: undefined }),
      {
        turning: expect.objectContaining(rope({ theta: 1e6 })),
        localTurning: expect.objectContaining(rope({ theta: 1e4 })),
      },
    ],
    [
      'gpt_neox without rotary_pct turns a quarter',
      old('gpt_neox_sequential', { rotary_pct: undefined }),
      { turning: expect.objectContaining({ width: 4 }) },
    ],
    [
      'gpt_neox without attention_bias has one',
      old('gpt_neox', { attention_bias: undefined }),
      { attentionBias: true },
    ],
    [
      'gpt_neox without use_parallel_residual is parallel',
      old('gpt_neox', { use_parallel_residual: undefined }),
      { isParallel: true },
    ],
    [
      'gpt_neox takes either name for its base',
      old('gpt_neox', { rotary_emb_base: undefined, rope_theta: 7e3 }),
      { turning: expect.objectContaining(rope({ theta: 7e3 })) },
    ],
    [
      'phi without a share turns half',
      old('phi', { partial_rotary_factor: undefined }),
      { turning: expect.objectContaining({ width: 6 }) },
    ],
    [
      'phi without key heads has as many as heads',
      old('phi', { num_key_value_heads: undefined }),
      { keyHeads: 4 },
    ],
    [
      'olmo2 without key heads has as many as heads',
      old('olmo2', { num_key_value_heads: undefined }),
      { keyHeads: 4 },
    ],
    [
      'starcoder2 without use_bias has biases',
      old('starcoder2', { use_bias: undefined }),
      { bias: true },
    ],
    [
      'starcoder2 without a tie is tied',
      old('starcoder2', { tie_word_embeddings: undefined }),
      { isTied: true },
    ],
    ['olmo clips at what it says', old('olmo', {}), { clip: 1.1, epsilon: 1e-5 }],
    ['olmo with a null clip clips nothing', old('olmo', { clip_qkv: null }), { clip: null }],
    ['olmo without the key clips nothing', old('olmo', { clip_qkv: undefined }), { clip: null }],
    [
      'olmo without its flags has neither biases nor a tie',
      old('olmo', { attention_bias: undefined, tie_word_embeddings: undefined }),
      { bias: false, isTied: false },
    ],
    [
      'olmo without key heads has as many as heads',
      old('olmo', { num_key_value_heads: undefined }),
      { keyHeads: 2 },
    ],
    [
      'olmo2 without a tie is not',
      old('olmo2', { tie_word_embeddings: undefined }),
      { isTied: false },
    ],
    [
      'opt without its flags is the usual one',
      old('opt_125m', {
        do_layer_norm_before: undefined,
        enable_bias: undefined,
        layer_norm_elementwise_affine: undefined,
        word_embed_proj_dim: null,
        tie_word_embeddings: undefined,
      }),
      {
        normsBefore: true,
        normsAtEnd: true,
        bias: true,
        isAffine: true,
        wordWidth: 56,
        isTied: true,
      },
    ],
    [
      'opt may leave out its last norm',
      old('opt_125m', { _remove_final_layer_norm: true }),
      { normsAtEnd: false },
    ],
    [
      'gpt_neo reads attention_layers where types are missing',
      old('gpt_neo', { attention_types: undefined }),
      { windows: [null, 7, null, 7] },
    ],
    [
      'gpt_neo without intermediate_size has four times the width',
      old('gpt_neo', { intermediate_size: null }),
      { mlpWidth: 192 },
    ],
    [
      'phi3 takes the first name of longrope',
      old('phi3', {
        rope_scaling: {
          type: 'su',
          short_factor: [1, 1, 1, 1, 1, 1],
          long_factor: [2, 2, 2, 2, 2, 2],
        },
      }),
      { turning: expect.objectContaining(rope({ kind: 'longrope', gain: 1 })) },
    ],
    [
      'dynamic positions reach beyond what was trained',
      modern('llama_mha', {
        rope_parameters: { rope_type: 'dynamic', rope_theta: 1e4, factor: 3 },
      }),
      { context: 192 },
    ],
  ])('%s', (_, config, expected) => {
    expect(settingsOf(config)).toMatchObject(expected);
  });

  it('longrope turns louder by √(1 + ln(max / trained) / ln(trained))', () => {
    const scaling = {
      type: 'longrope',
      short_factor: [1, 1, 1, 1, 1, 1],
      long_factor: [2, 2, 2, 2, 2, 2],
    };
    const keys = { original_max_position_embeddings: 16, rope_scaling: scaling };
    const { turning } = settingsOf(old('phi3', keys));
    expect(turning).toMatchObject(rope({ trained: 16, gain: Math.sqrt(1.5) }));
  });
});

describe('readSettings refuses', () => {
  it.each<[string, Json, string]>([
    [
      'mistral without key heads',
      old('mistral_sliding', { num_key_value_heads: undefined }),
      'num_key_value_heads is missing',
    ],
    [
      'qwen2 without key heads',
      old('qwen2', { num_key_value_heads: undefined }),
      'num_key_value_heads is missing',
    ],
    [
      'qwen3 without key heads',
      old('qwen3', { num_key_value_heads: undefined }),
      'num_key_value_heads is missing',
    ],
    [
      'starcoder2 without key heads',
      old('starcoder2', { num_key_value_heads: undefined }),
      'num_key_value_heads is missing',
    ],
    [
      'gemma2 without key heads',
      old('gemma2', { num_key_value_heads: undefined }),
      'num_key_value_heads is missing',
    ],
    [
      'gemma3 without a window',
      old('gemma3_text', { sliding_window: null }),
      'sliding_window is missing',
    ],
    [
      'gemma2 without a cap',
      old('gemma2', { final_logit_softcapping: undefined }),
      'final_logit_softcapping is missing',
    ],
    [
      'llama whose neighbouring features turn together',
      modern('llama_mha', { rope_interleaved: true }),
      'rope_interleaved true is not supported',
    ],
    [
      'gemma3 with a cap on scores',
      modern('gemma3_text', { attn_logit_softcapping: 50 }),
      'attn_logit_softcapping 50 is not supported',
    ],
    [
      'gemma with another activation',
      modern('gemma', { hidden_act: 'relu' }),
      'hidden_act "relu" is not supported',
    ],
    [
      'gemma that looks both ways',
      modern('gemma', { use_bidirectional_attention: true }),
      'use_bidirectional_attention true is not supported',
    ],
    [
      'gemma2 whose two windows differ',
      old('gemma2', { sliding_window_size: 7 }),
      'sliding_window_size 7 is not supported',
    ],
    [
      'a layer type that is not built in',
      modern('qwen3', { layer_types: ['full_attention', 'chunked_attention', 'full_attention'] }),
      'layer_types "chunked_attention" is not supported',
    ],
    [
      'fewer layer types than layers',
      modern('qwen3', { layer_types: ['full_attention'] }),
      'layer_types does not name a type for each of 3 layers',
    ],
    [
      'layers that slide while the switch is off',
      modern('qwen3', { layer_types: ['full_attention', 'sliding_attention', 'full_attention'] }),
      'layers slide, but use_sliding_window is off',
    ],
    [
      'qwen2 with positions of several axes',
      modern('qwen2', { use_mrope: true }),
      'use_mrope true is not supported',
    ],
    [
      'qwen3_moe that slides',
      modern('qwen3_moe', { use_sliding_window: true }),
      'use_sliding_window true is not supported',
    ],
    [
      'phi3 with code that is not its own',
      old('phi3', { auto_map: { AutoModelForCausalLM: 'modeling_other.Other' } }),
      'auto_map "modeling_other.Other" is not supported',
    ],
    [
      'mistral with remote code',
      old('mistral_sliding', { auto_map: { AutoConfig: 'configuration_phi3.Phi3Config' } }),
      'auto_map {"AutoConfig":"configuration_phi3.Phi3Config"} is not supported',
    ],
    [
      'phi3 with biases',
      old('phi3', { attention_bias: true }),
      'attention_bias true is not supported',
    ],
    [
      'phi3 that calls longrope yarn',
      old('phi3', { rope_scaling: { type: 'yarn', factor: 2 } }),
      'rope_type "yarn" is not supported',
    ],
    [
      'yarn on an odd number of features',
      modern('gpt_neox', {
        rope_parameters: {
          rope_type: 'yarn',
          rope_theta: 1e4,
          factor: 2,
          original_max_position_embeddings: 16,
          partial_rotary_factor: 0.25,
        },
        hidden_size: 48,
        num_attention_heads: 4,
      }),
      'rope_type "yarn" is not supported',
    ],
    [
      'divisors of the wrong number',
      old('phi3', { rope_scaling: { type: 'longrope', short_factor: [1], long_factor: [1] } }),
      'short_factor is [1], not a list of 6 numbers above 0',
    ],
    [
      'a share of a head where all of it turns',
      modern('llama_mha', { partial_rotary_factor: 0.5 }),
      'config key "partial_rotary_factor" is not known, so it might change what the model computes',
    ],
    [
      'the same inside rope_parameters',
      modern('llama_mha', {
        rope_parameters: { rope_type: 'default', rope_theta: 1e4, partial_rotary_factor: 0.5 },
      }),
      'partial_rotary_factor 0.5 is not supported',
    ],
    [
      'two shares that differ',
      old('gpt_neox', { partial_rotary_factor: 0.5 }),
      'partial_rotary_factor is given as 0.25 and as 0.5',
    ],
    [
      'two lengths of training that differ',
      old('phi3', {
        rope_scaling: {
          type: 'longrope',
          short_factor: [1, 1, 1, 1, 1, 1],
          long_factor: [1, 1, 1, 1, 1, 1],
          original_max_position_embeddings: 32,
        },
      }),
      'original_max_position_embeddings is given as 64 and as 32',
    ],
    [
      'a scaling that is not built in',
      modern('llama_mha', { rope_parameters: { rope_type: 'proportional', rope_theta: 1e4 } }),
      'rope_type "proportional" is not supported',
    ],
    [
      'gpt_neo whose two lists differ',
      old('gpt_neo', { attention_layers: ['global', 'global', 'global', 'local'] }),
      'attention_types and attention_layers disagree',
    ],
    [
      'gpt_neo with an attention that is not built in',
      old('gpt_neo', {
        attention_layers: undefined,
        attention_types: [[['global', 'dilated'], 2]],
      }),
      'attention_types "dilated" is not supported',
    ],
    [
      'opt with scaled embeddings',
      old('opt_125m', { scale_embeddings: true }),
      'scale_embeddings true is not supported',
    ],
    ['olmo that clips at 0', old('olmo', { clip_qkv: 0 }), 'clip_qkv is 0, not a number above 0'],
    [
      'olmo with an ε, which no version of it reads',
      old('olmo', { rms_norm_eps: 1e-5 }),
      'config key "rms_norm_eps" is not known, so it might change what the model computes',
    ],
    [
      'olmo in the layout of its first release',
      { model_type: 'olmo', d_model: 4096, n_heads: 32, n_layers: 32, mlp_ratio: 4 },
      'hidden_size is missing',
    ],
    [
      'starcoder2 with another norm',
      old('starcoder2', { norm_type: 'rms_norm' }),
      'norm_type "rms_norm" is not supported',
    ],
    [
      'starcoder2 whose two epsilons differ',
      old('starcoder2', { layer_norm_epsilon: 1e-6 }),
      'layer_norm_epsilon 0.000001 is not supported',
    ],
    [
      'a family that is not built in, though its tensors look like Llama',
      { ...modern('llama_mha', {}), model_type: 'granite' },
      'model_type "granite" is not built in',
    ],
    [
      'the multimodal Gemma 3',
      { ...modern('gemma3_text', {}), model_type: 'gemma3' },
      'model_type "gemma3" is not built in',
    ],
  ])('%s', (_, config, what) => {
    expect(() => settingsOf(config)).toThrow(UserError);
    expect(() => settingsOf(config)).toThrow(expect.objectContaining({ what }));
  });
});
