/**
 * GPT-2.
 *
 * One decoder block is
 *
 *     h = x + attention(layerNorm(x))
 *     y = h + c_proj(gelu(c_fc(layerNorm(h))))
 *
 * with learned positions and one fused map for queries, keys and values. Weights of linear maps are
 * stored [in, out] (the original's Conv1D).
 *
 * @see Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", §2.3; tensor names
 *   as in Hugging Face checkpoints, whose oldest files leave out the prefix `transformer.`.
 */

import type { Architecture, Settings } from './architecture.ts';
import { attend } from './attend.ts';
import {
  activate,
  activations,
  embedding,
  layerNorm,
  linear,
  linearParameters,
  noPostNorms,
  type Activation,
} from './parts.ts';

interface Gpt2Settings extends Settings {
  readonly epsilon: number;
  readonly activation: Activation;
  readonly scalesScores: boolean;
  /** Divides the scores of block i by i + 1 as well. */
  readonly scalesByLayer: boolean;
}

const conv1d = { bias: true, layout: 'in-out' } as const;

export const gpt2: Architecture<Gpt2Settings> = {
  family: 'gpt2',
  prefixes: ['transformer.', ''],
  blockPrefix: (layer) => `h.${layer}.`,
  embedding: 'wte.weight',
  buffers: [/^h\.\d+\.attn\.(bias|masked_bias)$/],
  // reorder_and_upcast_attn changes the order of float16 roundings, of which we make none.
  irrelevantKeys: [
    'n_ctx',
    'reorder_and_upcast_attn',
    'summary_activation',
    'summary_first_dropout',
    'summary_proj_to_labels',
    'summary_type',
    'summary_use_proj',
    '_num_labels',
  ],
  absentSites: () => noPostNorms,

  readSettings(config) {
    const width = config.count('n_embd');
    const heads = config.count('n_head');
    if (width % heads !== 0) {
      throw config.inconsistent(`${heads} heads do not divide n_embd ${width}`, 'Correct n_head.');
    }
    return {
      width,
      heads,
      keyHeads: heads,
      headDim: width / heads,
      layers: config.count('n_layer'),
      vocabulary: config.count('vocab_size'),
      context: config.count('n_positions'),
      mlpWidth: config.count('n_inner', 4 * width),
      epsilon: config.positive('layer_norm_epsilon'),
      activation: config.choice('activation_function', activations, 'gelu_new'),
      isTied: config.flag('tie_word_embeddings', true),
      scalesScores: config.flag('scale_attn_weights', true),
      scalesByLayer: config.flag('scale_attn_by_inverse_layer_idx', false),
    };
  },

  parameters: ({ vocabulary, context, width }) => [
    { name: 'wte.weight', shape: [vocabulary, width] },
    { name: 'wpe.weight', shape: [context, width] },
    { name: 'ln_f.weight', shape: [width] },
    { name: 'ln_f.bias', shape: [width] },
  ],

  blockParameters: ({ width, mlpWidth }) => [
    ...['ln_1', 'ln_2'].flatMap((name) => [
      { name: `${name}.weight`, shape: [width] },
      { name: `${name}.bias`, shape: [width] },
    ]),
    ...linearParameters('attn.c_attn', width, 3 * width, conv1d),
    ...linearParameters('attn.c_proj', width, width, conv1d),
    ...linearParameters('mlp.c_fc', width, mlpWidth, conv1d),
    ...linearParameters('mlp.c_proj', mlpWidth, width, conv1d),
  ],

  rotary: () => new Map(),

  embed(g, frame, params) {
    const tokens = embedding(g, params, 'wte', frame.ids);
    return g.add(tokens, embedding(g, params, 'wpe', frame.flatPositions));
  },

  block(g, frame, ports, settings, layer, input) {
    const { param, tap } = ports;
    const x = tap('resid_pre', input);
    const n = layerNorm(g, param, 'ln_1', x, settings.epsilon);
    const [q, k, v] = g.split(linear(g, param, 'attn.c_attn', n, conv1d), 3);
    const scale =
      (settings.scalesScores ? 1 / Math.sqrt(settings.headDim) : 1) /
      (settings.scalesByLayer ? layer + 1 : 1);
    const attended = attend(g, frame, ports, settings, [q, k, v], { scale });
    const attention = tap('attn_out', linear(g, param, 'attn.c_proj', attended, conv1d));
    const h = tap('resid_mid', g.add(x, attention));
    const m = layerNorm(g, param, 'ln_2', h, settings.epsilon);
    const inner = activate(g, settings.activation, linear(g, param, 'mlp.c_fc', m, conv1d));
    const mlp = tap('mlp_out', linear(g, param, 'mlp.c_proj', inner, conv1d));
    return tap('resid_post', g.add(h, mlp));
  },

  finalNorm: (g, params, { epsilon }, x) => layerNorm(g, params, 'ln_f', x, epsilon),
};
