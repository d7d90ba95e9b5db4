/**
 * What the families that descend from Llama share: names of tensors, sizes, projections.
 *
 * Only what is the same in all of them stands here. Each family's equation is in its own file.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Architecture, Parameter, Params, Settings } from './architecture.ts';
import { linear, linears } from './parts.ts';
import { reachOf, readTurning, type RopeOptions, type Turning } from './rope.ts';
import type { ConfigReader } from './settings.ts';
import { readHeadDim, readHeads } from './sizes.ts';

export interface DecoderSettings extends Settings {
  /** ε of the norms. */
  readonly epsilon: number;
  readonly turning: Turning;
}

/** What the absence of a key means in a family. */
export interface DecoderDefaults extends Pick<RopeOptions, 'theta' | 'share'> {
  readonly keyHeads: 'as heads' | 'refused';
  /** Of `head_dim`; the equal share of the width if left out. */
  readonly headDim?: number;
  readonly isTied: boolean;
  /** The key that holds ε. */
  readonly epsilonKey?: string;
  /** ε in a family whose configs have no key for it; such a key is then refused as unknown. */
  readonly epsilon?: number;
}

/** Reads the sizes under the keys that these families share. */
export function readDecoder(config: ConfigReader, defaults: DecoderDefaults): DecoderSettings {
  const width = config.count('hidden_size');
  const { heads, keyHeads } = readHeads(config, defaults.keyHeads);
  const headDim = readHeadDim(config, width, heads, defaults.headDim);
  const context = config.count('max_position_embeddings');
  const turning = readTurning(config, { ...defaults, headDim, context });
  return {
    width,
    heads,
    keyHeads,
    headDim,
    turning,
    layers: config.count('num_hidden_layers'),
    vocabulary: config.count('vocab_size'),
    context: reachOf(turning, context),
    mlpWidth: config.count('intermediate_size'),
    epsilon: defaults.epsilon ?? config.positive(defaults.epsilonKey ?? 'rms_norm_eps'),
    isTied: config.flag('tie_word_embeddings', defaults.isTied),
  };
}

type Common = Pick<
  Architecture<DecoderSettings>,
  'prefixes' | 'blockPrefix' | 'embedding' | 'buffers' | 'parameters' | 'rotary'
>;

/** Names of the tensors, and one kind of rotary positions, `all`, for all layers. */
export const decoder: Common = {
  prefixes: ['model.', ''],
  blockPrefix: (layer) => `layers.${layer}.`,
  embedding: 'embed_tokens.weight',
  buffers: [/^layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/, /^rotary_emb\.inv_freq$/],
  parameters: ({ vocabulary, width }) => [
    { name: 'embed_tokens.weight', shape: [vocabulary, width] },
    { name: 'norm.weight', shape: [width] },
  ],
  rotary: ({ turning }) => new Map([['all', turning]]),
};

/** The maps of attention, with these biases. */
export function attentionParameters(
  { width, heads, keyHeads, headDim }: Settings,
  bias: { readonly inputs: boolean; readonly output: boolean },
): Parameter[] {
  const [queries, keys] = [heads * headDim, keyHeads * headDim];
  return [
    ...linears(
      bias.inputs,
      ['self_attn.q_proj', width, queries],
      ['self_attn.k_proj', width, keys],
      ['self_attn.v_proj', width, keys],
    ),
    ...linears(bias.output, ['self_attn.o_proj', queries, width]),
  ];
}

/** Queries, keys and values of x. Shape: `[tokens, d] → [tokens, H · hd], 2 × [tokens, KV · hd]`. */
export function projected(
  g: Builder,
  params: Params,
  x: Value,
  bias: boolean,
): readonly [Value, Value, Value] {
  const map = (name: string): Value => linear(g, params, `self_attn.${name}`, x, { bias });
  return [map('q_proj'), map('k_proj'), map('v_proj')];
}

/** Gains of norms, one for each name. */
export function gains(width: number, ...names: readonly string[]): Parameter[] {
  return names.map((name) => ({ name: `${name}.weight`, shape: [width] }));
}
