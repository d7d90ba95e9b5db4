/**
 * Qwen 3.
 *
 * One decoder block is
 *
 *     h = x + attention(rmsNorm(x))
 *     y = h + down(silu(gate(n)) ⊙ up(n)),   n = rmsNorm(h)
 *
 * where attention norms each head's query and key before it turns them.
 *
 * @see Yang et al. 2025, arXiv:2505.09388, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Frame, Parameter, Ports } from './architecture.ts';
import { attend } from './attend.ts';
import {
  attentionParameters,
  decoder,
  gains,
  projected,
  readDecoder,
  type DecoderSettings,
} from './decoder.ts';
import {
  activations,
  byHead,
  embedding,
  gatedMlp,
  gatedMlpParameters,
  linear,
  noPostNorms,
  rmsNorm,
  type Activation,
} from './parts.ts';
import { readSwitchedWindows } from './sizes.ts';

/** What Qwen 3 and its mixtures share. */
export interface Qwen3Attention extends DecoderSettings {
  readonly bias: boolean;
}

interface Qwen3Settings extends Qwen3Attention {
  readonly activation: Activation;
  /** Of each layer; null for none. */
  readonly windows: readonly (number | null)[];
}

/** What an absent `head_dim` means, whatever the width. */
const headDimOfOldFiles = 128;

export const qwen3: Architecture<Qwen3Settings> = {
  ...decoder,
  family: 'qwen3',
  irrelevantKeys: [],
  absentSites: () => noPostNorms,

  readSettings(config) {
    const defaults = { keyHeads: 'refused', headDim: headDimOfOldFiles, isTied: false } as const;
    const settings = readDecoder(config, defaults);
    return {
      ...settings,
      activation: config.choice('hidden_act', activations),
      bias: config.flag('attention_bias', false),
      windows: readSwitchedWindows(config, settings.layers),
    };
  },

  blockParameters: (settings) => [
    ...gains(settings.width, 'input_layernorm', 'post_attention_layernorm'),
    ...qwen3AttentionParameters(settings),
    ...gatedMlpParameters(settings.width, settings.mlpWidth),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation, windows } = settings;
    const x = tap('resid_pre', input);
    const n = rmsNorm(g, param, 'input_layernorm', x, epsilon);
    const attention = qwen3Attention(g, frame, ports, settings, n, windows[layer]);
    const h = tap('resid_mid', g.add(x, tap('attn_out', attention)));
    const m = rmsNorm(g, param, 'post_attention_layernorm', h, epsilon);
    return tap('resid_post', g.add(h, tap('mlp_out', gatedMlp(g, param, activation, m))));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};

export function qwen3AttentionParameters(settings: Qwen3Attention): Parameter[] {
  return [
    ...attentionParameters(settings, { inputs: settings.bias, output: settings.bias }),
    ...gains(settings.headDim, 'self_attn.q_norm', 'self_attn.k_norm'),
  ];
}

/** o(attend(turn(norm(q)), turn(norm(k)), v)), norms by head. Shape: `[tokens, d] → [tokens, d]`. */
export function qwen3Attention(
  g: Builder,
  frame: Frame,
  ports: Ports,
  settings: Qwen3Attention,
  x: Value,
  window: number | null,
): Value {
  const { heads, keyHeads, headDim, bias, epsilon } = settings;
  const { param } = ports;
  const normed = (name: string, count: number, value: Value): Value =>
    byHead(g, frame, count, value, (head) => rmsNorm(g, param, name, head, epsilon));
  const [q, k, v] = projected(g, param, x, bias);
  const qkv = [
    normed('self_attn.q_norm', heads, q),
    normed('self_attn.k_norm', keyHeads, k),
    v,
  ] as const;
  const options = { scale: 1 / Math.sqrt(headDim), rotary: 'all', window };
  const attended = attend(g, frame, ports, settings, qkv, options);
  return linear(g, param, 'self_attn.o_proj', attended, { bias });
}
