/**
 * StarCoder 2.
 *
 * One decoder block is
 *
 *     h = x + attention(layerNorm(x))
 *     y = h + c_proj(gelu(c_fc(layerNorm(h))))
 *
 * with rotary positions, grouped-query attention, a window where the config gives one, and biases.
 *
 * @see Lozhkov et al. 2024, arXiv:2402.19173, §5; tensor names as in Hugging Face checkpoints.
 */

import type { Architecture } from './architecture.ts';
import { attend } from './attend.ts';
import {
  attentionParameters,
  decoder,
  projected,
  readDecoder,
  type DecoderSettings,
} from './decoder.ts';
import {
  activate,
  activations,
  embedding,
  layerNorm,
  layerNormParameters,
  linear,
  linears,
  noPostNorms,
  type Activation,
} from './parts.ts';
import { readWindow } from './sizes.ts';

interface Starcoder2Settings extends DecoderSettings {
  readonly activation: Activation;
  readonly bias: boolean;
  readonly window: number | null;
}

export const starcoder2: Architecture<Starcoder2Settings> = {
  ...decoder,
  family: 'starcoder2',
  irrelevantKeys: ['embedding_dropout', 'residual_dropout'],
  absentSites: () => noPostNorms,

  readSettings(config) {
    config.require('mlp_type', 'default');
    config.require('norm_type', 'layer_norm');
    // The published files name ε twice; norm_epsilon is the one that is read.
    config.require('layer_norm_epsilon', config.raw('norm_epsilon'));
    const epsilonKey = 'norm_epsilon';
    return {
      ...readDecoder(config, { keyHeads: 'refused', isTied: true, epsilonKey }),
      activation: config.choice('hidden_act', activations),
      bias: config.flag('use_bias', true),
      window: readWindow(config),
    };
  },

  parameters: ({ vocabulary, width }) => [
    { name: 'embed_tokens.weight', shape: [vocabulary, width] },
    ...layerNormParameters('norm', width),
  ],

  blockParameters: (settings) => [
    ...layerNormParameters('input_layernorm', settings.width),
    ...layerNormParameters('post_attention_layernorm', settings.width),
    ...attentionParameters(settings, { inputs: settings.bias, output: settings.bias }),
    ...linears(
      settings.bias,
      ['mlp.c_fc', settings.width, settings.mlpWidth],
      ['mlp.c_proj', settings.mlpWidth, settings.width],
    ),
  ],

  embed: (g, frame, params) => embedding(g, params, 'embed_tokens', frame.ids),

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation, bias, window } = settings;
    const x = tap('resid_pre', input);
    const n = layerNorm(g, param, 'input_layernorm', x, epsilon);
    const options = { scale: 1 / Math.sqrt(settings.headDim), rotary: 'all', window };
    const attended = attend(g, frame, ports, settings, projected(g, param, n, bias), options);
    const attention = tap('attn_out', linear(g, param, 'self_attn.o_proj', attended, { bias }));
    const h = tap('resid_mid', g.add(x, attention));
    const m = layerNorm(g, param, 'post_attention_layernorm', h, epsilon);
    const inner = activate(g, activation, linear(g, param, 'mlp.c_fc', m, { bias }));
    const mlp = tap('mlp_out', linear(g, param, 'mlp.c_proj', inner, { bias }));
    return tap('resid_post', g.add(h, mlp));
  },

  finalNorm: (g, params, { epsilon }, x) => layerNorm(g, params, 'norm', x, epsilon),
};
