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
  usualMlp,
  type Activation,
} from './parts.ts';

interface LlamaSettings extends DecoderSettings {
  readonly activation: Activation;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
}

export const llama: Architecture<LlamaSettings> = {
  ...decoder,
  family: 'llama',
  irrelevantKeys: ['is_llama_config', 'pretraining_tp'],
  absentSites: () => noPostNorms,

  readSettings(config) {
    // Features of a head turn in two halves; neighbouring pairs would be other mathematics.
    config.require('rope_interleaved', false);
    return {
      ...readDecoder(config, { keyHeads: 'as heads', isTied: false }),
      activation: config.choice('hidden_act', activations),
      attentionBias: config.flag('attention_bias', false),
      mlpBias: config.flag('mlp_bias', false),
    };
  },

  blockParameters: (settings) => [
    ...gains(settings.width, 'input_layernorm', 'post_attention_layernorm'),
    ...attentionParameters(settings, {
      inputs: settings.attentionBias,
      output: settings.attentionBias,
    }),
    ...gatedMlpParameters(settings.width, settings.mlpWidth, {
      ...usualMlp,
      bias: settings.mlpBias,
    }),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation, attentionBias: bias } = settings;
    const x = tap('resid_pre', input);
    const n = rmsNorm(g, param, 'input_layernorm', x, epsilon);
    const qkv = projected(g, param, n, bias);
    const scale = 1 / Math.sqrt(settings.headDim);
    const attended = attend(g, frame, ports, settings, qkv, { scale, rotary: 'all' });
    const attention = tap('attn_out', linear(g, param, 'self_attn.o_proj', attended, { bias }));
    const h = tap('resid_mid', g.add(x, attention));
    const m = rmsNorm(g, param, 'post_attention_layernorm', h, epsilon);
    const mlp = gatedMlp(g, param, activation, m, { ...usualMlp, bias: settings.mlpBias });
    return tap('resid_post', g.add(h, tap('mlp_out', mlp)));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};
