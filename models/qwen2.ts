/**
 * Qwen 2 and 2.5.
 *
 * One decoder block is Llama's,
 *
 *     h = x + attention(rmsNorm(x))
 *     y = h + down(silu(gate(n)) ⊙ up(n)),   n = rmsNorm(h)
 *
 * with biases on queries, keys and values and none on the output, and, where the config switches it
 * on, a window in the layers from `max_window_layers` on.
 *
 * @see Yang et al. 2024, arXiv:2407.10671, §2.2; tensor names as in Hugging Face checkpoints.
 */

import type { Architecture } from './architecture.ts';
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
  embedding,
  gatedMlp,
  gatedMlpParameters,
  linear,
  noPostNorms,
  rmsNorm,
  type Activation,
} from './parts.ts';
import { readSwitchedWindows } from './sizes.ts';

interface Qwen2Settings extends DecoderSettings {
  readonly activation: Activation;
  /** Of each layer; null for none. */
  readonly windows: readonly (number | null)[];
}

export const qwen2: Architecture<Qwen2Settings> = {
  ...decoder,
  family: 'qwen2',
  irrelevantKeys: [],
  absentSites: () => noPostNorms,

  readSettings(config) {
    const settings = readDecoder(config, { keyHeads: 'refused', isTied: false });
    config.require('use_mrope', false);
    return {
      ...settings,
      activation: config.choice('hidden_act', activations),
      windows: readSwitchedWindows(config, settings.layers),
    };
  },

  blockParameters: (settings) => [
    ...gains(settings.width, 'input_layernorm', 'post_attention_layernorm'),
    ...attentionParameters(settings, { inputs: true, output: false }),
    ...gatedMlpParameters(settings.width, settings.mlpWidth),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation } = settings;
    const x = tap('resid_pre', input);
    const n = rmsNorm(g, param, 'input_layernorm', x, epsilon);
    const attended = attend(g, frame, ports, settings, projected(g, param, n, true), {
      scale: 1 / Math.sqrt(settings.headDim),
      rotary: 'all',
      window: settings.windows[layer],
    });
    const attention = linear(g, param, 'self_attn.o_proj', attended, { bias: false });
    const h = tap('resid_mid', g.add(x, tap('attn_out', attention)));
    const m = rmsNorm(g, param, 'post_attention_layernorm', h, epsilon);
    return tap('resid_post', g.add(h, tap('mlp_out', gatedMlp(g, param, activation, m))));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};
