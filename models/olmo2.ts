/**
 * OLMo 2.
 *
 * One decoder block is
 *
 *     h = x + rmsNorm(attention(x))
 *     y = h + rmsNorm(down(silu(gate(h)) ⊙ up(h)))
 *
 * with norms after the branches and none before them; attention norms all of the queries, and all of
 * the keys, before they are split into heads. The raw sites stand before the post-norms.
 *
 * @see OLMo Team 2025, arXiv:2501.00656, §3.1; tensor names as in Hugging Face checkpoints.
 */

import type { Value } from '../src/graph/onnx.ts';
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
  rmsNorm,
  type Activation,
} from './parts.ts';

interface Olmo2Settings extends DecoderSettings {
  readonly activation: Activation;
  readonly bias: boolean;
}

export const olmo2: Architecture<Olmo2Settings> = {
  ...decoder,
  family: 'olmo2',
  irrelevantKeys: [],
  absentSites: () => ({}),

  readSettings: (config) => ({
    ...readDecoder(config, { keyHeads: 'as heads', isTied: false }),
    activation: config.choice('hidden_act', activations),
    bias: config.flag('attention_bias', false),
  }),

  blockParameters: (settings) => [
    ...gains(settings.width, 'post_attention_layernorm', 'post_feedforward_layernorm'),
    ...gains(settings.heads * settings.headDim, 'self_attn.q_norm'),
    ...gains(settings.keyHeads * settings.headDim, 'self_attn.k_norm'),
    ...attentionParameters(settings, { inputs: settings.bias, output: settings.bias }),
    ...gatedMlpParameters(settings.width, settings.mlpWidth),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { bias, activation } = settings;
    const norm = (name: string, from: Value): Value =>
      rmsNorm(g, param, name, from, settings.epsilon);
    const x = tap('resid_pre', input);
    const [q, k, v] = projected(g, param, x, bias);
    const qkv = [norm('self_attn.q_norm', q), norm('self_attn.k_norm', k), v] as const;
    const scale = 1 / Math.sqrt(settings.headDim);
    const attended = attend(g, frame, ports, settings, qkv, { scale, rotary: 'all' });
    const raw = tap('attn_out_raw', linear(g, param, 'self_attn.o_proj', attended, { bias }));
    const h = tap('resid_mid', g.add(x, tap('attn_out', norm('post_attention_layernorm', raw))));
    const mlp = tap('mlp_out_raw', gatedMlp(g, param, activation, h));
    const y = g.add(h, tap('mlp_out', norm('post_feedforward_layernorm', mlp)));
    return tap('resid_post', y);
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};
