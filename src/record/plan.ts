/**
 * What will a run do? Worked out in full before it does anything.
 *
 * A plan is a function of the command and of the files it names: checkpoints, prompts, sites,
 * positions, batches and the layout of every file that will be written. `--dry-run` prints it; the
 * run executes it; a resumed run must come to the same one.
 */

import { resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import { plural } from '../base/units.ts';
import type {
  CheckpointRecord,
  ComputedPlan,
  PositionRecord,
  RowRecord,
} from '../contract/manifest.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { selectSites, siteKey, type Site } from '../graph/sites.ts';
import { largestOf } from '../math/vectors.ts';
import { untrainedTwin, type Binding } from '../../models/bindings.ts';
import type { Model } from '../../models/model.ts';
import { withoutModulePaths } from '../../models/siteNames.ts';
import { parsePositions, type PositionSelector } from '../text/positions.ts';
import { checkVocabulary, preparePrompts, type Prepared } from '../text/prepare.ts';
import { readPrompts, type PromptSet } from '../text/prompts.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { DeviceName } from '../base/choices.ts';
import { describeDerivation, Sources, type SourceRequest } from './weightSources.ts';
import type { Pass } from './segments.ts';
import { describeSharing, planPasses, sharedCore, type PrefixSharing } from './sharing.ts';
import { versions } from './versions.ts';

/** What `extract` is asked for. */
export interface ExtractRequest {
  readonly checkpoints: readonly CheckpointRequest[];
  readonly prompts: string;
  readonly sites: string;
  readonly positions: string;
  readonly batchTokens: number;
  readonly threads: number;
  /** Whether what prompts begin with in common is read once; `faster` unless told. */
  readonly prefixSharing?: PrefixSharing;
  /** What computes; the CPU unless told. */
  readonly device?: DeviceName;
  readonly store: 'float32' | 'bfloat16';
  /** How models are run; whichever fits into memory unless told. */
  readonly plan?: PlanKind;
  readonly forceReply?: string | { readonly column: string };
  readonly tokenLimit?: number;
  readonly trigger?: string;
  readonly sham?: string;
  readonly ignoredConfigKeys: readonly string[];
}

/** `whole`: each model at once. `streamed`: block by block, for models that do not fit into memory. */
export type PlanKind = ComputedPlan['kind'];

export interface CheckpointRequest extends SourceRequest {
  readonly name: string;
  /** Where the way from it leads, and how much of it to go. */
  readonly towards?: SourceRequest & { readonly at: number };
  /** Random weights from this seed instead of the checkpoint's own. */
  readonly twinSeed?: number;
}

export interface Plan {
  readonly request: ExtractRequest;
  readonly kind: PlanKind;
  /** Whether a streamed model's weights are widened once a block, not in each pass: to the same bits. */
  readonly widensOnce: boolean;
  readonly checkpoints: readonly PlannedCheckpoint[];
  readonly set: PromptSet;
  readonly prepared: readonly Prepared[];
  readonly tokenizer: Tokenizer | null;
  readonly positions: readonly PlannedPosition[];
  /** In the order in which they run. */
  readonly passes: readonly Pass[];
  /** Longest prompt, and sum over prompts, in tokens. */
  readonly longest: number;
  readonly tokens: number;
}

export interface PlannedCheckpoint {
  readonly record: Omit<CheckpointRecord, 'files' | 'sha256'>;
  /** Of its weights; a large file is hashed while other work goes on. */
  readonly sha256: Promise<string>;
  readonly model: Model;
  readonly bind: Binding;
  /** Where its tokenizer lies. */
  readonly tokenizerFolder: string;
  /** Floats that are there for a moment while its weights are worked out. */
  readonly passingFloats: number;
  readonly sites: readonly Site[];
}

export interface PlannedPosition {
  readonly selector: PositionSelector;
  readonly record: PositionRecord;
  /** Row of each prompt's first token at this position, or −1 where it has none. */
  readonly firstRow: readonly number[];
}

/** @throws {UserError} for whatever in the request cannot be done as it stands. */
export async function planExtraction(request: ExtractRequest): Promise<Plan> {
  const checkpoints = await planCheckpoints(request);
  const set = await readPrompts(request.prompts);
  const tokenizer = await commonTokenizer(checkpoints, set);
  const limits = checkpoints.map(({ model }) => model.settings.context);
  const { forceReply, tokenLimit, trigger, sham } = request;
  const selectors = parsePositions(request.positions);
  const prepared = preparePrompts(set, tokenizer, {
    positions: selectors,
    modelLimit: Math.min(...limits),
    ...(forceReply === undefined ? {} : { forceReply }),
    ...(tokenLimit === undefined ? {} : { tokenLimit }),
    ...(trigger === undefined ? {} : { trigger }),
    ...(sham === undefined ? {} : { sham }),
  });
  for (const { model } of checkpoints)
    checkVocabulary(prepared, model.settings.vocabulary, model.folder);
  const lengths = prepared.map(({ ids }) => ids.length);
  return {
    request,
    kind: request.plan ?? 'whole',
    widensOnce: true,
    checkpoints,
    set,
    prepared,
    tokenizer,
    positions: selectors.map((selector, i) => planPosition(selector, i, prepared)),
    passes: passesFor(request, prepared, checkpoints),
    longest: largestOf(lengths),
    tokens: lengths.reduce((sum, length) => sum + length, 0),
  };
}

/** The passes that follow from these checkpoints' shapes. */
export function passesFor(
  { batchTokens, prefixSharing = 'faster' }: ExtractRequest,
  prepared: readonly Prepared[],
  checkpoints: readonly Pick<PlannedCheckpoint, 'model'>[],
): Pass[] {
  return planPasses(
    prepared.map(({ ids }) => ids),
    { batchTokens, models: checkpoints.map(({ model }) => model), sharing: prefixSharing },
  );
}

async function planCheckpoints(request: ExtractRequest): Promise<PlannedCheckpoint[]> {
  const { checkpoints, ignoredConfigKeys } = request;
  checkpoints.forEach(({ name }, i) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
      throw new UserError('USAGE', `"${name}" cannot name a checkpoint`, {
        fix: 'Use letters, digits, ".", "_" and "-", at most 64, as in NAME=MODEL.',
      });
    }
    if (checkpoints.findIndex((other) => other.name === name) < i) {
      throw new UserError('USAGE', `two checkpoints are called "${name}"`, {
        fix: 'Give each its own name, as in before=MODEL after=MODEL.',
      });
    }
  });
  const sources = new Sources(ignoredConfigKeys);
  const planned: PlannedCheckpoint[] = [];
  for (const checkpoint of checkpoints) {
    const { name, twinSeed, towards } = checkpoint;
    const source = await sources.open(checkpoint);
    const opened = towards === undefined ? source : await sources.walk(source, towards);
    const { model, bind, tokenizerFolder, passingFloats } = opened.variant;
    const { architecture, settings } = model;
    const isPlain = towards === undefined && (checkpoint.adapters ?? []).length === 0;
    const derivation = isPlain ? null : await opened.derivation;
    planned.push({
      record: {
        name,
        family: architecture.family,
        n_layers: settings.layers,
        d_model: settings.width,
        dtype: [...new Set([...model.weights.values()].map(({ dtype }) => dtype))].join('+'),
        derivation,
        twin_seed: twinSeed ?? null,
        ignored_config_keys: ignoredConfigKeys,
      },
      sha256: opened.identity,
      model,
      bind: twinSeed === undefined ? bind('') : untrainedTwin(model, twinSeed),
      tokenizerFolder,
      passingFloats,
      sites: selectSites(withoutModulePaths(request.sites, architecture.family), model.sites),
    });
  }
  return planned;
}

/** What the manifest says of a checkpoint, but for its files; waits for the hash of its weights. */
export async function recordOf({
  record,
  sha256,
}: PlannedCheckpoint): Promise<Omit<CheckpointRecord, 'files'>> {
  const { derivation, twin_seed, ignored_config_keys, ...facts } = record;
  return { ...facts, sha256: await sha256, derivation, twin_seed, ignored_config_keys };
}

/** The one tokenizer of all checkpoints; rows are only comparable if they are the same tokens. */
async function commonTokenizer(
  checkpoints: readonly PlannedCheckpoint[],
  set: PromptSet,
): Promise<Tokenizer | null> {
  if (set.prompts.every(({ body }) => body.kind === 'ids')) return null;
  const folders = [...new Set(checkpoints.map(({ tokenizerFolder }) => tokenizerFolder))];
  const [first, ...others] = await Promise.all(folders.map((folder) => openTokenizer(folder)));
  const different = others.findIndex(({ sha256 }) => sha256 !== first.sha256);
  if (different >= 0) {
    throw new UserError('TOKENIZER_UNUSABLE', 'checkpoints of one run must cut text the same way', {
      where: `${folders[0]} and ${folders[different + 1]}`,
      cause: 'Their tokenizer.json, tokenizer_config.json or chat template differ.',
      fix: 'Extract them in two runs, or give prompts as "ids".',
    });
  }
  return first;
}

function planPosition(
  selector: PositionSelector,
  i: number,
  prepared: readonly Prepared[],
): PlannedPosition {
  let rows = 0;
  const firstRow = prepared.map(({ positions }) => {
    const count = positions[i].indices?.length ?? 0;
    rows += count;
    return count === 0 ? -1 : rows - count;
  });
  const leftOut = prepared.filter((_, p) => firstRow[p] < 0).map(({ id }) => id);
  return { selector, record: { name: selector.name, rows, left_out: leftOut }, firstRow };
}

/** Elements in one row of a site; patterns are padded to the longest prompt's keys. */
export function rowShape(site: Site, model: Model, longest: number): readonly number[] {
  const { width, vocabulary, heads } = model.settings;
  if (site.kind === 'logits') return [vocabulary];
  return site.kind === 'pattern' ? [heads, longest] : [width];
}

/** Every line of rows.jsonl, positions in order and prompts in order. */
export function* rowRecords(plan: Plan): Generator<RowRecord> {
  for (const [i, { selector, firstRow }] of plan.positions.entries()) {
    for (const [p, { id, prompt, ids, tokens, positions }] of plan.prepared.entries()) {
      const { parts } = positions[i];
      for (const [k, token] of (positions[i].indices ?? []).entries()) {
        yield {
          position: selector.name,
          row: firstRow[p] + k,
          id,
          prompt,
          token_index: token,
          token_id: ids[token],
          token: tokens[token],
          ...(parts === undefined ? {} : { part: parts[k] }),
        };
      }
    }
  }
}

/** What decides the bytes of a run, checkpoints and sites aside; its hash is the plan's identity. */
export function planCore(plan: Plan): Readonly<Record<string, unknown>> {
  const { request, set, tokenizer } = plan;
  return {
    prompts: set.sha256,
    tokenizer: tokenizer?.sha256 ?? null,
    positions: request.positions,
    force_reply: forceReplyText(request.forceReply),
    trigger: request.trigger ?? null,
    sham: request.sham ?? null,
    token_limit: request.tokenLimit ?? null,
    store: request.store,
    batch_tokens: request.batchTokens,
    threads: request.threads,
    // Another version may compute or lay out a file differently; a run is never made of two.
    versions: Object.entries(versions())
      .map((entry) => entry.join(' '))
      .join(', '),
    ...elsewhere(request),
    ...(plan.kind === 'whole' ? {} : { plan: plan.kind }),
    ...sharedCore(plan),
  };
}

/** The device, where it is not the CPU: other devices round in another way. */
export function elsewhere({ device = 'cpu' }: ExtractRequest): { readonly device?: DeviceName } {
  return device === 'cpu' ? {} : { device };
}

export function planHash(plan: Plan): string {
  return sha256OfBytes(JSON.stringify(planCore(plan)));
}

export function forceReplyText(reply: ExtractRequest['forceReply']): string | null {
  if (reply === undefined) return null;
  return typeof reply === 'string' ? reply : `column:${reply.column}`;
}

/** Bytes that the activations of one checkpoint will take on disk. */
export function storedBytes(plan: Plan, { model, sites }: PlannedCheckpoint): number {
  const rows = plan.positions.reduce((sum, { record }) => sum + record.rows, 0);
  const row = sites.reduce((sum, site) => sum + product(rowShape(site, model, plan.longest)), 0);
  return rows * row * (plan.request.store === 'float32' ? 4 : 2);
}

/** The plan in a few lines of words, for `--dry-run` and logs. */
export function describePlan(plan: Plan): string[] {
  const { checkpoints, passes, prepared, tokens, longest } = plan;
  const sharing = describeSharing(plan);
  return [
    ...checkpoints.map(
      ({ record, sites, model }) =>
        `${record.name}: ${record.family}, ${plural(record.n_layers, 'block')}, d ${record.d_model}, ${record.dtype}${record.twin_seed === null ? '' : ', random weights'}${describeDerivation(record.derivation)}, ${plural(sites.length, 'site')} (${sites.map(siteKey).join(', ')}) from ${resolve(model.folder)}`,
    ),
    `${plural(prepared.length, 'prompt')}, ${plural(tokens, 'token')}, longest ${longest}, in ${plural(passes.length, 'batch', 'batches')} a checkpoint`,
    ...(sharing === null ? [] : [sharing]),
  ];
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, axis) => size * axis, 1);
}
