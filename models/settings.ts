/**
 * Reading config.json without guessing.
 *
 * Every key must be *honoured* (a family reads it), *irrelevant* (it changes nothing that we compute)
 * or it is *refused* by name: a key we do not know may be the one that makes all numbers wrong. What a
 * user knows to be harmless is passed with --ignore-config-key and recorded in the run.
 */

import { nearest, UserError } from '../src/base/errors.ts';
import { isJsonObject, type JsonObject } from '../src/base/json.ts';

/** Keys of every Hugging Face config that do not touch the forward pass of a decoder. */
const irrelevantEverywhere: ReadonlySet<string> = new Set(
  [
    'architectures model_type transformers_version torch_dtype dtype _name_or_path name_or_path _commit_hash',
    'use_cache initializer_range gradient_checkpointing attn_implementation _attn_implementation _attn_implementation_autoset',
    'bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id unk_token_id decoder_start_token_id forced_bos_token_id',
    'forced_eos_token_id attention_dropout hidden_dropout resid_dropout embd_dropout resid_pdrop embd_pdrop attn_pdrop',
    'return_dict output_attentions output_hidden_states output_scores return_dict_in_generate torchscript use_bfloat16',
    'tf_legacy_loss is_encoder_decoder max_length min_length do_sample early_stopping num_beams num_beam_groups',
    'diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size',
    'encoder_no_repeat_ngram_size bad_words_ids num_return_sequences remove_invalid_values suppress_tokens',
    'begin_suppress_tokens exponential_decay_length_penalty finetuning_task id2label label2id num_labels problem_type',
    'tokenizer_class prefix task_specific_params chunk_size_feed_forward unsloth_version unsloth_fixed unsloth_training',
    'transformers.js_config',
  ].flatMap((line) => line.split(' ')),
);

/** Keys that mean we would read the wrong thing, each with the way out. */
const refusedEverywhere: Readonly<Record<string, string>> = {
  quantization_config: 'Export the model with unquantised weights (float32, float16 or bfloat16).',
  compression_config: 'Export the model with unquantised weights (float32, float16 or bfloat16).',
  auto_map:
    'Remote code is never run: use a checkpoint in the layout of a family that is built in.',
};

/** Values that some keys must have, since another value would change the computation. */
const requiredEverywhere: Readonly<Record<string, readonly unknown[]>> = {
  add_cross_attention: [false],
  tie_encoder_decoder: [false],
  cross_attention_hidden_size: [null],
  is_decoder: [true, false],
  pruned_heads: ['{}', null],
};

/** Hands out the keys of one config, and knows at the end which nobody asked for. */
export class ConfigReader {
  readonly where: string;
  readonly #config: JsonObject;
  readonly #read = new Set<string>();

  constructor(config: JsonObject, where: string) {
    this.#config = config;
    this.where = where;
  }

  has(key: string): boolean {
    return this.raw(key) !== undefined;
  }

  /** The value as it is; marks the key as honoured. */
  raw(key: string): unknown {
    this.#read.add(key);
    return this.#config[key];
  }

  /** A whole number of at least `least`. */
  count(key: string, fallback?: number, least = 1): number {
    const value = this.#get(key, fallback);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
    throw this.#invalid(key, value, `a whole number of at least ${least}`);
  }

  /** A finite number > 0. */
  positive(key: string, fallback?: number): number {
    const value = this.#get(key, fallback);
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw this.#invalid(key, value, 'a number above 0');
  }

  /** As many finite numbers > 0 as `length` says. */
  positives(key: string, length: number): number[] {
    const value = this.#get(key, undefined);
    const numbers = (Array.isArray(value) ? value : []).filter(
      (item): item is number => typeof item === 'number' && Number.isFinite(item) && item > 0,
    );
    if (Array.isArray(value) && value.length === length && numbers.length === length) {
      return numbers;
    }
    throw this.#invalid(key, value, `a list of ${length} numbers above 0`);
  }

  /** Refuses any value but these, where the key is there at all: another would change the computation. */
  require(key: string, ...allowed: readonly unknown[]): void {
    const value = this.raw(key);
    if (
      value === undefined ||
      allowed.some((other) => JSON.stringify(other) === JSON.stringify(value))
    )
      return;
    const known = allowed.map(quoted).join(' or ');
    throw this.unsupported(key, value, `Only ${known} is built in.`);
  }

  flag(key: string, fallback?: boolean): boolean {
    const value = this.#get(key, fallback);
    if (typeof value === 'boolean') return value;
    throw this.#invalid(key, value, 'true or false');
  }

  /** One of the words that the table knows, mapped to what it means. */
  choice<T>(key: string, table: Readonly<Record<string, T>>, fallback?: string): T {
    const value = this.#get(key, fallback);
    if (typeof value === 'string' && Object.hasOwn(table, value)) return table[value];
    const near = typeof value === 'string' ? nearest(value, Object.keys(table)) : undefined;
    const known = Object.keys(table).join(', ');
    throw this.unsupported(
      key,
      value,
      near === undefined ? `Known are ${known}.` : `Did you mean "${near}"? Known are ${known}.`,
    );
  }

  /** A nested record, whose keys must all be read as well; undefined where the key is absent or null. */
  record(key: string): ConfigReader | undefined {
    const value = this.raw(key);
    if (value === undefined || value === null) return undefined;
    if (!isJsonObject(value)) throw this.#invalid(key, value, 'a record');
    return new ConfigReader(value, `${this.where} → ${key}`);
  }

  unsupported(key: string, value: unknown, fix: string): UserError {
    return new UserError('CONFIG_UNSUPPORTED', `${key} ${quoted(value)} is not supported`, {
      where: `${this.where} → ${key}`,
      fix,
    });
  }

  missing(key: string): UserError {
    return new UserError('CONFIG_INVALID', `${key} is missing`, {
      where: `${this.where} → ${key}`,
      fix: 'Take config.json from the same place as the weights; sizes are never guessed.',
    });
  }

  inconsistent(what: string, fix: string): UserError {
    return new UserError('CONFIG_INVALID', what, { where: this.where, fix });
  }

  /** Refuses whatever was neither read nor declared irrelevant. */
  finish(irrelevant: Iterable<string>, ignored: ReadonlySet<string>): void {
    const harmless = new Set(irrelevant);
    for (const [key, value] of Object.entries(this.#config)) {
      if (this.#read.has(key) || ignored.has(key) || harmless.has(key)) continue;
      this.#refuse(key, value);
    }
  }

  #refuse(key: string, value: unknown): void {
    if (irrelevantEverywhere.has(key)) return;
    if (Object.hasOwn(refusedEverywhere, key)) {
      throw this.unsupported(key, value, refusedEverywhere[key]);
    }
    const required = Object.hasOwn(requiredEverywhere, key) ? requiredEverywhere[key] : undefined;
    const shown = typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
    if (required?.includes(shown)) return;
    const near = required === undefined ? nearest(key, this.#read) : undefined;
    throw new UserError(
      'CONFIG_UNSUPPORTED',
      required === undefined
        ? `config key "${key}" is not known, so it might change what the model computes`
        : `${key} ${quoted(value)} is not supported`,
      {
        where: `${this.where} → ${key}`,
        fix:
          near === undefined
            ? `If you know that it is harmless, pass --ignore-config-key ${key}.`
            : `Did you mean "${near}"? If it is harmless, pass --ignore-config-key ${key}.`,
      },
    );
  }

  #get(key: string, fallback: unknown): unknown {
    const value = this.raw(key);
    if (value !== undefined && value !== null) return value;
    if (fallback !== undefined) return fallback;
    throw this.missing(key);
  }

  #invalid(key: string, value: unknown, wanted: string): UserError {
    return new UserError('CONFIG_INVALID', `${key} is ${quoted(value)}, not ${wanted}`, {
      where: `${this.where} → ${key}`,
      fix: 'Take config.json from the same place as the weights.',
    });
  }
}

function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
