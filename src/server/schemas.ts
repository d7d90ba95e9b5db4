/**
 * Are these files of a run folder ones that the viewer can draw?
 *
 * `report.json` is checked field by field against the shape of src/contract/report.ts, the others as
 * far as the server reads them, so that no page is left blank by a half-written file: the first
 * thing that is wrong is named with its path.
 */

import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { manifestSchema } from '../contract/manifest.ts';
import type { Manifest, RowRecord } from '../contract/manifest.ts';
import { reportSchema } from '../contract/report.ts';
import type { Report } from '../contract/report.ts';
import { contrastSchema, geometrySchema, mapSchema } from './contrastSchemas.ts';
import {
  attentionSchema,
  baselineNames,
  estimatorNames,
  heldOutSchema,
  marginSchema,
  onlineCodeSchema,
  scanSchema,
  transferSchema,
} from './readingSchemas.ts';
import { condition, count, finite, id, name } from './fields.ts';

const area = { auroc: finite, auroc_by_fold: z.array(finite), low: finite, high: finite };

const point = z.object({
  site: name,
  layer: count,
  n: count,
  n_positive: count,
  n_groups: count,
  auroc: finite,
  auroc_by_fold: z.array(finite),
  low: finite,
  high: finite,
  null: z.object({
    low: finite,
    median: finite,
    high: finite,
    max: finite,
    p: finite,
    z: finite.optional(),
    p_adjusted: finite.optional(),
  }),
  random_directions: z.object({ count, best: finite, median: finite }).optional(),
  over: z.array(marginSchema).optional(),
  held_out: heldOutSchema.optional(),
  online_code: onlineCodeSchema.optional(),
  attention: attentionSchema.optional(),
  control_task: z.object({ task: finite, control: finite, selectivity: finite }).optional(),
  probe: z.string(),
});

const settings = z.object({
  c: finite.nullable(),
  standardise: z.boolean(),
  intercept: z.boolean(),
  groups: name,
  folds: count,
  shuffles: count,
  shuffled: z.enum(['within groups', 'between groups']),
  interval: z.literal('clustered DeLong'),
  seed: finite,
});

const curve = z.object({
  id,
  checkpoint: name,
  position: name,
  site_kind: name,
  label: name,
  where: condition,
  estimator: z.enum(estimatorNames),
  settings,
  points: z.array(point),
  baselines: z.array(z.object({ name: z.enum(baselineNames), ...area })).optional(),
  nested: z.object({ ...area, chosen: z.array(z.string()) }).optional(),
  null_maxima: z.array(finite).optional(),
  remarks: z.array(z.string()).optional(),
  made_by: name.optional(),
});

const shiftSet = z.object({
  name,
  where: condition,
  n: count,
  relative_size: finite,
  low: finite,
  high: finite,
  mean_relative_size: finite,
});

const shift = z.object({
  id,
  pair: name,
  position: name,
  site_kind: name,
  points: z.array(
    z.object({
      site: name,
      layer: count,
      sets: z.array(shiftSet),
      cosines: z.array(z.object({ a: name, b: name, cosine: finite })),
    }),
  ),
});

const projection = z.object({
  id,
  position: name,
  site: name,
  site_kind: name,
  layer: count,
  pair: name,
  checkpoints: z.array(name).min(1),
  rows: count,
  components: count,
  explained: z.array(finite).min(2),
  basis: z.enum(['pooled', 'temporal']).optional(),
  in_plane: finite,
  file: z.string(),
  sha256: z.string(),
});

const report: z.ZodType<Report> = z.object({
  schema: z.literal(reportSchema),
  run: z.object({
    name,
    manifest_sha256: z.string(),
    prompts: count,
    checkpoints: z.array(
      z.object({ name, family: name, n_layers: count, d_model: count, is_twin: z.boolean() }),
    ),
    positions: z.array(name),
    sites: z.array(name),
  }),
  curves: z.array(curve),
  shifts: z.array(shift),
  projections: z.array(projection),
  findings: z.array(
    z.object({
      id,
      title: z.string(),
      text: z.string(),
      caveat: z.string(),
      evidence: z.array(z.string()),
    }),
  ),
  contrasts: z.array(contrastSchema).optional(),
  maps: z.array(mapSchema).optional(),
  geometries: z.array(geometrySchema).optional(),
  transfers: z.array(transferSchema).optional(),
  scans: z.array(scanSchema).optional(),
});

/** What the server itself reads of a manifest. */
export interface ManifestHead {
  readonly schema: Manifest['schema'];
  readonly checkpoints: readonly { readonly name: string }[];
  readonly prompts: { readonly count: number; readonly force_reply: string | null };
  readonly positions: readonly { readonly name: string }[];
}

const manifest: z.ZodType<ManifestHead> = z.object({
  schema: z.literal(manifestSchema),
  checkpoints: z.array(z.object({ name })),
  prompts: z.object({ count, force_reply: z.string().nullable() }),
  positions: z.array(z.object({ name })),
});

/** What the server reads of a line of rows.jsonl. */
export type RowHead = Pick<RowRecord, 'position' | 'row' | 'id' | 'prompt' | 'token'>;

const row: z.ZodType<RowHead> = z.object({
  position: name,
  row: count,
  id: z.string(),
  prompt: count,
  token: z.string().nullable(),
});

/** A line of prompts.jsonl: the fields that the project knows, and any columns. */
export interface PromptRecord {
  readonly id: string;
  readonly text?: string | undefined;
  readonly messages?: readonly { readonly role: string; readonly content: string }[] | undefined;
  readonly ids?: readonly number[] | undefined;
  readonly [column: string]: unknown;
}

const prompt: z.ZodType<PromptRecord> = z.looseObject({
  id: z.string(),
  text: z.string().optional(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })).optional(),
  ids: z.array(z.int()).optional(),
});

/** @throws {UserError} `RUN_INVALID` that names the first field at fault, or the schema it has. */
export function parseReport(bytes: Buffer, file: string): Report {
  return check(report, reportSchema, parseJson(bytes.toString(), file), file);
}

/** @throws {UserError} `RUN_INVALID` that names the first field at fault, or the schema it has. */
export function parseManifest(bytes: Buffer, file: string): ManifestHead {
  return check(manifest, manifestSchema, parseJson(bytes.toString(), file), file);
}

/** @throws {UserError} `RUN_INVALID` that names the line. */
export function parseRows(bytes: Buffer, file: string): RowHead[] {
  return lines(bytes, file).map(({ value, where }) => check(row, undefined, value, where));
}

/** @throws {UserError} `RUN_INVALID` that names the line. */
export function parsePrompts(bytes: Buffer, file: string): PromptRecord[] {
  return lines(bytes, file).map(({ value, where }) => check(prompt, undefined, value, where));
}

function check<T>(
  shape: z.ZodType<T>,
  schema: string | undefined,
  value: unknown,
  where: string,
): T {
  const fix = 'Write it again with the command that made it.';
  const found = z.looseObject({ schema: z.unknown() }).safeParse(value).data?.schema;
  if (schema !== undefined && found !== schema) {
    const title = `the file has schema ${JSON.stringify(found) ?? 'none'}, this viewer reads "${schema}"`;
    throw new UserError('RUN_INVALID', title, { where, fix });
  }
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue.path.join('.') || 'its top';
  throw new UserError('RUN_INVALID', `the file is damaged at "${path}"`, {
    where: `${where}: ${issue.message}`,
    fix,
  });
}

function lines(bytes: Buffer, file: string): { value: unknown; where: string }[] {
  return bytes
    .toString()
    .split('\n')
    .map((line, i) => ({ line, where: `${file}, line ${i + 1}` }))
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, where }) => ({ value: parseJson(line, where), where }));
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError('RUN_INVALID', 'the file is not JSON', {
      where,
      fix: 'Write it again with the command that made it.',
      cause: error,
    });
  }
}
