/**
 * Gemma 3, the text models.
 *
 * The stream starts as √d · embedding. One decoder block is Gemma 2's,
 *
 *     h = x + rmsNorm(attention(rmsNorm(x)))
 *     y = h + rmsNorm(down(gelu(gate(n)) ⊙ up(n))),   n = rmsNorm(h)
 *
 * but attention norms each head's query and key before it turns them, and layers that see only a
 * window turn at frequencies of their own. All gains are 1 + w.
 *
 * @see Gemma Team 2025, arXiv:2503.19786, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Frame, Ports } from './architecture.ts';
import { attend } from './attend.ts';
import { attentionParameters, decoder, gains, projected } from './decoder.ts';
import { readGemma3, type Gemma3Settings } from './gemma3Settings.ts';
import { gemma2Norms, capped } from './gemma2.ts';
import { scaledEmbedding } from './gemma.ts';
import { byHead, gatedMlp, gatedMlpParameters, linear, offsetRmsNorm, unembed } from './parts.ts';

export const gemma3Text: Architecture<Gemma3Settings> = {
  ...decoder,
  family: 'gemma3_text',
  gainOffset: 1,
  irrelevantKeys: ['cache_implementation'],
  absentSites: () => ({}),
  readSettings: readGemma3,

  blockParameters: (settings) => [
    ...gains(settings.width, ...gemma2Norms),
    ...gains(settings.headDim, 'self_attn.q_norm', 'self_attn.k_norm'),
    ...attentionParameters(settings, { inputs: settings.bias, output: settings.bias }),
    ...gatedMlpParameters(settings.width, settings.mlpWidth),
  ],

  rotary: ({ turning, localTurning }) =>
    new Map([
      ['global', turning],
      ['local', localTurning],
    ]),

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

function attention(
  g: Builder,
  frame: Frame,
  ports: Ports,
  settings: Gemma3Settings,
  layer: number,
  x: Value,
): Value {
  const { heads, keyHeads, epsilon, bias, windows } = settings;
  const { param } = ports;
  const normed = (name: string, count: number, value: Value): Value =>
    byHead(g, frame, count, value, (head) => offsetRmsNorm(g, param, name, head, epsilon));
  const [q, k, v] = projected(g, param, x, bias);
  const qkv = [
    normed('self_attn.q_norm', heads, q),
    normed('self_attn.k_norm', keyHeads, k),
    v,
  ] as const;
  const attended = attend(g, frame, ports, settings, qkv, {
    scale: 1 / Math.sqrt(settings.queryScalar),
    rotary: windows[layer] === null ? 'global' : 'local',
    window: windows[layer],
  });
  return linear(g, param, 'self_attn.o_proj', attended, { bias });
}
