/**
 * Reading a Gemma 3 config, whose two spellings differ more than any other family's: which layers
 * slide, and the frequencies of those that do and of those that do not.
 */

import type { CappedSettings } from './gemma2.ts';
import { readCaps } from './gemma2.ts';
import { gemmaDefaults } from './gemma.ts';
import { reachOf, readKind, type Turning } from './rope.ts';
import type { ConfigReader } from './settings.ts';
import { readHeadDim, readHeads, readSliding, windowsOf } from './sizes.ts';

export interface Gemma3Settings extends CappedSettings {
  /** Of layers that see only a window. */
  readonly localTurning: Turning;
}

/** θ where a file leaves it out. */
const thetas = { global: 1_000_000, local: 10_000 } as const;

/** Every sixth layer sees everything, in files that do not say so. */
const usualPattern = 6;

export function readGemma3(config: ConfigReader): Gemma3Settings {
  // transformers reads a cap on scores and never applies it: what it would mean is anyone's guess.
  config.require('attn_logit_softcapping', null);
  const { heads, keyHeads } = readHeads(config, 'refused');
  const width = config.count('hidden_size');
  const headDim = readHeadDim(config, width, heads, gemmaDefaults.headDim);
  const layers = config.count('num_hidden_layers');
  const context = config.count('max_position_embeddings');
  const [turning, localTurning] = readTurnings(config, { context, width: headDim });
  const sliding = readPattern(config, layers);
  const windows = windowsOf(config, sliding);
  return {
    width,
    heads,
    keyHeads,
    headDim,
    turning,
    localTurning,
    layers,
    vocabulary: config.count('vocab_size'),
    context: reachOf(turning, context),
    mlpWidth: config.count('intermediate_size'),
    epsilon: config.positive('rms_norm_eps'),
    isTied: config.flag('tie_word_embeddings', gemmaDefaults.isTied),
    ...readCaps(config),
    windows,
  };
}

function readPattern(config: ConfigReader, layers: number): readonly boolean[] {
  const isWritten = config.has('sliding_window_pattern') || config.has('layer_types');
  const pattern = config.count('sliding_window_pattern', usualPattern);
  // A note of transformers 5 to itself, which nothing reads where the pattern stands elsewhere.
  if (isWritten) config.raw('_sliding_window_pattern');
  return readSliding(config, layers, (layer) => (layer + 1) % pattern !== 0);
}

/** How global and local layers turn: nested records, or flat keys with scaling for the global ones. */
function readTurnings(
  config: ConfigReader,
  sizes: { readonly context: number; readonly width: number },
): readonly [Turning, Turning] {
  const read = (reader: ConfigReader | undefined, theta: number): Turning => ({
    rope: readKind(config, reader, theta, sizes),
    width: sizes.width,
  });
  const modern = config.record('rope_parameters');
  if (modern === undefined) {
    const global = read(
      config.record('rope_scaling'),
      config.positive('rope_theta', thetas.global),
    );
    return [global, read(undefined, config.positive('rope_local_base_freq', thetas.local))];
  }
  const nested = (key: string, usual: number): Turning => {
    const reader = modern.record(key);
    return read(reader, reader?.positive('rope_theta', usual) ?? usual);
  };
  const both = [
    nested('full_attention', thetas.global),
    nested('sliding_attention', thetas.local),
  ] as const;
  modern.finish([], new Set());
  return both;
}
