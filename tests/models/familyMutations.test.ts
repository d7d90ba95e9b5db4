/**
 * Would the references notice? Each line is one thing that is easily got wrong in a family; with it,
 * the same comparison must fail by more than 30 noise floors (4 are allowed, rounding reaches 3).
 */

import { describe, expect, it } from 'vitest';
import type { AttentionOptions, Rotary } from '../../src/graph/attention.ts';
import type { Builder } from '../../src/graph/builder.ts';
import type { Value } from '../../src/graph/onnx.ts';
import type { Params, Settings } from '../../models/architecture.ts';
import type { Model } from '../../models/model.ts';
import { unembed } from '../../models/parts.ts';
import type { Json } from '../support/golden.ts';
import {
  modelOf,
  variantCases,
  variantModel,
  wholeCases,
  worstFloors,
} from '../support/families.ts';

const isVariant = (name: string): boolean => variantCases.includes(name);

async function floorsOf(
  name: string,
  keys: Json,
  change: Change = (model) => model,
): Promise<number> {
  if (isVariant(name)) {
    return await worstFloors(change(await variantModel(name, keys)), `variants/${name}`);
  }
  return await worstFloors(change(await modelOf(name, keys)), name);
}

const layerTypes = (pattern: string): Json => ({
  layer_types: Array.from(pattern, (c) => (c === 's' ? 'sliding_attention' : 'full_attention')),
});
const ropeOf = (keys: Json): Json => ({ rope_parameters: { rope_type: 'default', ...keys } });

const wrongSettings: readonly (readonly [string, string, Json])[] = [
  ['exact gelu', 'gpt_neo', { activation_function: 'gelu' }],
  ['window one wider', 'gpt_neo', { window_size: 8 }],
  ['window one narrower', 'gpt_neo', { window_size: 6 }],
  [
    'global and local change places',
    'gpt_neo',
    { attention_types: [[['local', 'global'], 2]], attention_layers: undefined },
  ],
  ['branches one after the other', 'gpt_neox', { use_parallel_residual: false }],
  ['tanh gelu', 'gpt_neox', { hidden_act: 'gelu_new' }],
  ['half of each head turns', 'gpt_neox', ropeOf({ rope_theta: 1e4, partial_rotary_factor: 0.5 })],
  ['all of each head turns', 'gpt_neox', ropeOf({ rope_theta: 1e4, partial_rotary_factor: 1 })],
  ['another base', 'gpt_neox', ropeOf({ rope_theta: 2e4, partial_rotary_factor: 0.25 })],
  ['no scaling', 'gpt_neox_linear', ropeOf({ rope_theta: 5e3, partial_rotary_factor: 0.5 })],
  ['tanh gelu', 'opt_bare', { activation_function: 'gelu_new' }],
  ['gelu for relu', 'opt_125m', { activation_function: 'gelu' }],
  ['gelu for relu', 'opt_350m', { activation_function: 'gelu' }],
  ['window one wider', 'mistral_sliding', { sliding_window: 9 }],
  ['window one narrower', 'mistral_sliding', { sliding_window: 7 }],
  ['no window', 'mistral_sliding', { sliding_window: null }],
  ['the window of files without the key', 'mistral_sliding', { sliding_window: undefined }],
  ['another base', 'mistral_sliding', ropeOf({ rope_theta: 1e4 })],
  ['another base', 'qwen2', ropeOf({ rope_theta: 1e6 })],
  ['layers slide one too early', 'qwen2_windows', { max_window_layers: 0 }],
  ['layers slide one too late', 'qwen2_windows', { max_window_layers: 2 }],
  ['windows switched off', 'qwen2_windows', { use_sliding_window: false }],
  ['window one wider', 'qwen2_windows', { sliding_window: 6 }],
  ['another layer slides', 'qwen3_windows', layerTypes('sss')],
  ['exact window of another layer', 'qwen3_windows', layerTypes('fss')],
  ['no cap on scores', 'gemma2', { attn_logit_softcapping: null }],
  ['another cap on scores', 'gemma2', { attn_logit_softcapping: 5.1 }],
  ['no cap on logits', 'gemma2', { final_logit_softcapping: null }],
  ['scores divided by √head_dim', 'gemma2', { query_pre_attn_scalar: 12 }],
  ['no layer slides', 'gemma2', layerTypes('ffff')],
  ['the other layers slide', 'gemma2', layerTypes('fsfs')],
  ['window one wider', 'gemma2', { sliding_window: 7 }],
  ['window one narrower', 'gemma2', { sliding_window: 5 }],
  ['no layer slides', 'gemma3_text', layerTypes('ffff')],
  ['another layer is global', 'gemma3_text', layerTypes('ssss')],
  ['scores divided by √head_dim', 'gemma3_text', { query_pre_attn_scalar: 16 }],
  ['window one wider', 'gemma3_text', { sliding_window: 7 }],
  [
    'local layers turn like global ones',
    'gemma3_text',
    {
      rope_parameters: {
        full_attention: { rope_type: 'linear', factor: 4, rope_theta: 1e5 },
        sliding_attention: { rope_type: 'linear', factor: 4, rope_theta: 1e5 },
      },
    },
  ],
  [
    'global layers without scaling',
    'gemma3_text',
    {
      rope_parameters: {
        full_attention: { rope_type: 'default', rope_theta: 1e5 },
        sliding_attention: { rope_type: 'default', rope_theta: 1e3 },
      },
    },
  ],
  ['no cap on logits', 'gemma3_capped', { final_logit_softcapping: null }],
  ['exact gelu', 'phi', { hidden_act: 'gelu' }],
  ['a quarter of each head turns', 'phi', ropeOf({ rope_theta: 1e4, partial_rotary_factor: 0.25 })],
  ['all of each head turns', 'phi', ropeOf({ rope_theta: 1e4, partial_rotary_factor: 1 })],
  ['window one wider', 'phi3', { sliding_window: 10 }],
  ['window one narrower', 'phi3', { sliding_window: 8 }],
  ['gelu for silu', 'phi3', { hidden_act: 'gelu' }],
  ['another base', 'olmo', ropeOf({ rope_theta: 2e4 })],
  ['nothing clipped', 'olmo', { clip_qkv: null }],
  ['clipped a little later', 'olmo', { clip_qkv: 1.11 }],
  ['gelu for silu', 'olmo', { hidden_act: 'gelu' }],
  ['clipped where nothing is', 'olmo_tied_bias', { clip_qkv: 1.1 }],
  ['another base', 'olmo2', ropeOf({ rope_theta: 1e4 })],
  ['window one wider', 'starcoder2', { sliding_window: 11 }],
  ['window one narrower', 'starcoder2', { sliding_window: 9 }],
  ['exact gelu', 'starcoder2', { hidden_act: 'gelu' }],
  ['window one wider', 'mixtral', { sliding_window: 6 }],
  ['one expert too few', 'mixtral', { num_experts_per_tok: 1 }],
  ['one expert too many', 'mixtral', { num_experts_per_tok: 3 }],
  ['one expert too few', 'qwen3_moe', { num_experts_per_tok: 2 }],
  ['weights of experts made to sum to 1', 'qwen3_moe', { norm_topk_prob: true }],
];

describe('a wrong setting', () => {
  it.each(wrongSettings)('%s (%s) is seen', async (_, name, keys) => {
    expect(await floorsOf(name, keys)).toBeGreaterThan(30);
  });
});

type Change = (model: Model) => Model;

/** The model with other settings than its config says. */
function setting(change: (settings: Json) => Json): Change {
  return (model) => {
    const settings: Settings = { ...model.settings, ...change({ ...model.settings }) };
    return { ...model, settings };
  };
}

/** The architecture with another builder or other parameters at hand while a block is built. */
function tampering(
  tamper: (g: Builder) => void,
  renamed: (param: Params, g: Builder) => Params = (param) => param,
): Change {
  return (model) => {
    const { architecture } = model;
    const block: typeof architecture.block = (g, frame, ports, settings, layer, x) => {
      const own = Object.getOwnPropertyNames(g);
      tamper(g);
      try {
        const param = renamed(ports.param, g);
        return architecture.block(g, frame, { ...ports, param }, settings, layer, x);
      } finally {
        for (const name of Object.getOwnPropertyNames(g)) {
          if (!own.includes(name)) Reflect.deleteProperty(g, name);
        }
      }
    };
    return { ...model, architecture: { ...architecture, block } };
  };
}

const attending = (change: (options: AttentionOptions) => Partial<AttentionOptions>): Change =>
  tampering((g) => {
    const attention = g.attention.bind(g);
    g.attention = (q, k, v, options) => attention(q, k, v, { ...options, ...change(options) });
  });

const splitting = (parts: number, order: readonly number[]): Change =>
  tampering((g) => {
    const split = g.split.bind(g);
    g.split = (x, widths) => {
      const cut = split(x, widths);
      return cut.length === parts ? order.map((i) => cut[i]) : cut;
    };
  });

const turning = (change: (g: Builder, rotary: Rotary) => Rotary): Change =>
  tampering((g) => {
    const rotary = g.rotary.bind(g);
    g.rotary = (x, tables, heads) => rotary(x, change(g, tables), heads);
  });

const withoutTamper = (): void => undefined;

function swapping(a: string, b: string): Change {
  return tampering(withoutTamper, (param) => (name) => {
    const [other] = [
      [a, b],
      [b, a],
    ].flatMap(([from, to]) => (name.startsWith(from) ? [name.replace(from, to)] : []));
    return param(other ?? name);
  });
}

/** Parameters whose names match, times a factor plus a number. */
const scaling = (names: RegExp, factor: number, plus = 0): Change =>
  tampering(withoutTamper, (param, g) => (name) => {
    if (!names.test(name)) return param(name);
    const scaled = g.mul(g.cast(param(name), 'float32'), g.constant('factor', [factor]));
    return g.add(scaled, g.constant('plus', [plus]));
  });

/** Rows of a fused map, stored head by head, read as if all queries came first. */
const groupedQkv: Change = tampering(withoutTamper, (param, g) => (name) => {
  const value = param(name);
  if (!name.startsWith('attention.query_key_value.weight')) return value;
  const [rows, width] = value.shape.map(Number);
  const heads = 4;
  const apart = [3, heads, rows / 3 / heads, width];
  const split = g.reshape(value, g.integers('apart', apart), apart);
  return g.reshape(g.transpose(split, [1, 0, 2, 3]), g.integers('joined', [rows, width]), [
    rows,
    width,
  ]);
});

const embedding = (
  change: (g: Builder, model: Model) => Partial<{ flatPositions: Value; factor: Value }>,
): Change => {
  return (model) => {
    const { architecture } = model;
    const embed: typeof architecture.embed = (g, frame, params, settings) => {
      const { flatPositions = frame.flatPositions, factor } = change(g, model);
      const x = architecture.embed(g, { ...frame, flatPositions }, params, settings);
      return factor === undefined ? x : g.mul(x, factor);
    };
    return { ...model, architecture: { ...architecture, embed } };
  };
};

/** Positions that begin at 1; the first table row is then never read. */
const positionsLater: Change = (model) => {
  const { architecture } = model;
  const embed: typeof architecture.embed = (g, frame, params, settings) => {
    const flatPositions = g.add(frame.flatPositions, g.integers('later', [-1]));
    return architecture.embed(g, { ...frame, flatPositions }, params, settings);
  };
  return { ...model, architecture: { ...architecture, embed } };
};

/** Attention by hand for 4 heads on 2, where the cap turns what is masked into −c instead of −∞. */
const cappedBehindTheMask: Change = tampering((g) => {
  const attention = g.attention.bind(g);
  g.attention = (q, k, v, options) => {
    const { mask, softCap, queryHeads: heads, keyHeads } = options;
    if (mask === undefined || softCap === undefined) return attention(q, k, v, options);
    const width = Number(q.shape[2]) / heads;
    const apart = (x: Value, count: number): Value => {
      const shape = g.integers('apart', [0, 0, count, width]);
      const split = g.transpose(
        g.reshape(x, shape, ['batch', 'position', count, width]),
        [0, 2, 1, 3],
      );
      if (count === heads) return split;
      const served = g.integers(
        'served',
        Array.from({ length: heads }, (_, head) => Math.floor((head * keyHeads) / heads)),
      );
      const axis = { axis: { kind: 'int', value: 1 } } as const;
      return g.node('Gather', [split, served], ['batch', heads, 'position', width], axis);
    };
    const square = ['batch', heads, 'position', 'position'];
    const turned = g.transpose(apart(k, keyHeads), [0, 1, 3, 2]);
    const scores = g.mul(
      g.node('MatMul', [apart(q, heads), turned], square),
      g.constant('scale', [options.scale]),
    );
    const masked = g.node(
      'Where',
      [mask, scores, g.constant('low', [-1e30])],
      square,
      {},
      'float32',
    );
    const pattern = g.node('Softmax', [g.softCap(masked, softCap)], square);
    const mixed = g.node(
      'MatMul',
      [pattern, apart(v, keyHeads)],
      ['batch', heads, 'position', width],
    );
    const joined = g.integers('joined', [0, 0, heads * width]);
    const output = g.reshape(g.transpose(mixed, [0, 2, 1, 3]), joined, [
      'batch',
      'position',
      heads * width,
    ]);
    return { output, pattern, present: undefined };
  };
});

/** Layer norms without bias, read as root-mean-square norms. */
const rootMeanSquares: Change = tampering((g) => {
  g.layerNorm = (x, weight, _bias, epsilon) => g.rmsNorm(x, weight, epsilon);
});

/** Of queries, keys and values only these are clipped. */
function clippingOnly(parts: readonly number[]): Change {
  return tampering((g) => {
    const node = g.node.bind(g);
    let part = 0;
    g.node = (op, inputs, ...rest) =>
      op !== 'Clip' || parts.includes(part++) ? node(op, inputs, ...rest) : inputs[0];
  });
}

/** Turning keeps a pair's length, and so moves elements beyond the clip, or back. */
const clippedBehindTheTurn: Change = tampering((g) => {
  const [node, rotary] = [g.node.bind(g), g.rotary.bind(g)];
  const limits: Value[][] = [];
  g.node = (op, inputs, ...rest) => {
    // Queries and keys come first, values are clipped as they should be.
    if (op !== 'Clip' || limits.length === 2) return node(op, inputs, ...rest);
    limits.push(inputs.slice(1));
    return inputs[0];
  };
  g.rotary = (x, tables, heads) => node('Clip', [rotary(x, tables, heads), ...limits[0]], x.shape);
});

const negated = (g: Builder, { sin, ...rest }: Rotary): Rotary => ({
  ...rest,
  sin: g.mul(sin, g.constant('minus', [-1])),
});

const wrongEquations: readonly (readonly [string, string, Change])[] = [
  [
    'scores divided by √head_dim',
    'gpt_neo',
    attending(({ scale }) => ({ scale: scale / Math.sqrt(12) })),
  ],
  ['queries, keys and values not head by head', 'gpt_neox', groupedQkv],
  ['keys before queries', 'gpt_neox', splitting(3, [1, 0, 2])],
  [
    'the two norms change places',
    'gpt_neox',
    swapping('input_layernorm', 'post_attention_layernorm'),
  ],
  ['turned the other way', 'gpt_neox', turning(negated)],
  ['positions one row early', 'opt_125m', positionsLater],
  ['positions one row early', 'opt_350m', positionsLater],
  ['norms behind the branches', 'opt_125m', setting(() => ({ normsBefore: false }))],
  ['norms before the branches', 'opt_350m', setting(() => ({ normsBefore: true }))],
  ['queries without bias', 'qwen2', scaling(/q_proj\.bias$/, 0)],
  [
    'norms of queries and keys change places',
    'qwen3',
    swapping('self_attn.q_norm', 'self_attn.k_norm'),
  ],
  ['turned the other way', 'qwen3', turning(negated)],
  ['gains taken as they are', 'gemma', scaling(/norm\.weight$/, 1, -1)],
  ['gains taken as they are', 'gemma2', scaling(/norm\.weight$/, 1, -1)],
  ['gains of heads taken as they are', 'gemma3_text', scaling(/[qk]_norm\.weight$/, 1, -1)],
  [
    'embedding not scaled',
    'gemma',
    embedding((g) => ({ factor: g.constant('f', [1 / Math.sqrt(48)]) })),
  ],
  [
    'embedding not scaled',
    'gemma2',
    embedding((g) => ({ factor: g.constant('f', [1 / Math.sqrt(48)]) })),
  ],
  [
    'exact gelu',
    'gemma',
    tampering((g) => {
      const gelu = g.gelu.bind(g);
      g.gelu = (x) => gelu(x, 'none');
    }),
  ],
  [
    'scores capped behind the mask, so that masked keys keep a share',
    'gemma2',
    cappedBehindTheMask,
  ],
  [
    'post-norm of attention and norm before the MLP change places',
    'gemma2',
    swapping('post_attention_layernorm', 'pre_feedforward_layernorm'),
  ],
  ['the head without bias', 'phi', headWithoutBias],
  [
    'norms of queries and keys change places',
    'phi_head_norms',
    swapping('self_attn.q_layernorm', 'self_attn.k_layernorm'),
  ],
  ['values before keys', 'phi3', splitting(3, [0, 2, 1])],
  ['up before gate', 'phi3', splitting(2, [1, 0])],
  ['norms that leave the mean in', 'olmo', rootMeanSquares],
  ['values not clipped', 'olmo', clippingOnly([0, 1])],
  ['queries not clipped', 'olmo', clippingOnly([1, 2])],
  ['queries and keys clipped behind their turn', 'olmo', clippedBehindTheTurn],
  ['queries without bias', 'olmo_tied_bias', scaling(/q_proj\.bias$/, 0)],
  ['the output without bias', 'olmo_tied_bias', scaling(/o_proj\.bias$/, 0)],
  [
    'post-norms change places',
    'olmo2',
    swapping('post_attention_layernorm', 'post_feedforward_layernorm'),
  ],
  ['norms without bias', 'starcoder2', scaling(/layernorm\.bias$/, 0)],
  [
    'gate and up change places',
    'mixtral',
    tampering(
      withoutTamper,
      (param) => (name) => param(name.replace(/\.w([13])\./, (_, i) => `.w${4 - Number(i)}.`)),
    ),
  ],
  [
    'experts in another order',
    'mixtral',
    tampering(
      withoutTamper,
      (param) => (name) =>
        param(name.replace(/experts\.(\d)/, (_, e) => `experts.${4 - Number(e)}`)),
    ),
  ],
  ['weights of experts left as they are', 'mixtral', setting(() => ({ renormalises: false }))],
  ['short divisors for long prompts', 'phi3_longrope', ropeSetting({ trained: 64 })],
  ['long divisors for short prompts', 'phi3_longrope', ropeSetting({ trained: 1 })],
  ['cos and sin without their gain', 'phi3_longrope', ropeSetting({ gain: 1 })],
  ['no growth with length', 'llama_dynamic', ropeSetting({ trained: 64 })],
  ['cos and sin without their gain', 'llama_yarn', ropeSetting({ gain: 1 })],
  ['ends of the blend not rounded', 'llama_yarn', ropeSetting({ truncates: false })],
  ['ends of the blend rounded', 'llama_yarn_all_keys', ropeSetting({ truncates: true })],
];

describe('a wrong equation', () => {
  it.each(wrongEquations)('%s (%s) is seen', async (_, name, change) => {
    expect(await floorsOf(name, {}, change)).toBeGreaterThan(30);
  });

  const withEpsilon = wholeCases.filter((name) => !/^opt|^stories|organism/.test(name));
  it.each(withEpsilon)('another ε (%s) is seen', async (name) => {
    const wrong = setting(({ epsilon }) => ({ epsilon: 100 * Number(epsilon) }));
    expect(await floorsOf(name, {}, wrong)).toBeGreaterThan(30);
  });
});

function headWithoutBias(model: Model): Model {
  const { architecture } = model;
  const logits: typeof architecture.logits = (g, _params, _settings, x, unembedding) =>
    unembed(g, x, unembedding);
  return { ...model, architecture: { ...architecture, logits } };
}

function ropeSetting(change: Json): Change {
  return setting(({ turning: turned }) => {
    const before = Object(turned);
    return { turning: { ...before, rope: { ...Object(before.rope), ...change } } };
  });
}
