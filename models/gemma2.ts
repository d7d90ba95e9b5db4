/**
 * Gemma 2.
 *
 * The stream starts as √d · embedding. One decoder block is
 *
 *     h = x + rmsNorm(attention(rmsNorm(x)))
 *     y = h + rmsNorm(down(gelu(gate(n)) ⊙ up(n))),   n = rmsNorm(h)
 *
 * with four norms of its own, whose gains are 1 + w, scores bounded by c · tanh(score / c), and a
 * window in every other layer. Logits are bounded in the same way. The raw sites stand before the
 * post-norms.
 *
 * @see Gemma Team 2024, arXiv:2408.00118, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Frame, Ports } from './architecture.ts';
import { attend } from './attend.ts';
import {
  attentionParameters,
  decoder,
  gains,
  projected,
  readDecoder,
  type DecoderSettings,
} from './decoder.ts';
import { gemmaDefaults, readGelu, scaledEmbedding } from './gemma.ts';
import { gatedMlp, gatedMlpParameters, linear, offsetRmsNorm, unembed } from './parts.ts';
import type { ConfigReader } from './settings.ts';
import { readOptional, readSliding, windowsOf } from './sizes.ts';

/** What Gemma 2 and 3 share. */
export interface CappedSettings extends DecoderSettings {
  readonly bias: boolean;
  /** Scores are divided by its root. */
  readonly queryScalar: number;
  readonly logitCap: number | null;
  /** Of each layer; null for none. */
  readonly windows: readonly (number | null)[];
}

interface Gemma2Settings extends CappedSettings {
  readonly scoreCap: number | null;
}

const caps = ['attn_logit_softcapping', 'final_logit_softcapping'] as const;

export const gemma2: Architecture<Gemma2Settings> = {
  ...decoder,
  family: 'gemma2',
  gainOffset: 1,
  irrelevantKeys: ['cache_implementation'],
  absentSites: () => ({}),

  readSettings(config) {
    const settings = readDecoder(config, gemmaDefaults);
    // Early files name the window twice.
    config.require('sliding_window_size', config.raw('sliding_window'));
    // An absent cap means one of 50 or 30, by the version: only a written one can be trusted.
    for (const key of caps) if (!config.has(key)) throw config.missing(key);
    const sliding = readSliding(config, settings.layers, (layer) => layer % 2 === 0);
    return {
      ...settings,
      ...readCaps(config),
      scoreCap: readOptional(config, 'attn_logit_softcapping'),
      windows: windowsOf(config, sliding),
    };
  },

  blockParameters: (settings) => [
    ...gains(settings.width, ...gemma2Norms),
    ...attentionParameters(settings, { inputs: settings.bias, output: settings.bias }),
    ...gatedMlpParameters(settings.width, settings.mlpWidth),
  ],

  embed: scaledEmbedding,

  block(g, frame, ports, settings, layer, input) {
    const { param, tap } = ports;
    const norm = (name: string, x: Value): Value =>
      offsetRmsNorm(g, param, name, x, settings.epsilon);
    const x = tap('resid_pre', input);
    const n = norm('input_layernorm', x);
    const raw = tap('attn_out_raw', attention(g, frame, ports, settings, layer, n));
    const h = tap('resid_mid', g.add(x, tap('attn_out', norm('post_attention_layernorm', raw))));
    const m = norm('pre_feedforward_layernorm', h);
    const mlp = tap('mlp_out_raw', gatedMlp(g, param, 'gelu_tanh', m));
    return tap('resid_post', g.add(h, tap('mlp_out', norm('post_feedforward_layernorm', mlp))));
  },

  finalNorm: (g, params, { epsilon }, x) => offsetRmsNorm(g, params, 'norm', x, epsilon),

  logits: (g, _params, { logitCap }, x, unembedding) =>
    capped(g, unembed(g, x, unembedding), logitCap),
};

/** Names of a block's norms, in the order of the equation. */
export const gemma2Norms = [
  'input_layernorm',
  'post_attention_layernorm',
  'pre_feedforward_layernorm',
  'post_feedforward_layernorm',
] as const;

function attention(
  g: Builder,
  frame: Frame,
  ports: Ports,
  settings: Gemma2Settings,
  layer: number,
  x: Value,
): Value {
  const { bias, queryScalar, scoreCap, windows } = settings;
  const attended = attend(g, frame, ports, settings, projected(g, ports.param, x, bias), {
    scale: 1 / Math.sqrt(queryScalar),
    rotary: 'all',
    window: windows[layer],
    softCap: scoreCap,
  });
  return linear(g, ports.param, 'self_attn.o_proj', attended, { bias });
}

/** The settings that only Gemma 2 and 3 have. */
export function readCaps(
  config: ConfigReader,
): Pick<CappedSettings, 'bias' | 'queryScalar' | 'logitCap'> {
  readGelu(config);
  config.require('use_bidirectional_attention', null, false);
  return {
    bias: config.flag('attention_bias', false),
    queryScalar: config.positive('query_pre_attn_scalar'),
    logitCap: readOptional(config, 'final_logit_softcapping'),
  };
}

/** c · tanh(x / c), or x where there is no cap. */
export function capped(g: Builder, x: Value, cap: number | null): Value {
  return cap === null ? x : g.softCap(x, cap);
}
