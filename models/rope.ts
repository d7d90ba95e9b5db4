/**
 * Rotary positions: at which frequencies does a head's features turn?
 *
 * Both spellings of config.json are read: `rope_parameters` of transformers 5, and `rope_theta` with
 * `rope_scaling` (whose kind is called `rope_type` or, in older files, `type`) of transformers 4.
 *
 * @see Su et al. 2021, arXiv:2104.09864; scalings as in transformers' modeling_rope_utils.
 */

import type { RotaryTable } from './architecture.ts';
import type { ConfigReader } from './settings.ts';

export type Rope =
  | { readonly kind: 'default'; readonly theta: number }
  | { readonly kind: 'linear'; readonly theta: number; readonly factor: number }
  | Llama3Rope;

/** Long wavelengths are slowed by `factor`, short ones kept, those between blended. */
interface Llama3Rope {
  readonly kind: 'llama3';
  readonly theta: number;
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly trainedContext: number;
}

/** What `rope_theta` means where a file of transformers 4 leaves it out. */
const defaultTheta = 10_000;

/** Reads the rotary settings of a config in either spelling. @throws {UserError} for kinds not built in. */
export function readRope(config: ConfigReader): Rope {
  const modern = config.record('rope_parameters');
  const scaling = config.record('rope_scaling');
  if (modern !== undefined && scaling !== undefined) {
    throw config.inconsistent(
      'both rope_parameters and rope_scaling are given',
      'Keep the one that the checkpoint was trained with.',
    );
  }
  const topTheta = config.has('rope_theta') ? config.positive('rope_theta') : undefined;
  if (modern === undefined) return readKind(scaling, topTheta ?? defaultTheta);
  const theta = modern.positive('rope_theta', topTheta);
  if (topTheta !== undefined && topTheta !== theta) {
    throw config.inconsistent(
      `rope_theta is ${topTheta}, but ${theta} inside rope_parameters`,
      'Keep the one that the checkpoint was trained with.',
    );
  }
  return readKind(modern, theta);
}

function readKind(reader: ConfigReader | undefined, theta: number): Rope {
  if (reader === undefined) return { kind: 'default', theta };
  const key = reader.has('rope_type') || !reader.has('type') ? 'rope_type' : 'type';
  const known = { default: 'default', linear: 'linear', llama3: 'llama3' } as const;
  const kind = reader.choice(key, known);
  if (reader.has('type') && reader.raw('type') !== reader.raw(key)) {
    throw reader.inconsistent('type and rope_type disagree', 'Keep only rope_type.');
  }
  const rope = ((): Rope => {
    if (kind === 'default') return { kind, theta };
    const factor = reader.positive('factor');
    if (kind === 'linear') return { kind, theta, factor };
    return {
      kind,
      theta,
      factor,
      lowFrequencyFactor: reader.positive('low_freq_factor'),
      highFrequencyFactor: reader.positive('high_freq_factor'),
      trainedContext: reader.count('original_max_position_embeddings'),
    };
  })();
  reader.finish([], new Set());
  return rope;
}

/**
 * cos and sin of position · frequency, computed in float64 and rounded once.
 *
 * @param width Features of a head that turn; frequencies are θ^(−2i/width), scaled.
 */
export function rotaryTable(rope: Rope, width: number, length: number): RotaryTable {
  const half = width / 2;
  const cos = new Float32Array(length * half);
  const sin = new Float32Array(length * half);
  for (let i = 0; i < half; i++) {
    const frequency = scaled(rope, rope.theta ** ((-2 * i) / width));
    for (let position = 0; position < length; position++) {
      cos[position * half + i] = Math.cos(position * frequency);
      sin[position * half + i] = Math.sin(position * frequency);
    }
  }
  return { half, cos, sin };
}

function scaled(rope: Rope, frequency: number): number {
  if (rope.kind === 'default') return frequency;
  if (rope.kind === 'linear') return frequency / rope.factor;
  const turns = (rope.trainedContext * frequency) / (2 * Math.PI);
  const { lowFrequencyFactor: low, highFrequencyFactor: high, factor } = rope;
  if (turns < low) return frequency / factor;
  if (turns > high) return frequency;
  const blend = (turns - low) / (high - low);
  return ((1 - blend) * frequency) / factor + blend * frequency;
}
