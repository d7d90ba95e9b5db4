/**
 * What does an `adapter_config.json` of peft say?
 *
 * As with a model's config, every key is honoured, known to change nothing once training is over, or
 * refused by name. Module names are those of the checkpoint with its prefix, for example
 * `model.layers.0.self_attn.q_proj`, and are matched as peft matches them.
 */

import { nearest, UserError } from '../base/errors.ts';
import { isJsonObject, type JsonObject } from '../base/json.ts';
import {
  compilePattern,
  matchesStart,
  matchesWhole,
  usualEffort,
  type Effort,
  type Pattern,
} from '../base/pattern.ts';

export interface AdapterSettings {
  readonly rank: number;
  readonly alpha: number;
  /** Scale alpha / √r instead of alpha / r. */
  readonly isRankStabilised: boolean;
  /** DoRA: a magnitude for each output feature. */
  readonly hasMagnitudes: boolean;
  /** The first that matches the end of a module's name holds instead of `rank` or `alpha`. */
  readonly rankPatterns: readonly Exception[];
  readonly alphaPatterns: readonly Exception[];
  readonly targets: Selection;
  readonly excluded: Selection | null;
  /** Blocks that are adapted, where not all are, and the names that stand before a block's number. */
  readonly layers: readonly number[] | null;
  readonly layersPatterns: readonly string[];
  readonly bias: 'none' | 'lora_only' | 'all';
  /** Endings of the names of modules that were trained in full. */
  readonly savedModules: readonly string[];
  /** Whether a head that is tied to the embedding stays so when the embedding is adapted. */
  readonly keepsTies: boolean;
}

/** Which modules: all linear maps but the head, those with these names or endings, or an expression. */
export type Selection = 'all-linear' | readonly string[] | Pattern;

interface Exception {
  readonly pattern: Pattern;
  readonly value: number;
}

/** Keys that say how the adapter was trained or where it came from. */
const irrelevant: ReadonlySet<string> = new Set(
  [
    'peft_version base_model_name_or_path revision inference_mode auto_mapping runtime_config',
    'lora_dropout megatron_core qalora_group_size merge_weights',
    // Settings of initialisations, of which only harmless ones are read.
    'loftq_config eva_config corda_config lora_ga_config',
    // peft sets it from the kind of layer, whatever it says; so do we.
    'fan_in_fan_out',
  ].flatMap((line) => line.split(' ')),
);

/** Keys of other methods, which must be switched off. */
const mustBeOff: ReadonlySet<string> = new Set(
  [
    'layer_replication megatron_config alora_invocation_tokens trainable_token_indices enable_lora',
    'target_parameters lora_bias use_qalora use_bdlora arrow_config kasa_config velora_config',
    'monteclora_config quantization_config',
  ].flatMap((line) => line.split(' ')),
);

/** Initialisations that leave the base's weights alone. */
const harmlessStarts: ReadonlySet<unknown> = new Set([
  true,
  false,
  'gaussian',
  'eva',
  'orthogonal',
]);
const taskTypes: ReadonlySet<unknown> = new Set([null, 'CAUSAL_LM', 'FEATURE_EXTRACTION']);

/** @throws {UserError} `CONFIG_INVALID` or `CONFIG_UNSUPPORTED`, naming the key. */
export function readAdapterSettings(
  config: JsonObject,
  where: string,
  ignoredKeys: ReadonlySet<string>,
): AdapterSettings {
  const reader = new SettingsReader(config, where);
  reader.require(
    'peft_type',
    new Set(['LORA']),
    'Only LoRA and its variants are read: merge the adapter into its base with peft.',
  );
  reader.require('task_type', taskTypes, 'Only adapters of causal language models are read.');
  reader.require(
    'init_lora_weights',
    harmlessStarts,
    'This start changed the base: convert the adapter with path_initial_model_for_weight_conversion of peft.',
  );
  const settings = {
    rank: reader.number('r', isRank, 'a whole number of at least 1'),
    alpha: reader.number('lora_alpha', Number.isFinite, 'a number'),
    isRankStabilised: reader.flag('use_rslora'),
    hasMagnitudes: reader.flag('use_dora'),
    rankPatterns: reader.exceptions('rank_pattern', isRank, 'a whole number of at least 1'),
    alphaPatterns: reader.exceptions('alpha_pattern', Number.isFinite, 'a number'),
    targets: reader.targets(),
    excluded: reader.selection('exclude_modules'),
    layers: reader.layers(),
    layersPatterns: reader.names('layers_pattern'),
    bias: reader.bias(),
    savedModules: reader.names('modules_to_save'),
    keepsTies: reader.flag('ensure_weight_tying'),
  };
  reader.finish(ignoredKeys);
  return settings;
}

/** Whether peft would put the adapter on this module. */
export function isTargeted(settings: AdapterSettings, module: string, isLinear: boolean): boolean {
  const { targets, excluded, savedModules } = settings;
  if (excluded !== null && isSelected(excluded, module, isLinear)) return false;
  if (savedModules.some((saved) => isWithin(module, saved))) return false;
  if (!isSelected(targets, module, isLinear)) return false;
  // Whole names and expressions say themselves which layers they mean.
  const isByEnding = Array.isArray(targets) && !targets.includes(module);
  return !isByEnding || settings.layers === null || isInLayers(settings, module, settings.layers);
}

/** Whether a module lies in one that `modules_to_save` names, or is it. */
export function isWithin(module: string, saved: string): boolean {
  return `.${module}.`.includes(`.${saved}.`);
}

/** The rank of a module's matrices, and the factor on their product. */
export function rankAndScale(
  { rank, alpha, isRankStabilised, rankPatterns, alphaPatterns }: AdapterSettings,
  module: string,
): { rank: number; scale: number } {
  const r = exceptionFor(rankPatterns, module) ?? rank;
  const a = exceptionFor(alphaPatterns, module) ?? alpha;
  return { rank: r, scale: a / (isRankStabilised ? Math.sqrt(r) : r) };
}

function exceptionFor(exceptions: readonly Exception[], module: string): number | undefined {
  return exceptions.find(({ pattern }) => matchesStart(pattern, module))?.value;
}

function isSelected(selection: Selection, module: string, isLinear: boolean): boolean {
  if (selection === 'all-linear') return isLinear;
  if ('source' in selection) return matchesWhole(selection, module);
  return selection.some((name) => module === name || module.endsWith(`.${name}`));
}

/** Whether the number that peft takes for the layer's is a wanted one. */
function isInLayers(
  { layersPatterns }: AdapterSettings,
  module: string,
  layers: readonly number[],
): boolean {
  const parts = module.split('.');
  const isIndex = (part: string, i: number): boolean => /^\d+$/.test(part) && i + 1 < parts.length;
  const places =
    layersPatterns.length === 0
      ? [parts.findIndex((part, i) => i >= 2 && isIndex(part, i))]
      : layersPatterns.map((pattern) =>
          parts.findIndex((part, i) => parts[i - 1] === pattern && isIndex(part, i)),
        );
  const at = places.find((place) => place >= 0);
  return at !== undefined && layers.includes(Number(parts[at]));
}

function isRank(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

/** Hands out the keys of one config, and knows at the end which nobody asked for. */
class SettingsReader {
  readonly #config: JsonObject;
  readonly #where: string;
  readonly #read = new Set<string>();
  readonly #effort: Effort = { left: usualEffort };

  constructor(config: JsonObject, where: string) {
    this.#config = config;
    this.#where = where;
  }

  require(key: string, known: ReadonlySet<unknown>, fix: string): void {
    const value = this.#take(key) ?? (key === 'init_lora_weights' ? true : null);
    if (!known.has(value)) throw this.#unsupported(key, value, fix);
  }

  number(key: string, isValid: (value: number) => boolean, wanted: string): number {
    return this.#number(key, this.#take(key), isValid, wanted);
  }

  flag(key: string): boolean {
    const value = this.#take(key) ?? false;
    if (typeof value === 'boolean') return value;
    throw this.#invalid(key, value, 'true or false');
  }

  exceptions(key: string, isValid: (value: number) => boolean, wanted: string): Exception[] {
    const value = this.#take(key) ?? {};
    if (!isJsonObject(value)) throw this.#invalid(key, value, 'a record');
    return Object.entries(value).map(([source, number]) => {
      // A record's whole numbers lose their place among the other keys, and the first hit counts.
      if (/^\d+$/.test(source)) throw this.#invalid(key, source, 'the end of a module name');
      const pattern = this.#pattern(key, `(.*\\.)?(${source})$`);
      return { pattern, value: this.#number(`${key} → ${source}`, number, isValid, wanted) };
    });
  }

  targets(): Selection {
    const selection = this.selection('target_modules');
    if (selection !== null) return selection;
    throw this.#invalid('target_modules', null, 'a list of names or an expression');
  }

  selection(key: string): Selection | null {
    const value = this.#take(key) ?? null;
    if (value === null || (Array.isArray(value) && value.length === 0)) return null;
    if (typeof value !== 'string') return this.names(key);
    return value.toLowerCase() === 'all-linear' ? 'all-linear' : this.#pattern(key, value);
  }

  /** Names of modules: a list, one name, or nothing. */
  names(key: string): readonly string[] {
    const value = this.#take(key) ?? [];
    const names: readonly unknown[] = Array.isArray(value) ? value : [value];
    return names.map((name) => {
      if (typeof name === 'string' && /^[\w-]+(\.[\w-]+)*$/.test(name)) return name;
      throw this.#invalid(key, name, 'the name of a module');
    });
  }

  layers(): readonly number[] | null {
    const value = this.#take('layers_to_transform') ?? [];
    const layers: readonly unknown[] = Array.isArray(value) ? value : [value];
    const numbers = layers.map((layer) =>
      this.#number(
        'layers_to_transform',
        layer,
        (n) => Number.isSafeInteger(n) && n >= 0,
        'a list of layers',
      ),
    );
    return numbers.length === 0 ? null : numbers;
  }

  bias(): AdapterSettings['bias'] {
    const value = this.#take('bias') ?? 'none';
    if (value === 'none' || value === 'lora_only' || value === 'all') return value;
    throw this.#unsupported('bias', value, 'Known are none, lora_only and all.');
  }

  /** Refuses whatever was neither read nor is known to change nothing. */
  finish(ignored: ReadonlySet<string>): void {
    for (const [key, value] of Object.entries(this.#config)) {
      if (this.#read.has(key) || irrelevant.has(key) || ignored.has(key)) continue;
      if (mustBeOff.has(key)) {
        if (isOff(value)) continue;
        throw this.#unsupported(
          key,
          value,
          'Merge the adapter into its base with peft, and read the result.',
        );
      }
      const near = nearest(key, this.#read);
      const mean = near === undefined ? '' : `Did you mean "${near}"? `;
      throw new UserError(
        'CONFIG_UNSUPPORTED',
        `adapter config key "${key}" is not known, so it might change what the adapter does`,
        {
          where: `${this.#where} → ${key}`,
          fix: `${mean}If you know that it is harmless, pass --ignore-config-key ${key}.`,
        },
      );
    }
  }

  #take(key: string): unknown {
    this.#read.add(key);
    return this.#config[key];
  }

  #pattern(key: string, source: string): Pattern {
    return compilePattern(source, `${this.#where} → ${key}`, this.#effort);
  }

  #number(
    key: string,
    value: unknown,
    isValid: (value: number) => boolean,
    wanted: string,
  ): number {
    if (typeof value === 'number' && isValid(value)) return value;
    throw this.#invalid(key, value, wanted);
  }

  #unsupported(key: string, value: unknown, fix: string): UserError {
    return new UserError('CONFIG_UNSUPPORTED', `${key} ${quoted(value)} is not supported`, {
      where: `${this.#where} → ${key}`,
      fix,
    });
  }

  #invalid(key: string, value: unknown, wanted: string): UserError {
    return new UserError('CONFIG_INVALID', `${key} is ${quoted(value)}, not ${wanted}`, {
      where: `${this.#where} → ${key}`,
      fix: 'Take adapter_config.json from the same place as the adapter.',
    });
  }
}

function isOff(value: unknown): boolean {
  return value === null || value === false || (Array.isArray(value) && value.length === 0);
}

function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
