/**
 * What will a run take, and which plan is it to follow?
 *
 * Both plans give the same numbers but for rounding. The quicker one is taken where it fits: the whole one,
 * but for a few prompts through weights in half precision. The streamed one holds one block at a time.
 * Whatever began a run's folder goes on with it.
 */

import { UserError } from '../base/errors.ts';
import { formatBytes } from '../base/units.ts';
import type { Manifest } from '../contract/manifest.ts';
import { scratchBytes } from '../files/scratch.ts';
import { largestOf } from '../math/vectors.ts';
import { parametersOf } from '../../models/model.ts';
import { bytesOfPrompt, processBytes, pagesAround } from '../runtime/budget.ts';
import type { RunIdentity } from './manifest.ts';
import { cacheFloats, cacheShape } from './caches.ts';
import { doctorPeakBytes } from './passes.ts';
import { sharesPasts, tokensRead } from './segments.ts';
import {
  passesFor,
  planHash,
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
  threadsFor,
  type Stage,
} from './stages.ts';
import { readRunState } from './store.ts';
import { wantedRows } from './wantedRows.ts';
import { peakOfWhole, queriesAtOnce } from './wholeMemory.ts';

const float = 4;
/** Tokens up to which packing a whole model's weights is not repaid. */
const fewTokens = 4096;

/** How a plan is carried out, as far as memory depends on it. */
type Manner = Pick<Plan, 'kind' | 'widensOnce'>;

/** Bytes of memory at the peak of a plan that is carried out so. */
export function peakBytes(asked: Plan, manner: Manner = asked): number {
  const plan = { ...asked, ...manner };
  if (plan.kind === 'whole') return peakOfWhole(plan) + plan.prepared.length * bytesOfPrompt;
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
      const weights = plan.widensOnce
        ? heldBytes(checkpoint, stage.layer)
        : (parameterBytes(checkpoint).get(stage.layer) ?? 0) + widened(checkpoint, stage.layer);
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
      return weights + work + 3 * stream + 2 * fetched + cached;
    }
  }
}

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

/** Bytes of a block whose weights are widened once: those in half precision are read, not mapped. */
function heldBytes(checkpoint: PlannedCheckpoint, layer: number): number {
  const { model, record, passingFloats } = checkpoint;
  const { architecture, settings } = model;
  const sizes = parametersOf(architecture, settings)
    .filter(({ name }) => layerOf(name, checkpoint) === layer)
    .map(({ shape }) => product(shape) * float);
  const towards = record.derivation?.towards ?? null;
  const held = sizes.reduce((sum, size) => sum + size, 0) * (towards === null ? 1 : 2);
  // What is made of several weights is made in every pass.
  const largest = passingFloats === 0 ? 0 : Math.max(0, ...sizes);
  return held + (towards === null ? 2 : 4) * largest;
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

/** Bytes of memory at the peak of a plan that is carried out so, the doctor's examination included. */
export function peakWithDoctor(plan: Plan, hasDoctor: boolean, manner: Manner = plan): number {
  const { device = 'cpu' } = plan.request;
  const examined = hasDoctor ? plan.checkpoints : [];
  return Math.max(
    peakBytes(plan, manner),
    ...examined.map(({ model, record }) =>
      record.twin_seed === null ? doctorPeakBytes(model, { ...manner, device }) : 0,
    ),
  );
}

/** What a plan takes, in a line of words. */
export function describeNeeds(plan: Plan, hasDoctor: boolean): string {
  const scratch = scratchOf(plan);
  return [
    `${plan.kind === 'whole' ? 'models are run whole' : 'models are streamed block by block'}: about ${formatBytes(peakWithDoctor(plan, hasDoctor))} of memory`,
    `${formatBytes(diskOf(plan))} on disk`,
    ...(scratch === 0 ? [] : [`${formatBytes(scratch)} of scratch files until it is done`]),
  ].join(', ');
}

/** The plan that a command into this folder follows; see `chosenPlan`. */
export async function planFor(plan: Plan, out: string, allowed: Allowed): Promise<Plan> {
  const { manifest: earlier, unfinished } = await readRunState(out);
  return chosenPlan(earlier === null ? plan : sharedAs(earlier, plan), {
    ...allowed,
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

interface Allowed {
  readonly budgetBytes: number;
  /** Whether each checkpoint is examined before it is run. */
  readonly hasDoctor: boolean;
}

export interface Choosing extends Allowed {
  /** What the folder holds already. */
  readonly earlier: Manifest | null;
  readonly unfinished: RunIdentity | null;
}

/**
 * The plan with the kind that it is to have.
 *
 * @throws {UserError} `NOT_ENOUGH_MEMORY` if what was asked for, or every kind, needs more than is allowed.
 */
export function chosenPlan(plan: Plan, choosing: Choosing): Plan {
  const { request } = plan;
  const { budgetBytes, hasDoctor, earlier, unfinished } = choosing;
  if (request.plan === 'streamed') requireCpu(plan);
  const begun = kindOf(earlier, unfinished);
  const asked = request.plan ?? begun;
  const isOnCpu = (request.device ?? 'cpu') === 'cpu';
  const manners = mannersOf(plan).filter(({ kind }) =>
    asked === undefined ? isOnCpu || kind === 'whole' : kind === asked,
  );
  const fitting = manners.find((one) => peakWithDoctor(plan, hasDoctor, one) <= budgetBytes);
  if (fitting !== undefined) return { ...plan, ...fitting };
  throw tooLarge(plan, manners, choosing);
}

/** In how many ways a plan may be carried out, the quickest first. */
function mannersOf(plan: Plan): Manner[] {
  const whole = { kind: 'whole', widensOnce: false } as const;
  const streamed = { kind: 'streamed', widensOnce: true } as const;
  const slowly = { kind: 'streamed', widensOnce: false } as const;
  return streamsQuickly(plan) ? [streamed, whole, slowly] : [whole, streamed, slowly];
}

/**
 * Whether a streamed plan takes no longer than the whole one. What is stored in half precision is widened
 * anew either way, and a whole model is packed besides, which few tokens do not repay; but only a whole
 * one may use any number of threads.
 */
function streamsQuickly({ checkpoints, passes, request }: Plan): boolean {
  return (
    tokensRead(passes) <= fewTokens &&
    checkpoints.every(
      ({ model, record }) =>
        record.twin_seed === null &&
        [...model.weights.values()].every(({ dtype }) => dtype !== 'F32') &&
        threadsFor(model, request.threads) === request.threads,
    )
  );
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

function tooLarge(
  plan: Plan,
  manners: readonly Manner[],
  { budgetBytes, hasDoctor }: Allowed,
): UserError {
  const kinds = [...new Set(manners.map(({ kind }) => kind))];
  const least = (of: PlanKind): number =>
    Math.min(
      ...manners
        .filter(({ kind }) => kind === of)
        .map((manner) => peakWithDoctor(plan, hasDoctor, manner)),
    );
  const needs = kinds.map((kind) => `${formatBytes(least(kind))} (${kind})`);
  return new UserError(
    'NOT_ENOUGH_MEMORY',
    `this run would need about ${needs.join(' or ')} of memory; ${formatBytes(budgetBytes)} are allowed`,
    { where: 'extract', fix: whatFits(plan, manners, budgetBytes) },
  );
}

function whatFits(plan: Plan, manners: readonly Manner[], budgetBytes: number): string {
  if (manners.some((manner) => peakBytes(plan, manner) <= budgetBytes)) {
    return 'Give --no-doctor, since only the doctor needs so much, or raise --memory-budget.';
  }
  const isStreamable = manners.some(({ kind }) => kind === 'streamed');
  const batch = isStreamable ? largestBatch(plan, budgetBytes) : null;
  return batch === null
    ? 'Raise --memory-budget, or use a machine with more memory.'
    : `Give --batch-tokens ${batch}, with which a streamed run fits, or raise --memory-budget.`;
}

/** The largest power of two below the batches asked for with which a streamed run fits. */
function largestBatch(plan: Plan, budgetBytes: number): number | null {
  const { batchTokens } = plan.request;
  const least = { ...plan, widensOnce: false };
  for (let tokens = 2 ** Math.ceil(Math.log2(batchTokens) - 1); tokens >= 1; tokens /= 2) {
    if (tokens < batchTokens && peakOfStreamed(least, tokens) <= budgetBytes) return tokens;
    if (tokens <= plan.longest) return null;
  }
  return null;
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, axis) => size * axis, 1);
}
