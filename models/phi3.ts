/**
 * Phi 3, 3.5 and 4.
 *
 * One decoder block is
 *
 *     h = x + attention(rmsNorm(x))
 *     y = h + down(silu(g) ⊙ u),   (g, u) = gate_up(rmsNorm(h))
 *
 * with one map for queries, keys and values, one for gate and up, a window where the config gives
 * one, and frequencies that are divided feature by feature in the long-context models.
 *
 * @see Abdin et al. 2024, arXiv:2404.14219, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Architecture } from './architecture.ts';
import { attend } from './attend.ts';
import { decoder, gains, readDecoder, type DecoderSettings } from './decoder.ts';
import {
  activate,
  activations,
  embedding,
  linear,
  linears,
  noPostNorms,
  rmsNorm,
  type Activation,
} from './parts.ts';
import { acceptOwnCode, readWindow } from './sizes.ts';

interface Phi3Settings extends DecoderSettings {
  readonly activation: Activation;
  readonly window: number | null;
}

const share = { keys: ['partial_rotary_factor'], fallback: 1 } as const;
const noBias = { bias: false } as const;

export const phi3: Architecture<Phi3Settings> = {
  ...decoder,
  family: 'phi3',
  irrelevantKeys: [],
  absentSites: () => noPostNorms,

  readSettings(config) {
    acceptOwnCode(config, /^(.*--)?(configuration|modeling)_phi3\.Phi3\w+$/);
    // What the checkpoints' own code could do besides, and never does in a published one.
    for (const key of ['attention_bias', 'mlp_bias', 'lm_head_bias']) config.require(key, false);
    for (const key of ['full_attn_mod', 'interpolate_factor']) config.require(key, 1);
    const settings = readDecoder(config, { keyHeads: 'as heads', isTied: false, share });
    const { kind } = settings.turning.rope;
    if (kind !== 'default' && kind !== 'longrope') {
      throw config.unsupported('rope_type', kind, 'This family knows default and longrope.');
    }
    return {
      ...settings,
      activation: config.choice('hidden_act', activations),
      window: readWindow(config),
    };
  },

  blockParameters: ({ width, mlpWidth, heads, keyHeads, headDim }) => [
    ...gains(width, 'input_layernorm', 'post_attention_layernorm'),
    ...linears(
      false,
      ['self_attn.qkv_proj', width, (heads + 2 * keyHeads) * headDim],
      ['self_attn.o_proj', heads * headDim, width],
      ['mlp.gate_up_proj', width, 2 * mlpWidth],
      ['mlp.down_proj', mlpWidth, width],
    ),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation, window, headDim, heads, keyHeads } = settings;
    const x = tap('resid_pre', input);
    const n = rmsNorm(g, param, 'input_layernorm', x, epsilon);
    const widths = [heads, keyHeads, keyHeads].map((count) => count * headDim);
    const [q, k, v] = g.split(linear(g, param, 'self_attn.qkv_proj', n, noBias), widths);
    const options = { scale: 1 / Math.sqrt(headDim), rotary: 'all', window };
    const attended = attend(g, frame, ports, settings, [q, k, v], options);
    const attention = tap('attn_out', linear(g, param, 'self_attn.o_proj', attended, noBias));
    const h = tap('resid_mid', g.add(x, attention));
    const m = rmsNorm(g, param, 'post_attention_layernorm', h, epsilon);
    const [gate, up] = g.split(linear(g, param, 'mlp.gate_up_proj', m, noBias), 2);
    const inner = g.mul(activate(g, activation, gate), up);
    const mlp = tap('mlp_out', linear(g, param, 'mlp.down_proj', inner, noBias));
    return tap('resid_post', g.add(h, mlp));
  },

  finalNorm: (g, params, { epsilon }, x) => rmsNorm(g, params, 'norm', x, epsilon),
};
