/**
 * Gemma 1.
 *
 * The stream starts as √d · embedding. One decoder block is
 *
 *     h = x + attention(rmsNorm(x))
 *     y = h + down(gelu(gate(n)) ⊙ up(n)),   n = rmsNorm(h)
 *
 * with norms whose gains are 1 + w, and the tanh form of gelu.
 *
 * @see Gemma Team 2024, arXiv:2403.08295, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Frame, Params } from './architecture.ts';
import { attend } from './attend.ts';
import {
  attentionParameters,
  decoder,
  gains,
  projected,
  readDecoder,
  type DecoderDefaults,
  type DecoderSettings,
} from './decoder.ts';
import {
  embedding,
  gatedMlp,
  gatedMlpParameters,
  linear,
  noPostNorms,
  offsetRmsNorm,
} from './parts.ts';
import type { ConfigReader } from './settings.ts';

interface GemmaSettings extends DecoderSettings {
  readonly bias: boolean;
}

/** What absent keys mean in all Gemmas; heads of 256 features whatever the width. */
export const gemmaDefaults: DecoderDefaults = { keyHeads: 'refused', headDim: 256, isTied: true };

/** What older files call `gelu` was always computed as its tanh form. */
const gelus = { gelu: 'gelu_tanh', gelu_new: 'gelu_tanh', gelu_pytorch_tanh: 'gelu_tanh' } as const;

export const gemma: Architecture<GemmaSettings> = {
  ...decoder,
  family: 'gemma',
  gainOffset: 1,
  irrelevantKeys: [],
  absentSites: () => noPostNorms,

  readSettings(config) {
    readGelu(config);
    config.require('use_bidirectional_attention', null, false);
    return {
      ...readDecoder(config, gemmaDefaults),
      bias: config.flag('attention_bias', false),
    };
  },

  blockParameters: (settings) => [
    ...gains(settings.width, 'input_layernorm', 'post_attention_layernorm'),
    ...attentionParameters(settings, { inputs: settings.bias, output: settings.bias }),
    ...gatedMlpParameters(settings.width, settings.mlpWidth),
  ],

  embed: scaledEmbedding,

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { epsilon, bias } = settings;
    const x = tap('resid_pre', input);
    const n = offsetRmsNorm(g, param, 'input_layernorm', x, epsilon);
    const qkv = projected(g, param, n, bias);
    const scale = 1 / Math.sqrt(settings.headDim);
    const attended = attend(g, frame, ports, settings, qkv, { scale, rotary: 'all' });
    const attention = tap('attn_out', linear(g, param, 'self_attn.o_proj', attended, { bias }));
    const h = tap('resid_mid', g.add(x, attention));
    const m = offsetRmsNorm(g, param, 'post_attention_layernorm', h, epsilon);
    return tap('resid_post', g.add(h, tap('mlp_out', gatedMlp(g, param, 'gelu_tanh', m))));
  },

  finalNorm: (g, params, { epsilon }, x) => offsetRmsNorm(g, params, 'norm', x, epsilon),
};

/** √d · embedding. Shape: `[tokens] → [tokens, d]`. */
export function scaledEmbedding(
  g: Builder,
  frame: Frame,
  params: Params,
  { width }: { readonly width: number },
): Value {
  const scale = g.constant('scale', [Math.sqrt(width)]);
  return g.mul(embedding(g, params, 'embed_tokens', frame.ids), scale);
}

/** All Gemmas compute the tanh form; whatever a config says must be a name for it. */
export function readGelu(config: ConfigReader): void {
  for (const key of ['hidden_activation', 'hidden_act']) {
    if ((config.raw(key) ?? null) !== null) config.choice(key, gelus);
  }
}
