/**
 * OPT.
 *
 * One decoder block is, in all sizes but one,
 *
 *     h = x + attention(layerNorm(x))
 *     y = h + fc2(relu(fc1(layerNorm(h))))
 *
 * and in the one of 350 million parameters, whose norms stand behind the sums,
 *
 *     h = layerNorm(x + attention(x))
 *     y = layerNorm(h + fc2(relu(fc1(h))))
 *
 * Positions are learned and stored two rows late. Where words are narrower than the stream, a map
 * stands between embedding and stream, and one between stream and head.
 *
 * @see Zhang et al. 2022, arXiv:2205.01068, §2; tensor names as in Hugging Face checkpoints.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Parameter, Params, Settings } from './architecture.ts';
import { attend } from './attend.ts';
import {
  activate,
  activations,
  embedding,
  layerNorm,
  layerNormParameters,
  linear,
  linears,
  noPostNorms,
  unembed,
  type Activation,
} from './parts.ts';
import { equalShare } from './sizes.ts';

interface OptSettings extends Settings {
  readonly activation: Activation;
  /** Width of the embedding's rows. */
  readonly wordWidth: number;
  readonly normsBefore: boolean;
  readonly normsAtEnd: boolean;
  readonly bias: boolean;
  /** Whether norms have gains and biases. */
  readonly isAffine: boolean;
}

/** No key of the config says it. */
const epsilon = 1e-5;
/** Rows of the table of positions before the first position's. */
const positionOffset = 2;

export const opt: Architecture<OptSettings> = {
  family: 'opt',
  prefixes: ['model.decoder.', 'decoder.', ''],
  blockPrefix: (layer) => `layers.${layer}.`,
  embedding: 'embed_tokens.weight',
  buffers: [],
  irrelevantKeys: ['activation_dropout', 'dropout', 'layerdrop', 'output_projection'],
  sumNorms: ({ normsBefore }) =>
    normsBefore ? null : { mid: 'self_attn_layer_norm', post: 'final_layer_norm' },
  absentSites: ({ normsBefore, normsAtEnd }) => ({
    ...(normsBefore
      ? noPostNorms
      : {
          attn_out_raw: 'The norm stands behind the sum: attn_out is the raw output.',
          mlp_out_raw: 'The norm stands behind the sum: mlp_out is the raw output.',
        }),
    ...(normsAtEnd ? {} : { final_norm: 'No norm stands between the last block and the head.' }),
  }),

  readSettings(config) {
    // Names of another code base's options, in files that were converted from it.
    config.require('learned_embeddings', true);
    config.require('scale_embeddings', false);
    const width = config.count('hidden_size');
    const heads = config.count('num_attention_heads');
    const normsBefore = config.flag('do_layer_norm_before', true);
    const removesLast = config.flag('_remove_final_layer_norm', false);
    return {
      width,
      heads,
      keyHeads: heads,
      headDim: equalShare(config, width, heads),
      layers: config.count('num_hidden_layers'),
      vocabulary: config.count('vocab_size'),
      context: config.count('max_position_embeddings'),
      mlpWidth: config.count('ffn_dim'),
      wordWidth: config.count('word_embed_proj_dim', width),
      activation: config.choice('activation_function', activations),
      isTied: config.flag('tie_word_embeddings', true),
      normsBefore,
      normsAtEnd: normsBefore && !removesLast,
      bias: config.flag('enable_bias', true),
      isAffine: config.flag('layer_norm_elementwise_affine', true),
    };
  },

  parameters: (settings) => [
    { name: 'embed_tokens.weight', shape: [settings.vocabulary, settings.wordWidth] },
    { name: 'embed_positions.weight', shape: [settings.context + positionOffset, settings.width] },
    ...(isProjected(settings)
      ? linears(
          false,
          ['project_in', settings.wordWidth, settings.width],
          ['project_out', settings.width, settings.wordWidth],
        )
      : []),
    ...(settings.normsAtEnd ? normParameters(settings, 'final_layer_norm') : []),
  ],

  blockParameters: (settings) => [
    ...normParameters(settings, 'self_attn_layer_norm'),
    ...normParameters(settings, 'final_layer_norm'),
    ...linears(
      settings.bias,
      ['self_attn.q_proj', settings.width, settings.width],
      ['self_attn.k_proj', settings.width, settings.width],
      ['self_attn.v_proj', settings.width, settings.width],
      ['self_attn.out_proj', settings.width, settings.width],
      ['fc1', settings.width, settings.mlpWidth],
      ['fc2', settings.mlpWidth, settings.width],
    ),
  ],

  rotary: () => new Map(),

  embed(g, frame, params, settings) {
    const words = embedding(g, params, 'embed_tokens', frame.ids);
    const tokens = isProjected(settings)
      ? linear(g, params, 'project_in', words, { bias: false })
      : words;
    const rows = g.add(frame.flatPositions, g.integers('offset', [positionOffset]));
    return g.add(tokens, embedding(g, params, 'embed_positions', rows));
  },

  block(g, frame, ports, settings, _layer, input) {
    const { param, tap } = ports;
    const { normsBefore, bias } = settings;
    const before = (name: string, x: Value): Value =>
      normsBefore ? norm(g, param, settings, name, x) : x;
    const behind = (name: string, x: Value): Value =>
      normsBefore ? x : norm(g, param, settings, name, x);
    const map = (name: string, x: Value): Value => linear(g, param, name, x, { bias });

    const x = tap('resid_pre', input);
    const n = before('self_attn_layer_norm', x);
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((name) => map(`self_attn.${name}`, n));
    const scale = 1 / Math.sqrt(settings.headDim);
    const attended = attend(g, frame, ports, settings, [q, k, v], { scale });
    const attention = tap('attn_out', map('self_attn.out_proj', attended));
    const h = tap('resid_mid', behind('self_attn_layer_norm', g.add(x, attention)));
    const m = before('final_layer_norm', h);
    const mlp = tap('mlp_out', map('fc2', activate(g, settings.activation, map('fc1', m))));
    return tap('resid_post', behind('final_layer_norm', g.add(h, mlp)));
  },

  finalNorm: (g, params, settings, x) =>
    settings.normsAtEnd ? norm(g, params, settings, 'final_layer_norm', x) : x,

  logits: (g, params, settings, x, unembedding) =>
    unembed(
      g,
      isProjected(settings) ? linear(g, params, 'project_out', x, { bias: false }) : x,
      unembedding,
    ),
};

function isProjected({ wordWidth, width }: OptSettings): boolean {
  return wordWidth !== width;
}

function normParameters({ isAffine, width }: OptSettings, name: string): Parameter[] {
  return isAffine ? layerNormParameters(name, width) : [];
}

function norm(
  g: Builder,
  params: Params,
  { isAffine, width }: OptSettings,
  name: string,
  x: Value,
): Value {
  if (isAffine) return layerNorm(g, params, name, x, epsilon);
  const ones = Array.from({ length: width }, () => 1);
  return g.layerNorm(x, g.constant('ones', ones), undefined, epsilon);
}
