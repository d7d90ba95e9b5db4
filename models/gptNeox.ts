/**
 * GPT-NeoX: Pythia, GPT-NeoX-20B.
 *
 * One decoder block is, in the parallel form of all published models,
 *
 *     y = x + attention(layerNorm₁(x)) + mlp(layerNorm₂(x))
 *
 * where both branches read the same stream, so that there is no `resid_mid`; or, in sequence,
 *
 *     h = x + attention(layerNorm₁(x))
 *     y = h + mlp(layerNorm₂(h))
 *
 * A share of each head turns. One map gives queries, keys and values, head by head: q₀ k₀ v₀ q₁ k₁ ….
 *
 * @see Black et al. 2022, arXiv:2204.06745, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Frame, Ports, Settings } from './architecture.ts';
import { attend } from './attend.ts';
import {
  activate,
  activations,
  embedding,
  layerNorm,
  layerNormParameters,
  linear,
  linears,
  noMiddle,
  noPostNorms,
  type Activation,
} from './parts.ts';
import { reachOf, readTurning, type Turning } from './rope.ts';
import { equalShare } from './sizes.ts';

interface GptNeoxSettings extends Settings {
  readonly epsilon: number;
  readonly activation: Activation;
  readonly turning: Turning;
  readonly isParallel: boolean;
  readonly attentionBias: boolean;
}

/** transformers renamed both keys within version 4; files of some versions hold both names. */
const ropeKeys = {
  thetaKeys: ['rotary_emb_base', 'rope_theta'],
  share: { keys: ['rotary_pct', 'partial_rotary_factor'], fallback: 0.25 },
} as const;

export const gptNeox: Architecture<GptNeoxSettings> = {
  family: 'gpt_neox',
  prefixes: ['gpt_neox.', ''],
  blockPrefix: (layer) => `layers.${layer}.`,
  embedding: 'embed_in.weight',
  headNames: ['embed_out.weight', 'lm_head.weight'],
  buffers: [/^layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/],
  irrelevantKeys: ['attention_probs_dropout_prob', 'classifier_dropout', 'hidden_dropout_prob'],
  absentSites: ({ isParallel }) => ({ ...noPostNorms, ...(isParallel ? noMiddle : {}) }),

  readSettings(config) {
    const width = config.count('hidden_size');
    const heads = config.count('num_attention_heads');
    const headDim = equalShare(config, width, heads);
    const context = config.count('max_position_embeddings');
    const turning = readTurning(config, { ...ropeKeys, headDim, context });
    return {
      width,
      heads,
      keyHeads: heads,
      headDim,
      turning,
      layers: config.count('num_hidden_layers'),
      vocabulary: config.count('vocab_size'),
      context: reachOf(turning, context),
      mlpWidth: config.count('intermediate_size'),
      epsilon: config.positive('layer_norm_eps'),
      activation: config.choice('hidden_act', activations),
      isTied: config.flag('tie_word_embeddings', false),
      isParallel: config.flag('use_parallel_residual', true),
      attentionBias: config.flag('attention_bias', true),
    };
  },

  parameters: ({ vocabulary, width }) => [
    { name: 'embed_in.weight', shape: [vocabulary, width] },
    ...layerNormParameters('final_layer_norm', width),
  ],

  blockParameters: ({ width, mlpWidth, attentionBias }) => [
    ...layerNormParameters('input_layernorm', width),
    ...layerNormParameters('post_attention_layernorm', width),
    ...linears(
      attentionBias,
      ['attention.query_key_value', width, 3 * width],
      ['attention.dense', width, width],
    ),
    ...linears(
      true,
      ['mlp.dense_h_to_4h', width, mlpWidth],
      ['mlp.dense_4h_to_h', mlpWidth, width],
    ),
  ],

  rotary: ({ turning }) => new Map([['all', turning]]),

  embed: (g, frame, params) => embedding(g, params, 'embed_in', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { epsilon, isParallel } = settings;
    const x = tap('resid_pre', input);
    const n = layerNorm(g, param, 'input_layernorm', x, epsilon);
    const attention = tap('attn_out', attentionOf(g, frame, ports, settings, n));
    const h = isParallel ? x : tap('resid_mid', g.add(x, attention));
    const m = layerNorm(g, param, 'post_attention_layernorm', h, epsilon);
    const mlp = tap('mlp_out', mlpOf(g, ports, settings, m));
    const y = isParallel ? g.add(g.add(mlp, attention), x) : g.add(h, mlp);
    return tap('resid_post', y);
  },

  finalNorm: (g, params, { epsilon }, x) => layerNorm(g, params, 'final_layer_norm', x, epsilon),
};

function attentionOf(
  g: Builder,
  frame: Frame,
  ports: Ports,
  settings: GptNeoxSettings,
  x: Value,
): Value {
  const { headDim, width, attentionBias: bias } = settings;
  const fused = linear(g, ports.param, 'attention.query_key_value', x, { bias });
  const apart = g.integers('apart', [-1, 3 * headDim]);
  const [q, k, v] = g
    .split(g.reshape(fused, apart, ['tokens·heads', 3 * headDim]), 3)
    .map((part) => g.reshape(part, frame.byToken, ['tokens', width]));
  const scale = 1 / Math.sqrt(headDim);
  const attended = attend(g, frame, ports, settings, [q, k, v], { scale, rotary: 'all' });
  return linear(g, ports.param, 'attention.dense', attended, { bias });
}

function mlpOf(g: Builder, { param }: Ports, { activation }: GptNeoxSettings, x: Value): Value {
  const inner = linear(g, param, 'mlp.dense_h_to_4h', x, { bias: true });
  return linear(g, param, 'mlp.dense_4h_to_h', activate(g, activation, inner), { bias: true });
}
