/**
 * OLMo 1.
 *
 * One decoder block is
 *
 *     h = x + attention(layerNorm(x))
 *     y = h + down(silu(gate(n)) ⊙ up(n)),   n = layerNorm(h)
 *
 * with norms that have neither gain nor bias, and so no tensor in the file. Where `clip_qkv` is set,
 * queries, keys and values are held within ± that, before positions turn them. ε is 1e-5, which no key
 * says.
 *
 * @see Groeneveld et al. 2024, arXiv:2402.00838, §2.1; tensor names as in checkpoints called `-hf`.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture } from './architecture.ts';
import { attend } from './attend.ts';
import {
  attentionParameters,
  decoder,
  projected,
  readDecoder,
  type DecoderSettings,
} from './decoder.ts';
import {
  activations,
  embedding,
  gatedMlp,
  gatedMlpParameters,
  linear,
  noPostNorms,
  type Activation,
} from './parts.ts';
import { readOptional } from './sizes.ts';

interface OlmoSettings extends DecoderSettings {
  readonly activation: Activation;
  readonly bias: boolean;
  /** Largest size of a query's, key's or value's element; null for any. */
  readonly clip: number | null;
}

export const olmo: Architecture<OlmoSettings> = {
  ...decoder,
  family: 'olmo',
  irrelevantKeys: ['pretraining_tp'],
  absentSites: () => noPostNorms,

  readSettings: (config) => ({
    ...readDecoder(config, { keyHeads: 'as heads', isTied: false, epsilon: 1e-5 }),
    activation: config.choice('hidden_act', activations),
    bias: config.flag('attention_bias', false),
    clip: readOptional(config, 'clip_qkv'),
  }),

  parameters: ({ vocabulary, width }) => [
    { name: 'embed_tokens.weight', shape: [vocabulary, width] },
  ],

  blockParameters: (settings) => [
    ...attentionParameters(settings, { inputs: settings.bias, output: settings.bias }),
    ...gatedMlpParameters(settings.width, settings.mlpWidth),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { bias, activation, clip } = settings;
    const x = tap('resid_pre', input);
    const [q, k, v] = projected(g, param, norm(g, settings, x), bias);
    const qkv = [clipped(g, clip, q), clipped(g, clip, k), clipped(g, clip, v)] as const;
    const scale = 1 / Math.sqrt(settings.headDim);
    const attended = attend(g, frame, ports, settings, qkv, { scale, rotary: 'all' });
    const attention = tap('attn_out', linear(g, param, 'self_attn.o_proj', attended, { bias }));
    const h = tap('resid_mid', g.add(x, attention));
    const mlp = gatedMlp(g, param, activation, norm(g, settings, h));
    return tap('resid_post', g.add(h, tap('mlp_out', mlp)));
  },

  finalNorm: (g, _params, settings, x) => norm(g, settings, x),
};

function norm(g: Builder, { width, epsilon }: OlmoSettings, x: Value): Value {
  const ones = Array.from({ length: width }, () => 1);
  return g.layerNorm(x, g.constant('ones', ones), undefined, epsilon);
}

function clipped(g: Builder, clip: number | null, x: Value): Value {
  if (clip === null) return x;
  // Clip takes scalars, and no lists of one.
  const scalar = (value: number): Value =>
    g.reshape(g.constant('clip', [value]), g.integers('scalar', []), []);
  return g.node('Clip', [x, scalar(-clip), scalar(clip)], x.shape);
}
