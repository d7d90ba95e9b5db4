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

import type { Architecture, Settings } from './architecture.ts';
import type { Value } from '../src/graph/onnx.ts';
import {
  activations,
  attend,
  embedding,
  gatedMlp,
  gatedMlpParameters,
  linear,
  linears,
  noPostNorms,
  rmsNorm,
  usualMlp,
  type Activation,
} from './parts.ts';
import { reachOf, readTurning, type Turning } from './rope.ts';
import { readHeadDim, readHeads } from './sizes.ts';

interface LlamaSettings extends Settings {
  readonly epsilon: number;
  readonly activation: Activation;
  readonly turning: Turning;
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
  absentSites: () => noPostNorms,

  readSettings(config) {
    const width = config.count('hidden_size');
    const { heads, keyHeads } = readHeads(config, 'as heads');
    const headDim = readHeadDim(config, width, heads);
    const context = config.count('max_position_embeddings');
    const turning = readTurning(config, { headDim, context });
    return {
      width,
      heads,
      keyHeads,
      headDim,
      layers: config.count('num_hidden_layers'),
      vocabulary: config.count('vocab_size'),
      context: reachOf(turning, context),
      mlpWidth: config.count('intermediate_size'),
      epsilon: config.positive('rms_norm_eps'),
      activation: config.choice('hidden_act', activations),
      turning,
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
      ...gatedMlpParameters(width, mlpWidth, { ...usualMlp, bias: mlpBias }),
    ];
  },

  rotary: ({ turning }) => new Map([['all', turning]]),

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
    const mlp = { ...usualMlp, bias: settings.mlpBias };
    const y = gatedMlp(g, ports.param, settings.activation, m, mlp);
    return ports.tap('resid_post', g.add(h, ports.tap('mlp_out', y)));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};
