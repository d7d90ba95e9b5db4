/** Sizes and lists that several families read from config.json in the same way, each with its traps. */

import type { ConfigReader } from './settings.ts';

/** Attention heads, and how many of them are key/value heads. */
export interface Heads {
  readonly heads: number;
  readonly keyHeads: number;
}

/**
 * Reads `num_attention_heads` and `num_key_value_heads`.
 *
 * @param absent What a missing `num_key_value_heads` means: as many as heads, or, where versions of
 *   transformers fill in a fixed number, nothing that could be trusted.
 */
export function readHeads(config: ConfigReader, absent: 'as heads' | 'refused'): Heads {
  const heads = config.count('num_attention_heads');
  const keyHeads = config.count('num_key_value_heads', absent === 'as heads' ? heads : undefined);
  if (heads % keyHeads === 0) return { heads, keyHeads };
  throw config.inconsistent(
    `${keyHeads} key/value heads do not divide ${heads} attention heads`,
    'Correct num_key_value_heads or num_attention_heads.',
  );
}

/**
 * `head_dim` if it is written, else what its absence means in the family: a number of its own, or
 * the width's equal share.
 */
export function readHeadDim(
  config: ConfigReader,
  width: number,
  heads: number,
  fallback?: number,
): number {
  if (fallback !== undefined) return config.count('head_dim', fallback);
  const given = config.raw('head_dim') ?? null;
  return given === null ? equalShare(config, width, heads) : config.count('head_dim');
}

/** The width of a head where heads share the stream's width. */
export function equalShare(config: ConfigReader, width: number, heads: number): number {
  if (width % heads === 0) return width / heads;
  throw config.inconsistent(
    `${heads} heads do not divide the width ${width}`,
    'Correct the number of heads or the width.',
  );
}

/** A window as configs write it: null or absent is none. */
export function readWindow(config: ConfigReader, key = 'sliding_window'): number | null {
  return (config.raw(key) ?? null) === null ? null : config.count(key);
}

/** A number above 0, or null where the key is null or absent. */
export function readOptional(config: ConfigReader, key: string): number | null {
  return (config.raw(key) ?? null) === null ? null : config.positive(key);
}

/** Whether a layer of this type sees only a window. */
const layerTypes: ReadonlyMap<unknown, boolean> = new Map([
  ['full_attention', false],
  ['sliding_attention', true],
]);

/**
 * Which layers see only a window: `layer_types` if it is there, else what its absence means.
 *
 * @param usual Whether layer i slides in a file without `layer_types`.
 */
export function readSliding(
  config: ConfigReader,
  layers: number,
  usual: (layer: number) => boolean,
): readonly boolean[] {
  const types = config.raw('layer_types') ?? null;
  if (types === null) return Array.from({ length: layers }, (_, layer) => usual(layer));
  if (!Array.isArray(types) || types.length !== layers) {
    throw config.inconsistent(
      `layer_types does not name a type for each of ${layers} layers`,
      'Correct layer_types or num_hidden_layers.',
    );
  }
  return types.map((type: unknown) => {
    const slides = layerTypes.get(type);
    if (slides !== undefined) return slides;
    const known = [...layerTypes.keys()].join(', ');
    throw config.unsupported('layer_types', type, `Known are ${known}.`);
  });
}

/** Windows of each layer; null for none. @throws {UserError} where layers slide and there is no window. */
export function windowsOf(
  config: ConfigReader,
  sliding: readonly boolean[],
): readonly (number | null)[] {
  const window = readWindow(config);
  if (window === null && sliding.includes(true)) throw config.missing('sliding_window');
  return sliding.map((slides) => (slides ? window : null));
}

/**
 * Windows of each layer as Qwen writes them: `sliding_window` acts only if `use_sliding_window` says
 * so, and then, without `layer_types`, from layer `max_window_layers` on.
 */
export function readSwitchedWindows(
  config: ConfigReader,
  layers: number,
): readonly (number | null)[] {
  const isOn = config.flag('use_sliding_window', false);
  const first = config.count('max_window_layers', 28, 0);
  // Files name a window even where the switch is off.
  config.raw('sliding_window');
  const sliding = readSliding(config, layers, (layer) => isOn && layer >= first);
  if (isOn || !sliding.includes(true)) return windowsOf(config, sliding);
  throw config.inconsistent(
    'layers slide, but use_sliding_window is off',
    'Correct layer_types or use_sliding_window.',
  );
}

/**
 * Accepts `auto_map` where it names the classes of the family itself, which files carry from before
 * transformers knew it. That code is never run; the equation here is the one it became.
 */
export function acceptOwnCode(config: ConfigReader, modules: RegExp): void {
  const map = config.raw('auto_map') ?? {};
  for (const [role, code] of Object.entries(map)) {
    if (role === 'AutoTokenizer' || (typeof code === 'string' && modules.test(code))) continue;
    throw config.unsupported(
      'auto_map',
      code,
      'Remote code is never run: use a checkpoint in the layout of a family that is built in.',
    );
  }
}
