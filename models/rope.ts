/**
 * Rotary positions, as a config describes them: which features of a head turn, and how their
 * frequencies are scaled.
 *
 * Both spellings of config.json are read: `rope_parameters` of transformers 5, and `rope_theta` with
 * `rope_scaling` (whose kind is called `rope_type` or, in older files, `type`) of transformers 4.
 *
 * @see Su et al. 2021, arXiv:2104.09864; scalings as in transformers' modeling_rope_utils.
 */

import type { ConfigReader } from './settings.ts';

/** Frequencies are θ^(−2i/width), i = 0 …, scaled as the kind says. */
export type Rope = { readonly theta: number } & (
  | { readonly kind: 'default' }
  | { readonly kind: 'linear'; readonly factor: number }
  | Dynamic
  | Llama3
  | Yarn
  | LongRope
);

/** θ grows with the prompt's own length, once that is beyond what was trained. */
export interface Dynamic {
  readonly kind: 'dynamic';
  readonly factor: number;
  readonly trained: number;
}

/** Long wavelengths are slowed by `factor`, short ones kept, those between blended by wavelength. */
export interface Llama3 {
  readonly kind: 'llama3';
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly trained: number;
}

/** The same blend along the features, between those that turn `fast` and `slow` times in what was trained. */
export interface Yarn {
  readonly kind: 'yarn';
  readonly factor: number;
  readonly fast: number;
  readonly slow: number;
  /** Whether the ends of the blend are whole features. */
  readonly truncates: boolean;
  /** Factor on cos and sin. */
  readonly gain: number;
  readonly trained: number;
}

/** A divisor for each frequency: one list for prompts up to what was trained, one for longer ones. */
export interface LongRope {
  readonly kind: 'longrope';
  readonly short: readonly number[];
  readonly long: readonly number[];
  /** Factor on cos and sin. */
  readonly gain: number;
  readonly trained: number;
}

/** How the queries and keys of some layers turn. */
export interface Turning {
  readonly rope: Rope;
  /**
   * How many features of a head turn, the first ones; frequencies are θ^(−2i/width). Features turn in
   * pairs: of an odd width one feature more turns, which is how transformers rounds.
   */
  readonly width: number;
}

/** Pairs of features that turn. */
export function pairsOf(width: number): number {
  return Math.ceil(width / 2);
}

export interface RopeOptions {
  readonly headDim: number;
  /** `max_position_embeddings`. */
  readonly context: number;
  /** θ where the config leaves it out; 10 000 unless a family's files mean another. */
  readonly theta?: number;
  /** Top-level keys for θ. */
  readonly thetaKeys?: readonly string[];
  /** Top-level keys for the share of a head that turns, and what their absence means; all of it if left out. */
  readonly share?: { readonly keys: readonly string[]; readonly fallback: number };
}

const kinds = {
  default: 'default',
  linear: 'linear',
  dynamic: 'dynamic',
  llama3: 'llama3',
  yarn: 'yarn',
  longrope: 'longrope',
  su: 'longrope',
} as const;

/** Reads the rotary settings of a config in either spelling. @throws {UserError} for kinds not built in. */
export function readTurning(config: ConfigReader, options: RopeOptions): Turning {
  const modern = config.record('rope_parameters');
  const scaling = config.record('rope_scaling');
  if (modern !== undefined && scaling !== undefined) {
    throw config.inconsistent(
      'both rope_parameters and rope_scaling are given',
      'Keep the one that the checkpoint was trained with.',
    );
  }
  const { headDim, share } = options;
  const reader = modern ?? scaling;
  const thetas = numbersAt(config, options.thetaKeys ?? ['rope_theta'], modern, 'rope_theta');
  const shares = numbersAt(config, share?.keys ?? [], modern, 'partial_rotary_factor');
  const part = agreed(config, 'partial_rotary_factor', shares) ?? share?.fallback ?? 1;
  if (part > 1 || (share === undefined && part !== 1)) {
    throw config.unsupported(
      'partial_rotary_factor',
      part,
      share === undefined
        ? 'All features of a head turn in this family.'
        : 'Give a share of at most 1.',
    );
  }
  const theta = agreed(config, 'rope_theta', thetas) ?? options.theta ?? 10_000;
  const width = turningWidth(config, headDim, part);
  return { rope: readKind(config, reader, theta, { context: options.context, width }), width };
}

/**
 * Reads one record of rotary settings, every key of it.
 *
 * @param reader The record, or undefined for plain frequencies.
 */
export function readKind(
  config: ConfigReader,
  reader: ConfigReader | undefined,
  theta: number,
  sizes: { readonly context: number; readonly width: number },
): Rope {
  // Some families write down what was trained beside the record, even where nothing is scaled.
  const beside = numbersAt(config, ['original_max_position_embeddings']);
  if (reader === undefined) return { kind: 'default', theta };
  const key = reader.has('rope_type') || !reader.has('type') ? 'rope_type' : 'type';
  const kind = reader.choice(key, kinds);
  if (reader.has('type') && reader.choice('type', kinds) !== kind) {
    throw reader.inconsistent('type and rope_type disagree', 'Keep only rope_type.');
  }
  const trained = (): number =>
    agreed(config, 'original_max_position_embeddings', [
      ...beside,
      ...numbersAt(reader, ['original_max_position_embeddings']),
    ]) ?? sizes.context;
  const rope = { theta, ...readScaling(reader, kind, trained, sizes) };
  // "finetuned" tells how a checkpoint came about.
  reader.finish(['finetuned'], new Set());
  return rope;
}

type Scaling = Rope extends infer R ? (R extends Rope ? Omit<R, 'theta'> : never) : never;

function readScaling(
  reader: ConfigReader,
  kind: Rope['kind'],
  trained: () => number,
  { context, width }: { readonly context: number; readonly width: number },
): Scaling {
  switch (kind) {
    case 'default':
      return { kind };
    case 'linear':
      return { kind, factor: reader.positive('factor') };
    case 'dynamic':
      return { kind, factor: reader.positive('factor'), trained: context };
    case 'llama3':
      return {
        kind,
        factor: reader.positive('factor'),
        lowFrequencyFactor: reader.positive('low_freq_factor'),
        highFrequencyFactor: reader.positive('high_freq_factor'),
        trained: trained(),
      };
    case 'yarn': {
      if (width % 2 !== 0) {
        // transformers blends pairs with half of `width` shares, and has none left for the last one.
        throw reader.unsupported(
          'rope_type',
          kind,
          'Of an odd number of features it has no meaning.',
        );
      }
      const factor = reader.positive('factor');
      return {
        kind,
        factor,
        fast: reader.positive('beta_fast', 32),
        slow: reader.positive('beta_slow', 1),
        truncates: reader.flag('truncate', true),
        gain: readYarnGain(reader, factor),
        trained: trained(),
      };
    }
    default: {
      const reach = trained();
      const factor = reader.positive('factor', context / reach);
      return {
        kind,
        short: reader.positives('short_factor', pairsOf(width)),
        long: reader.positives('long_factor', pairsOf(width)),
        gain: reader.positive(
          'attention_factor',
          factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(reach)),
        ),
        trained: reach,
      };
    }
  }
}

/** Peng et al. 2023, arXiv:2309.00071, §3.4; with both mscales the ratio of DeepSeek's two. */
function readYarnGain(reader: ConfigReader, factor: number): number {
  const gain = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const [scale, all] = ['mscale', 'mscale_all_dim'].map((key) => numbersAt(reader, [key])[0] ?? 0);
  const usual = scale > 0 && all > 0 ? gain(scale) / gain(all) : gain(1);
  return reader.positive('attention_factor', usual);
}

/** Longest sequence that positions reach, where scaling carries them beyond `max_position_embeddings`. */
export function reachOf({ rope }: Turning, context: number): number {
  if (rope.kind !== 'dynamic' && rope.kind !== 'yarn') return context;
  return Math.max(context, Math.floor(rope.trained * rope.factor));
}

function turningWidth(config: ConfigReader, headDim: number, share: number): number {
  const width = Math.trunc(headDim * share);
  if (width >= 2 && 2 * pairsOf(width) <= headDim) return width;
  throw config.inconsistent(
    `rotary positions turn ${width} of ${headDim} features of a head; they need pairs`,
    'Correct head_dim or partial_rotary_factor.',
  );
}

/** The numbers above 0 that stand under any of these keys, and under one in a nested record. */
function numbersAt(
  config: ConfigReader,
  keys: readonly string[],
  nested?: ConfigReader,
  nestedKey = '',
): number[] {
  const places = [
    ...keys.map((key) => [config, key] as const),
    ...(nested === undefined ? [] : [[nested, nestedKey] as const]),
  ];
  return places.flatMap(([reader, key]) =>
    reader.raw(key) === undefined || reader.raw(key) === null ? [] : [reader.positive(key)],
  );
}

/** What all of them say. */
function agreed(config: ConfigReader, key: string, values: readonly number[]): number | undefined {
  const other = values.find((value) => value !== values[0]);
  if (other === undefined) return values[0];
  throw config.inconsistent(
    `${key} is given as ${values[0]} and as ${other}`,
    'Keep the one that the checkpoint was trained with.',
  );
}
