/**
 * The steps that take a checkpoint's prompts through its depth, one after another: the embedding, each
 * block that a site needs, the final norm, the head.
 *
 * Each stage has units of work, which are counted through all stages: that count is what the journal of a
 * streamed run speaks of.
 */

import type { Site } from '../graph/sites.ts';
import { blocksNeeded, composeModel, type Composition } from '../../models/compose.ts';
import { lookUpFirst } from '../graph/lookups.ts';
import type { Graph } from '../graph/onnx.ts';
import { prune } from '../graph/prune.ts';
import { parametersOf, type Model } from '../../models/model.ts';
import { steadyThreads } from '../runtime/steady.ts';
import type { Plan, PlannedCheckpoint } from './plan.ts';
import { pads, sharesPasts, tokensOf, type Pass } from './segments.ts';
import { wantedRows } from './wantedRows.ts';

export type Stage =
  | { readonly kind: 'embedding' }
  | { readonly kind: 'block'; readonly layer: number }
  | { readonly kind: 'norm' }
  | { readonly kind: 'head' };

/** The stages that the wanted sites need, in order. */
export function stagesOf(sites: readonly Site[], { settings }: Model): Stage[] {
  const wantsHead = sites.some(({ block }) => block === null);
  const { to } = blocksNeeded(sites, settings.layers);
  return [
    { kind: 'embedding' },
    ...Array.from({ length: to }, (_, layer) => ({ kind: 'block', layer }) as const),
    ...(wantsHead ? ([{ kind: 'norm' }] as const) : []),
    ...(wantsLogits(sites) ? ([{ kind: 'head' }] as const) : []),
  ];
}

export function wantsLogits(sites: readonly Site[]): boolean {
  return sites.some(({ kind }) => kind === 'logits');
}

/** Sites that leave a stage. */
export function sitesAt(stage: Stage, sites: readonly Site[]): Site[] {
  if (stage.kind === 'block') return sites.filter(({ block }) => block === stage.layer);
  const end = { embedding: null, norm: 'final_norm', head: 'logits' }[stage.kind];
  return sites.filter(({ kind }) => kind === end);
}

/** A stage in words. */
export function describeStage(stage: Stage, { settings }: Model): string {
  if (stage.kind === 'block') return `block ${stage.layer + 1} of ${settings.layers}`;
  return stage.kind === 'norm' ? 'the final norm' : `the ${stage.kind}`;
}

/** Ports of a graph that meet what earlier passes left behind, and whether its stream holds padding. */
export type PassPorts = Pick<Composition, 'past' | 'keeps' | 'isPacked'>;

/** What the graph of these passes needs. */
export function portsOf(passes: readonly Pass[]): PassPorts {
  return {
    isPacked: pads(passes),
    ...(sharesPasts(passes) ? { past: 'shared', keeps: 'chosen' } : {}),
  };
}

/** What is taken through stages. */
export type Staged = Pick<PlannedCheckpoint, 'model' | 'bind' | 'sites'>;

/** The graph of a stage before the head, with the stream in and out. */
export function graphOf(
  { model, bind, sites }: Staged,
  stage: Exclude<Stage, { kind: 'head' }>,
  length: number,
  ports: PassPorts = {},
): Graph {
  const { architecture, settings } = model;
  const { layers } = settings;
  if (stage.kind === 'embedding') {
    const part = {
      sites: [],
      length,
      blocks: { from: 0, to: 0 },
      isPacked: ports.isPacked ?? false,
    };
    return lookUpFirst(composeModel(architecture, settings, bind, part));
  }
  if (stage.kind === 'norm') {
    const norm: Site = { kind: 'final_norm', block: null };
    const blocks = { from: layers, to: layers };
    return composeModel(architecture, settings, bind, { sites: [norm], length, blocks });
  }
  const { layer } = stage;
  const blocks = { from: layer, to: layer + 1 };
  const own = sitesAt(stage, sites);
  const graph = composeModel(architecture, settings, bind, {
    sites: own,
    length,
    blocks,
    isEmbedded: true,
    ...ports,
  });
  const goesOn = sites.some(({ block }) => block === null || block > layer);
  if (goesOn) return graph;
  return prune({ ...graph, outputs: graph.outputs.filter(({ name }) => name !== 'stream.next') });
}

/** Tokens after which the graph of the embedding is opened anew, to let go of the rows that were read. */
export const lookedUpAtOnce = 4096;

/** The most numbers that the stream of each pass may hold. */
export function scratchSizes({ passes }: Plan, width: number): number[] {
  return passes.map((pass) => tokensOf(pass) * width);
}

/** Words of each slice of the head; a slice's matrix is at most so many floats. */
const sliceFloats = 2 ** 24;
/** Logits that are in memory at once. */
const chunkFloats = 2 ** 25;

/** Equal slices of the vocabulary. */
export function headSlices({ settings }: Model): { readonly from: number; readonly to: number }[] {
  const { vocabulary, width, wordWidth = width } = settings;
  const count = Math.ceil((vocabulary * wordWidth) / sliceFloats);
  const start = (i: number): number => Math.floor((i * vocabulary) / count);
  return Array.from({ length: count }, (_, i) => ({ from: start(i), to: start(i + 1) }));
}

/** Rows whose logits are worked out together. */
export function headRows({ settings }: Model): number {
  return Math.min(1024, Math.max(16, Math.floor(chunkFloats / settings.vocabulary)));
}

/** Consecutive passes whose rows go through the head together, by their indices. */
export function headGroups(plan: Plan, model: Model): number[][] {
  const groups: number[][] = [];
  let rows = 0;
  plan.passes.forEach((pass, i) => {
    if (rows === 0) groups.push([]);
    groups.at(-1)?.push(i);
    rows += wantedRows(plan, pass).rows.length;
    if (rows >= headRows(model)) rows = 0;
  });
  return groups;
}

/** Threads with which a row's numbers do not depend on the rows beside it; see `steadyThreads`. */
export function threadsFor(model: Model, asked: number): number {
  const { architecture, settings } = model;
  const matrices = parametersOf(architecture, settings)
    .filter(({ name, shape }) => shape.length === 2 && name !== architecture.embedding)
    .flatMap(({ shape: [a, b] }) => [
      { inner: a, columns: b },
      { inner: b, columns: a },
    ]);
  return steadyThreads(matrices, asked);
}
