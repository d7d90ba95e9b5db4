/**
 * Phi 1, 1.5 and 2.
 *
 * One decoder block is
 *
 *     y = x + attention(n) + fc2(gelu(fc1(n))),   n = layerNorm(x)
 *
 * in which both branches read the same stream, so that there is no `resid_mid`. A share of each head
 * turns; every map has a bias, the head too.
 *
 * @see Li et al. 2023, arXiv:2309.05463, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Frame, Ports } from './architecture.ts';
import { attend } from './attend.ts';
import { decoder, projected, readDecoder, type DecoderSettings } from './decoder.ts';
import {
  activate,
  activations,
  byHead,
  embedding,
  layerNorm,
  layerNormParameters,
  linear,
  linears,
  noMiddle,
  noPostNorms,
  unembed,
  type Activation,
} from './parts.ts';
import { acceptOwnCode } from './sizes.ts';

interface PhiSettings extends DecoderSettings {
  readonly activation: Activation;
  /** Whether each head's query and key are normed before they turn. */
  readonly normsHeads: boolean;
}

const share = { keys: ['partial_rotary_factor'], fallback: 0.5 } as const;
const withBias = { bias: true } as const;

export const phi: Architecture<PhiSettings> = {
  ...decoder,
  family: 'phi',
  irrelevantKeys: [],
  absentSites: () => ({ ...noPostNorms, ...noMiddle }),

  readSettings(config) {
    acceptOwnCode(config, /^(.*--)?(configuration|modeling)_phi\.Phi\w+$/);
    const epsilonKey = 'layer_norm_eps';
    return {
      ...readDecoder(config, { keyHeads: 'as heads', isTied: false, share, epsilonKey }),
      activation: config.choice('hidden_act', activations),
      normsHeads: config.flag('qk_layernorm', false),
    };
  },

  parameters: ({ vocabulary, width }) => [
    { name: 'embed_tokens.weight', shape: [vocabulary, width] },
    ...layerNormParameters('final_layernorm', width),
    { name: 'lm_head.bias', shape: [vocabulary] },
  ],

  blockParameters({ width, mlpWidth, heads, keyHeads, headDim, normsHeads }) {
    const headNorms = ['self_attn.q_layernorm', 'self_attn.k_layernorm'];
    return [
      ...layerNormParameters('input_layernorm', width),
      ...linears(
        true,
        ['self_attn.q_proj', width, heads * headDim],
        ['self_attn.k_proj', width, keyHeads * headDim],
        ['self_attn.v_proj', width, keyHeads * headDim],
        ['self_attn.dense', heads * headDim, width],
        ['mlp.fc1', width, mlpWidth],
        ['mlp.fc2', mlpWidth, width],
      ),
      ...(normsHeads ? headNorms.flatMap((name) => layerNormParameters(name, headDim)) : []),
    ];
  },

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const x = tap('resid_pre', input);
    const n = layerNorm(g, param, 'input_layernorm', x, settings.epsilon);
    const attention = tap('attn_out', attentionOf(g, frame, ports, settings, n));
    const inner = activate(g, settings.activation, linear(g, param, 'mlp.fc1', n, withBias));
    const mlp = tap('mlp_out', linear(g, param, 'mlp.fc2', inner, withBias));
    return tap('resid_post', g.add(g.add(attention, mlp), x));
  },

  finalNorm: (g, params, { epsilon }, x) => layerNorm(g, params, 'final_layernorm', x, epsilon),

  logits: (g, params, _settings, x, unembedding) =>
    unembed(g, x, unembedding, g.cast(params('lm_head.bias'), 'float32')),
};

function attentionOf(
  g: Builder,
  frame: Frame,
  ports: Ports,
  settings: PhiSettings,
  x: Value,
): Value {
  const { heads, keyHeads, headDim, epsilon, normsHeads } = settings;
  const { param } = ports;
  const normed = (name: string, count: number, value: Value): Value =>
    normsHeads
      ? byHead(g, frame, count, value, (head) =>
          layerNorm(g, param, `self_attn.${name}`, head, epsilon),
        )
      : value;
  const [q, k, v] = projected(g, param, x, true);
  const qkv = [normed('q_layernorm', heads, q), normed('k_layernorm', keyHeads, k), v] as const;
  const scale = 1 / Math.sqrt(headDim);
  const attended = attend(g, frame, ports, settings, qkv, { scale, rotary: 'all' });
  return linear(g, param, 'self_attn.dense', attended, withBias);
}
