/**
 * Llama 1 to 3.
 *
 * One decoder block is
 *
 *     h = x + attention(rmsNorm(x))
 *     y = h + down(silu(gate(n)) ⊙ up(n)),   n = rmsNorm(h)
 *
 * with rotary positions and grouped-query attention; x is `resid_pre`, h `resid_mid`, y `resid_post`.
 *
 * @see Touvron et al. 2023, arXiv:2302.13971, §2.2; tensor names as in Hugging Face checkpoints.
 */

import type { Architecture, Parameter, Ports, Settings } from './architecture.ts';
import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import {
  activate,
  activations,
  attend,
  embedding,
  linear,
  linearParameters,
  rmsNorm,
  type Activation,
} from './parts.ts';
import { readRope, rotaryTable, type Rope } from './rope.ts';
import type { ConfigReader } from './settings.ts';

interface LlamaSettings extends Settings {
  readonly epsilon: number;
  readonly activation: Activation;
  readonly rope: Rope;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
}

export const llama: Architecture<LlamaSettings> = {
  family: 'llama',
  prefixes: ['model.', ''],
  blockPrefix: (layer) => `layers.${layer}.`,
  embedding: 'embed_tokens.weight',
  buffers: [/^layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/, /^rotary_emb\.inv_freq$/],
  irrelevantKeys: ['pretraining_tp'],
  sites: new Set([
    'resid_pre',
    'resid_mid',
    'resid_post',
    'attn_out',
    'mlp_out',
    'pattern',
    'final_norm',
    'logits',
  ]),
  absentSites: {
    attn_out_raw: 'No norm stands between attention and the stream: attn_out is the raw output.',
    mlp_out_raw: 'No norm stands between the MLP and the stream: mlp_out is the raw output.',
  },

  readSettings(config) {
    const width = config.count('hidden_size');
    const heads = config.count('num_attention_heads');
    const keyHeads = config.count('num_key_value_heads', heads);
    if (heads % keyHeads !== 0) {
      throw config.inconsistent(
        `${keyHeads} key/value heads do not divide ${heads} attention heads`,
        'Correct num_key_value_heads or num_attention_heads.',
      );
    }
    return {
      width,
      heads,
      keyHeads,
      headDim: readHeadDim(config, width, heads),
      layers: config.count('num_hidden_layers'),
      vocabulary: config.count('vocab_size'),
      context: config.count('max_position_embeddings'),
      mlpWidth: config.count('intermediate_size'),
      epsilon: config.positive('rms_norm_eps'),
      activation: config.choice('hidden_act', activations),
      rope: readRope(config),
      isTied: config.flag('tie_word_embeddings', false),
      attentionBias: config.flag('attention_bias', false),
      mlpBias: config.flag('mlp_bias', false),
    };
  },

  parameters: ({ vocabulary, width }) => [
    { name: 'embed_tokens.weight', shape: [vocabulary, width] },
    { name: 'norm.weight', shape: [width] },
  ],

  blockParameters(settings) {
    const { width, mlpWidth, headDim, attentionBias, mlpBias } = settings;
    const [queries, keys] = [settings.heads * headDim, settings.keyHeads * headDim];
    return [
      { name: 'input_layernorm.weight', shape: [width] },
      { name: 'post_attention_layernorm.weight', shape: [width] },
      ...linears(
        attentionBias,
        ['self_attn.q_proj', width, queries],
        ['self_attn.k_proj', width, keys],
        ['self_attn.v_proj', width, keys],
        ['self_attn.o_proj', queries, width],
      ),
      ...linears(
        mlpBias,
        ['mlp.gate_proj', width, mlpWidth],
        ['mlp.up_proj', width, mlpWidth],
        ['mlp.down_proj', mlpWidth, width],
      ),
    ];
  },

  rotary: ({ rope, headDim }, length) => new Map([['all', rotaryTable(rope, headDim, length)]]),

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const x = ports.tap('resid_pre', input);
    const n = rmsNorm(g, ports.param, 'input_layernorm', x, settings.epsilon);
    const project = (name: string, from: Value): Value =>
      linear(g, ports.param, `self_attn.${name}`, from, { bias: settings.attentionBias });
    const qkv = [project('q_proj', n), project('k_proj', n), project('v_proj', n)] as const;
    const scale = 1 / Math.sqrt(settings.headDim);
    const attended = attend(g, frame, ports, settings, qkv, { scale, rotary: 'all' });
    const h = ports.tap('resid_mid', g.add(x, ports.tap('attn_out', project('o_proj', attended))));
    const m = rmsNorm(g, ports.param, 'post_attention_layernorm', h, settings.epsilon);
    return ports.tap('resid_post', g.add(h, ports.tap('mlp_out', gatedMlp(g, ports, settings, m))));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};

/** Parameters of several maps, as [name, inputs, outputs]. */
function linears(
  bias: boolean,
  ...maps: readonly (readonly [string, number, number])[]
): Parameter[] {
  return maps.flatMap(([name, inputs, outputs]) =>
    linearParameters(name, inputs, outputs, { bias }),
  );
}

/** down(act(gate(x)) ⊙ up(x)). Shape: `[tokens, d] → [tokens, d]`. */
function gatedMlp(g: Builder, ports: Ports, settings: LlamaSettings, x: Value): Value {
  const map = (name: string, from: Value): Value =>
    linear(g, ports.param, `mlp.${name}`, from, { bias: settings.mlpBias });
  const gate = activate(g, settings.activation, map('gate_proj', x));
  return map('down_proj', g.mul(gate, map('up_proj', x)));
}

/** `head_dim` if it is written, else the width's equal share, as files before it was written mean. */
function readHeadDim(config: ConfigReader, width: number, heads: number): number {
  if (!config.has('head_dim') && width % heads !== 0) {
    throw config.inconsistent(
      `${heads} heads do not divide hidden_size ${width}, and there is no head_dim`,
      'Correct num_attention_heads, or add head_dim.',
    );
  }
  const headDim = config.count('head_dim', width / heads);
  if (headDim % 2 !== 0) {
    throw config.inconsistent(
      `head_dim ${headDim} is odd; rotary positions need pairs`,
      'Correct head_dim.',
    );
  }
  return headDim;
}
