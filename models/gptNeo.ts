/**
 * GPT-Neo.
 *
 * One decoder block is
 *
 *     h = x + attention(layerNorm(x))
 *     y = h + c_proj(gelu(c_fc(layerNorm(h))))
 *
 * with learned positions and scores that are not divided by anything. Layers called `local` see only
 * a window. Queries, keys and values have no bias, everything else has.
 *
 * @see Black et al. 2021, doi:10.5281/zenodo.5297715; tensor names as in Hugging Face checkpoints.
 */

import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Settings } from './architecture.ts';
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
  type Activation,
} from './parts.ts';
import type { ConfigReader } from './settings.ts';
import { equalShare } from './sizes.ts';

interface GptNeoSettings extends Settings {
  readonly epsilon: number;
  readonly activation: Activation;
  /** Of each layer; null for none. */
  readonly windows: readonly (number | null)[];
}

const withBias = { bias: true } as const;
const noBias = { bias: false } as const;

export const gptNeo: Architecture<GptNeoSettings> = {
  family: 'gpt_neo',
  prefixes: ['transformer.', ''],
  blockPrefix: (layer) => `h.${layer}.`,
  embedding: 'wte.weight',
  buffers: [/^h\.\d+\.attn\.attention\.(bias|masked_bias)$/],
  irrelevantKeys: [
    'classifier_dropout',
    'embed_dropout',
    'summary_activation',
    'summary_first_dropout',
    'summary_proj_to_labels',
    'summary_type',
    'summary_use_proj',
  ],
  absentSites: () => noPostNorms,

  readSettings(config) {
    const width = config.count('hidden_size');
    const heads = config.count('num_heads');
    const layers = config.count('num_layers');
    return {
      width,
      heads,
      layers,
      keyHeads: heads,
      headDim: equalShare(config, width, heads),
      vocabulary: config.count('vocab_size'),
      context: config.count('max_position_embeddings'),
      mlpWidth: config.count('intermediate_size', 4 * width),
      epsilon: config.positive('layer_norm_epsilon'),
      activation: config.choice('activation_function', activations),
      isTied: config.flag('tie_word_embeddings', true),
      windows: readWindows(config, layers),
    };
  },

  parameters: ({ vocabulary, context, width }) => [
    { name: 'wte.weight', shape: [vocabulary, width] },
    { name: 'wpe.weight', shape: [context, width] },
    ...layerNormParameters('ln_f', width),
  ],

  blockParameters: ({ width, mlpWidth }) => [
    ...layerNormParameters('ln_1', width),
    ...layerNormParameters('ln_2', width),
    ...linears(
      false,
      ['attn.attention.q_proj', width, width],
      ['attn.attention.k_proj', width, width],
      ['attn.attention.v_proj', width, width],
    ),
    ...linears(
      true,
      ['attn.attention.out_proj', width, width],
      ['mlp.c_fc', width, mlpWidth],
      ['mlp.c_proj', mlpWidth, width],
    ),
  ],

  rotary: () => new Map(),

  embed(g, frame, params) {
    const tokens = embedding(g, params, 'wte', frame.ids);
    return g.add(tokens, embedding(g, params, 'wpe', frame.flatPositions));
  },

  block(g, frame, ports, settings, layer, input) {
    const { param, tap } = ports;
    const { epsilon, activation } = settings;
    const x = tap('resid_pre', input);
    const n = layerNorm(g, param, 'ln_1', x, epsilon);
    const project = (name: string): Value => linear(g, param, `attn.attention.${name}`, n, noBias);
    const qkv = [project('q_proj'), project('k_proj'), project('v_proj')] as const;
    const window = settings.windows[layer];
    const attended = attend(g, frame, ports, settings, qkv, { scale: 1, window });
    const attention = linear(g, param, 'attn.attention.out_proj', attended, withBias);
    const h = tap('resid_mid', g.add(x, tap('attn_out', attention)));
    const m = layerNorm(g, param, 'ln_2', h, epsilon);
    const inner = activate(g, activation, linear(g, param, 'mlp.c_fc', m, withBias));
    const mlp = tap('mlp_out', linear(g, param, 'mlp.c_proj', inner, withBias));
    return tap('resid_post', g.add(h, mlp));
  },

  finalNorm: (g, params, { epsilon }, x) => layerNorm(g, params, 'ln_f', x, epsilon),
};

/** `attention_types` is a list of [pattern, repeats]; `attention_layers` the same written out. */
function readWindows(config: ConfigReader, layers: number): readonly (number | null)[] {
  const window = config.count('window_size');
  const written = config.raw('attention_layers');
  const types = expanded(config.raw('attention_types'));
  const names = types ?? written;
  if (
    types !== undefined &&
    written !== undefined &&
    JSON.stringify(types) !== JSON.stringify(written)
  ) {
    throw config.inconsistent(
      'attention_types and attention_layers disagree',
      'Keep only attention_types.',
    );
  }
  if (!Array.isArray(names) || names.length !== layers) {
    throw config.inconsistent(
      `attention_types does not name a type for each of ${layers} layers`,
      'Correct attention_types or num_layers.',
    );
  }
  return names.map((name: unknown) => {
    if (name === 'global') return null;
    if (name === 'local') return window;
    throw config.unsupported('attention_types', name, 'Known are global, local.');
  });
}

function expanded(types: unknown): unknown[] | undefined {
  if (!Array.isArray(types)) return undefined;
  return types.flatMap((part: unknown): unknown[] => {
    const [pattern, repeats] = Array.isArray(part) ? (part as unknown[]) : [];
    if (!Array.isArray(pattern) || typeof repeats !== 'number') return [part];
    return Array.from({ length: repeats }, () => pattern as unknown[]).flat();
  });
}
