/**
 * Mistral.
 *
 * One decoder block is Llama's,
 *
 *     h = x + attention(rmsNorm(x))
 *     y = h + down(silu(gate(n)) ⊙ up(n)),   n = rmsNorm(h)
 *
 * with attention in which query q sees keys q − w + 1 … q, where the config gives a window w.
 *
 * @see Jiang et al. 2023, arXiv:2310.06825, §2; tensor names as in Hugging Face checkpoints.
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
import { readWindow } from './sizes.ts';

interface MistralSettings extends DecoderSettings {
  readonly activation: Activation;
  readonly window: number | null;
}

/** What a file without the key `sliding_window` means in all versions of transformers. */
const windowOfOldFiles = 4096;

export const mistral: Architecture<MistralSettings> = {
  ...decoder,
  family: 'mistral',
  irrelevantKeys: [],
  absentSites: () => noPostNorms,

  readSettings: (config) => ({
    ...readDecoder(config, { keyHeads: 'refused', isTied: false }),
    activation: config.choice('hidden_act', activations),
    window: config.has('sliding_window') ? readWindow(config) : windowOfOldFiles,
  }),

  blockParameters: (settings) => [
    ...gains(settings.width, 'input_layernorm', 'post_attention_layernorm'),
    ...attentionParameters(settings, { inputs: false, output: false }),
    ...gatedMlpParameters(settings.width, settings.mlpWidth),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation, window } = settings;
    const x = tap('resid_pre', input);
    const n = rmsNorm(g, param, 'input_layernorm', x, epsilon);
    const qkv = projected(g, param, n, false);
    const scale = 1 / Math.sqrt(settings.headDim);
    const attended = attend(g, frame, ports, settings, qkv, { scale, rotary: 'all', window });
    const attention = linear(g, param, 'self_attn.o_proj', attended, { bias: false });
    const h = tap('resid_mid', g.add(x, tap('attn_out', attention)));
    const m = rmsNorm(g, param, 'post_attention_layernorm', h, epsilon);
    return tap('resid_post', g.add(h, tap('mlp_out', gatedMlp(g, param, activation, m))));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};
