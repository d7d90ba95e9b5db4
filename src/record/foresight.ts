/**
 * What will a run take, and which plan is it to follow?
 *
 * Both plans give the same numbers but for rounding. The whole one is quicker, so it is taken where it
 * fits; the streamed one holds one block at a time. Whatever began a run's folder goes on with it.
 */

import { UserError } from '../base/errors.ts';
import { formatBytes } from '../base/units.ts';
import type { Manifest } from '../contract/manifest.ts';
import { scratchBytes } from '../files/scratch.ts';
import { largestOf } from '../math/vectors.ts';
import { parametersOf } from '../../models/model.ts';
import { bytesOfPrompt, processBytes } from '../runtime/budget.ts';
import type { RunIdentity } from './manifest.ts';
import { cacheFloats, cacheShape } from './caches.ts';
import { sharesPasts } from './segments.ts';
import {
  passesFor,
  peakBytes as peakOfWhole,
  planHash,
  queriesAtOnce,
  rowShape,
  storedBytes,
  type Plan,
  type PlannedCheckpoint,
  type PlanKind,
} from './plan.ts';
import {
  headRows,
  headSlices,
  lookedUpAtOnce,
  scratchSizes,
  sitesAt,
  stagesOf,
  type Stage,
} from './stages.ts';
import { readRunState } from './store.ts';
import { wantedRows } from './wantedRows.ts';

const float = 4;

/** Bytes of memory at the peak of a plan of this kind. */
export function peakBytes(plan: Plan, kind: PlanKind = plan.kind): number {
  if (kind === 'whole') return peakOfWhole(plan) + plan.prepared.length * bytesOfPrompt;
  const batchTokens = largestOf(plan.passes.map((p) => p.segments.length * p.length));
  return peakOfStreamed(plan, batchTokens);
}

/** Bytes of scratch files while the run lasts, over all checkpoints. */
export function scratchOf(plan: Plan): number {
  if (plan.kind === 'whole') return 0;
  return plan.checkpoints.reduce((sum, checkpoint) => {
    const { model, record } = checkpoint;
    const twin = record.twin_seed === null ? 0 : Math.max(...parameterBytes(checkpoint).values());
    return sum + 2 * scratchBytes(scratchSizes(plan, model.settings.width)) + twin;
  }, 0);
}

/** Bytes of activations that stay, over all checkpoints. */
export function diskOf(plan: Plan): number {
  return plan.checkpoints.reduce((sum, checkpoint) => sum + storedBytes(plan, checkpoint), 0);
}

/** The streamed plan with batches of at most so many tokens. */
function peakOfStreamed(plan: Plan, batchTokens: number): number {
  return Math.max(
    ...plan.checkpoints.map((checkpoint) => {
      const stages = stagesOf(checkpoint.sites, checkpoint.model);
      const load = { plan, checkpoint, tokens: Math.max(batchTokens, plan.longest) };
      return (
        processBytes +
        plan.prepared.length * bytesOfPrompt +
        Math.max(...stages.map((stage) => bytesAt(stage, load)))
      );
    }),
  );
}

interface Load {
  readonly plan: Plan;
  readonly checkpoint: PlannedCheckpoint;
  /** Of the largest batch. */
  readonly tokens: number;
}

/** What a stage holds beside the process itself. */
function bytesAt(stage: Stage, { plan, checkpoint, tokens }: Load): number {
  const { model, sites } = checkpoint;
  const { width, mlpWidth, heads, vocabulary, wordWidth = width } = model.settings;
  const stream = tokens * width * float;
  switch (stage.kind) {
    case 'embedding': {
      // Each row that is looked up brings the pages around it.
      const touched = Math.max(lookedUpAtOnce, tokens) * pagesAround;
      return Math.min(touched, parameterBytes(checkpoint).get('embedding') ?? 0) + 3 * stream;
    }
    case 'norm':
      return 4 * stream;
    case 'head': {
      const rows = headRows(model);
      const [{ to, from }] = headSlices(model);
      const slice = (to - from) * wordWidth * float * 2;
      return slice + 2 * rows * vocabulary * float + 2 * rows * (to - from) * float;
    }
    default: {
      const mapped = parameterBytes(checkpoint).get(stage.layer) ?? 0;
      const here = sitesAt(stage, sites);
      const scores = queriesAtOnce(plan, here) * heads;
      const work = tokens * float * (6 * width + 3 * mlpWidth + scores);
      const rows = largestOf(plan.passes.map((pass) => wantedRows(plan, pass).rows.length));
      const fetched = here.reduce(
        (sum, site) => sum + rows * float * product(rowShape(site, model, plan.longest)),
        0,
      );
      const shape = cacheShape(model, sites);
      const blocks = { from: stage.layer, to: stage.layer + 1 };
      const cached = sharesPasts(plan.passes)
        ? float * cacheFloats(plan.passes, { ...shape, blocks })
        : 0;
      return mapped + widened(checkpoint, stage.layer) + work + 3 * stream + 2 * fetched + cached;
    }
  }
}

/** A fault in a mapped file brings in this many bytes where they are in the page cache. */
const pagesAround = 2 ** 16;

/** Bytes that are mapped of each block, and of the embedding's table, as they are stored. */
function parameterBytes(checkpoint: PlannedCheckpoint): ReadonlyMap<number | 'embedding', number> {
  const { model, record } = checkpoint;
  const { architecture, settings, weights } = model;
  const towards = record.derivation?.towards ?? null;
  const bytes = new Map<number | 'embedding', number>();
  for (const { name, shape } of parametersOf(architecture, settings)) {
    const layer = layerOf(name, checkpoint);
    const place = name === architecture.embedding ? 'embedding' : layer;
    if (place === null) continue;
    const stored = record.twin_seed === null ? weights.get(name)?.length : undefined;
    const size = (stored ?? product(shape) * float) * (towards === null ? 1 : 2);
    bytes.set(place, (bytes.get(place) ?? 0) + size);
  }
  return bytes;
}

/** Bytes that the largest matrix of a block takes while it is made ready for its product. */
function widened(checkpoint: PlannedCheckpoint, layer: number): number {
  const { model, record, passingFloats } = checkpoint;
  const { architecture, settings, weights } = model;
  const sizes = parametersOf(architecture, settings)
    .filter(({ name }) => layerOf(name, checkpoint) === layer)
    .map(({ name, shape }) => {
      const isStoredWide = record.twin_seed !== null || weights.get(name)?.dtype === 'F32';
      return product(shape) * float * (isStoredWide ? 0 : 1);
    });
  const largest = Math.max(0, ...sizes);
  if (passingFloats === 0) return largest;
  const full = Math.max(
    0,
    ...parametersOf(architecture, settings)
      .filter(({ name }) => layerOf(name, checkpoint) === layer)
      .map(({ shape }) => product(shape) * float),
  );
  return (record.derivation?.towards === null ? 2 : 4) * full;
}

function layerOf(name: string, { model }: PlannedCheckpoint): number | null {
  const { architecture, settings } = model;
  for (let layer = 0; layer < settings.layers; layer++) {
    if (name.startsWith(architecture.blockPrefix(layer))) return layer;
  }
  return null;
}

/** What a plan takes, in a line of words. */
export function describeNeeds(plan: Plan): string {
  const scratch = scratchOf(plan);
  return [
    `${plan.kind === 'whole' ? 'models are run whole' : 'models are streamed block by block'}: about ${formatBytes(peakBytes(plan))} of memory`,
    `${formatBytes(diskOf(plan))} on disk`,
    ...(scratch === 0 ? [] : [`${formatBytes(scratch)} of scratch files until it is done`]),
  ].join(', ');
}

/** The plan that a command into this folder follows; see `chosenPlan`. */
export async function planFor(plan: Plan, out: string, budgetBytes: number): Promise<Plan> {
  const { manifest: earlier, unfinished } = await readRunState(out);
  return chosenPlan(earlier === null ? plan : sharedAs(earlier, plan), {
    budgetBytes,
    earlier,
    unfinished,
  });
}

/**
 * The plan with the passes of a run that is there, if those follow from its own checkpoints: one of another
 * shape that is added might have had prompts shared otherwise.
 */
function sharedAs({ plan: before, checkpoints }: Manifest, plan: Plan): Plan {
  if (before.kind === 'imported') return plan;
  const { kind } = before;
  const isSame = (other: Plan): boolean => planHash({ ...other, kind }) === before.sha256;
  const own = plan.checkpoints.filter(({ record }) =>
    checkpoints.some(({ name }) => name === record.name),
  );
  if (own.length === 0 || isSame(plan)) return plan;
  const as = { ...plan, passes: passesFor(plan.request, plan.prepared, own) };
  return isSame(as) ? as : plan;
}

export interface Choosing {
  readonly budgetBytes: number;
  /** What the folder holds already. */
  readonly earlier: Manifest | null;
  readonly unfinished: RunIdentity | null;
}

/**
 * The plan with the kind that it is to have.
 *
 * @throws {UserError} `NOT_ENOUGH_MEMORY` if what was asked for, or every kind, needs more than is allowed.
 */
export function chosenPlan(plan: Plan, { budgetBytes, earlier, unfinished }: Choosing): Plan {
  const { request } = plan;
  if (request.plan === 'streamed') requireCpu(plan);
  const begun = kindOf(earlier, unfinished);
  const asked = request.plan ?? begun;
  const kinds: readonly PlanKind[] =
    asked === undefined
      ? (request.device ?? 'cpu') === 'cpu'
        ? ['whole', 'streamed']
        : ['whole']
      : [asked];
  const fitting = kinds.find((kind) => peakBytes(plan, kind) <= budgetBytes);
  if (fitting !== undefined) return { ...plan, kind: fitting };
  throw tooLarge(plan, kinds, budgetBytes);
}

/** The kind that a folder's run began with. */
function kindOf(earlier: Manifest | null, unfinished: RunIdentity | null): PlanKind | undefined {
  if (unfinished !== null) return unfinished.core['plan'] === 'streamed' ? 'streamed' : 'whole';
  if (earlier === null || earlier.plan.kind === 'imported') return undefined;
  return earlier.plan.kind;
}

function requireCpu({ request: { device = 'cpu' } }: Plan): void {
  if (device === 'cpu') return;
  throw new UserError('USAGE', 'a streamed plan computes on the CPU', {
    where: '--device',
    fix: 'Leave out --device or --plan.',
  });
}

function tooLarge(plan: Plan, kinds: readonly PlanKind[], budgetBytes: number): UserError {
  const needs = kinds.map((kind) => `${formatBytes(peakBytes(plan, kind))} (${kind})`);
  const batch = kinds.includes('streamed') ? largestBatch(plan, budgetBytes) : null;
  return new UserError(
    'NOT_ENOUGH_MEMORY',
    `this run would need about ${needs.join(' or ')} of memory; ${formatBytes(budgetBytes)} are allowed`,
    {
      where: 'extract',
      fix:
        batch === null
          ? 'Raise --memory-budget, or use a machine with more memory.'
          : `Give --batch-tokens ${batch}, with which a streamed run fits, or raise --memory-budget.`,
    },
  );
}

/** The largest power of two below the batches asked for with which a streamed run fits. */
function largestBatch(plan: Plan, budgetBytes: number): number | null {
  const { batchTokens } = plan.request;
  for (let tokens = 2 ** Math.ceil(Math.log2(batchTokens) - 1); tokens >= 1; tokens /= 2) {
    if (tokens < batchTokens && peakOfStreamed(plan, tokens) <= budgetBytes) return tokens;
    if (tokens <= plan.longest) return null;
  }
  return null;
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, axis) => size * axis, 1);
}
