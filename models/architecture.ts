/**
 * What a model family must say, and nothing more: which config keys it knows, which tensors it has,
 * and its equation.
 *
 * The equation is written once, as a block with ports:
 *
 *     block(hidden, past?, params, edits?) → (hidden, present?, taps)
 *
 * A port is bound when a graph is composed, not when the family is written. The same block becomes a
 * whole model, one step of a streamed one, a decoder with a cache, a model with adapters or with
 * interventions, or a trainable one, by binding `param`, `past` and `tap` in another way.
 */

import type { KeyValue, Rotary } from '../src/graph/attention.ts';
import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { BlockSiteKind, SiteKind } from '../src/graph/sites.ts';
import type { Pieces } from './attendInPieces.ts';
import type { Turning } from './rope.ts';
import type { ConfigReader } from './settings.ts';

/** Sizes that every decoder has. */
export interface Settings {
  readonly layers: number;
  /** d, the width of the residual stream. */
  readonly width: number;
  readonly vocabulary: number;
  /** Longest sequence the positions reach. */
  readonly context: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  /** Width inside the MLP. */
  readonly mlpWidth: number;
  /** Whether the head is the transposed embedding, and no `lm_head.weight` of its own. */
  readonly isTied: boolean;
  /** How many keys a query sees, its own included, in each layer or in all; null for all before it. */
  readonly windows?: readonly (number | null)[];
  readonly window?: number | null;
  /** Width of the rows of embedding and head where a map stands between them and the stream; else d. */
  readonly wordWidth?: number;
}

/** A tensor that the checkpoint must hold, under its name in the file. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Said of matrices that are stored transposed, [in, out]. */
  readonly layout?: 'in-out';
}

/**
 * Values that a pass computes once and all blocks read.
 *
 * Inside a graph the stream is `[tokens, d]`, so that every linear map is one matrix product; only
 * attention sees `[batch, position, …]`. Its tokens are all batch · position slots of the batch, or, where the
 * graph is packed, those that hold a token of a prompt.
 */
export interface Frame {
  /** `[tokens]`: token ids, prompt after prompt; padded on the right unless the graph is packed. */
  readonly ids: Value;
  /** `[batch, position]`, and those of the stream's tokens, `[tokens]`. */
  readonly positions: Value;
  readonly flatPositions: Value;
  /** The shapes `[batch, position, −1]`, `[batch · position, −1]` and `[tokens, −1]`, as int64 values. */
  readonly byPosition: Value;
  readonly bySlot: Value;
  readonly byToken: Value;
  /** How the stream's tokens stand in the batch; null where it holds every slot. */
  readonly packing: Packing | null;
  /** The pieces that queries without a past are taken in; null where all prompts lie within one. */
  readonly pieces: () => Pieces | null;
  /** What turns queries and keys, by the name that the family gave it; empty without rotary positions. */
  readonly rotary: ReadonlyMap<string, Rotary>;
}

/** The two ways between a stream without padding and the batch that attention sees. */
export interface Packing {
  /** `[tokens]`: the slot b · T + t of each token of the stream. */
  readonly tokens: Value;
  /** `[batch · position]`: the token in each slot; any token where there is padding, which nobody sees. */
  readonly slots: Value;
}

/** The ports of one block; see the head of this file. */
export interface Ports {
  /** A parameter by its name inside the block, for example `self_attn.q_proj.weight`, in the type it is stored in. */
  readonly param: (name: string) => Value;
  /** Announces the value at a site; what comes back flows on, and is the same unless the site is edited. */
  readonly tap: (kind: BlockSiteKind, value: Value) => Value;
  /** Whether attention must give its probabilities as well. */
  readonly wantsPattern: boolean;
  /** Keys and values of earlier positions; null when the block starts at the first. */
  readonly past: Past | null;
  /** Receives this block's keys and values, where someone wants them. */
  readonly keep: ((present: KeyValue) => void) | null;
}

/** Keys and values `[batch, heads, past, headDim]` that attention goes on from. */
export type Past = ({ readonly kind: 'whole' } & KeyValue) | GrowingPast;

/** A past in the first slots of buffers that are longer; see attendGrowing.ts. Shape: `[batch, heads, room, headDim]`. */
export interface GrowingPast extends KeyValue {
  readonly kind: 'growing';
  /** −∞ where a query does not see a key, past the end of what is held and out of its window; else 0. Shape: `[position, keys]`. */
  readonly bias: (window: number | null) => Value;
  /** How many keys are slots of the past, and how many are new. Shape: `[2]`. */
  readonly parts: Value;
}

/** Parameters outside the blocks, by their name in the checkpoint. */
export type Params = (name: string) => Value;

export interface Architecture<S extends Settings = Settings> {
  /** `model_type` of config.json. */
  readonly family: string;
  /** What may stand before every tensor name but the head's, most usual first. */
  readonly prefixes: readonly string[];
  /** Prefix of a block's tensors, for example `layers.3.`. */
  blockPrefix(layer: number): string;
  /** Buffers that old files carry and that are no weights, matched against names without prefix. */
  readonly buffers: readonly RegExp[];
  /** Keys of config.json that change nothing that we compute. */
  readonly irrelevantKeys: readonly string[];
  readSettings(config: ConfigReader): S;
  /** Tensors outside the blocks, without prefix; `lm_head.weight` not among them. */
  parameters(settings: S): readonly Parameter[];
  /** Tensors of one block, without the block's prefix. */
  blockParameters(settings: S, layer: number): readonly Parameter[];
  /** Names of the head's matrix in files, most usual first; `lm_head.weight` if left out. */
  readonly headNames?: readonly string[];
  /** 1 where a norm's gain is stored as w and acts as 1 + w. */
  readonly gainOffset?: 1;
  /**
   * Where the stream itself is normed after each sum: the block's norms that make `resid_mid` and
   * `resid_post` of it, ε 1e-5. Null, or left out, where the stream is nothing but the sum.
   */
  sumNorms?(settings: S): { readonly mid: string; readonly post: string } | null;
  /** Kinds of sites that a model with these settings lacks, each with the reason. */
  absentSites(settings: S): Readonly<Partial<Record<SiteKind, string>>>;
  /** What turns the queries and keys of the blocks, by a name that the blocks use. */
  rotary(settings: S): ReadonlyMap<string, Turning>;
  /** ids → `resid_pre.0`. Shape: `[tokens] → [tokens, d]`. */
  embed(g: Builder, frame: Frame, params: Params, settings: S): Value;
  /** One decoder block. Shape: `[tokens, d] → [tokens, d]`. */
  block(g: Builder, frame: Frame, ports: Ports, settings: S, layer: number, x: Value): Value;
  /** The norm before the head; x itself where there is none. Shape: `[tokens, d] → [tokens, d]`. */
  finalNorm(g: Builder, params: Params, settings: S, x: Value): Value;
  /**
   * The head, where it is more than one matrix; `unembedding` is the head's, or the tied embedding.
   * Shape: `[tokens, d] → [tokens, vocabulary]`.
   */
  logits?(g: Builder, params: Params, settings: S, x: Value, unembedding: Value): Value;
  /** The name of the matrix that unembeds when the head is tied. */
  readonly embedding: string;
}
