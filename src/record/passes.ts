/**
 * Forward passes for the doctor: seeded token ids through a model that may have been tampered with.
 *
 * Rows of padding never leave the graph. The token that fills them is a choice here, so that a test
 * can see whether anything depends on it.
 */

import { Random } from '../base/random.ts';
import type { Graph } from '../graph/onnx.ts';
import { invariant } from '../base/invariant.ts';
import { siteKey, type Site } from '../graph/sites.ts';
import { fromCheckpoint, type Binding } from '../../models/bindings.ts';
import { composeModel } from '../../models/compose.ts';
import { parametersOf, type Model } from '../../models/model.ts';
import { predictPeakBytes } from '../runtime/budget.ts';
import type { DeviceName } from '../base/choices.ts';
import { openSession, type Feed, type Fetch } from '../runtime/session.ts';
import type { PlanKind } from './plan.ts';
import { logitsOf } from './head.ts';
import { graphOf, sitesAt, stagesOf, threadsFor } from './stages.ts';

/** What is examined: a model, and how it is computed. */
export interface Subject {
  readonly model: Model;
  /** Where the weights come from; the checkpoint unless told. */
  readonly bind?: Binding;
  readonly threads: number;
  readonly device?: DeviceName;
  /** Whether it is run block by block, with no more of it in memory than one block. */
  readonly isStreamed?: boolean;
  /** Changes the graph before it is compiled; of a model that is run as a whole. */
  readonly tamper?: (graph: Graph) => Graph;
}

/** Outputs by site key. Shape: `[tokens of all prompts, …]`, prompt after prompt, without padding. */
export type Sites = Readonly<Record<string, Fetch>>;

export type Prompts = readonly (readonly number[])[];

/** A compiled graph that takes prompts. Who opens it closes it. */
export interface Passes {
  /** Pads on the right with `fill`, 0 unless told. */
  run(prompts: Prompts, fill?: number): Promise<Sites>;
  /** The same for one token of each prompt. Shape: `[prompts, …]`. */
  runAt(prompts: Prompts, token: (prompt: readonly number[]) => number): Promise<Sites>;
  close(): Promise<void>;
}

/** @param length Longest prompt that will be given. */
export async function openPasses(
  subject: Subject,
  sites: readonly Site[],
  length: number,
): Promise<Passes> {
  const forward = subject.isStreamed === true ? streamedForward : wholeForward;
  const opened = await forward(subject, sites, length);
  const pass = async (
    prompts: Prompts,
    fill: number,
    tokens: (prompt: readonly number[]) => readonly number[],
  ): Promise<Sites> => {
    const padded = Math.max(...prompts.map((ids) => ids.length));
    const shape = [prompts.length, padded];
    const ids = new BigInt64Array(prompts.length * padded).fill(BigInt(fill));
    prompts.forEach((prompt, b) => ids.set(BigInt64Array.from(prompt, BigInt), b * padded));
    const rows = prompts.flatMap((prompt, b) => tokens(prompt).map((t) => b * padded + t));
    return await opened.run({
      input_ids: { data: ids, shape },
      position_ids: {
        data: BigInt64Array.from({ length: ids.length }, (_, i) => BigInt(i % padded)),
        shape,
      },
      lengths: {
        data: BigInt64Array.from(prompts, (prompt) => BigInt(prompt.length)),
        shape: [prompts.length],
      },
      rows: { data: BigInt64Array.from(rows, BigInt), shape: [rows.length] },
    });
  };
  return {
    run: async (prompts, fill = 0) => await pass(prompts, fill, (ids) => [...ids.keys()]),
    runAt: async (prompts, token) => await pass(prompts, 0, (ids) => [token(ids)]),
    close: async () => await opened.close(),
  };
}

/** A model that takes the inputs of its graph and gives the wanted sites. */
interface Forward {
  run(feeds: Readonly<Record<string, Feed>>): Promise<Sites>;
  close(): Promise<void>;
}

async function wholeForward(
  { model, bind = fromCheckpoint(model), threads, device = 'cpu', tamper = (g) => g }: Subject,
  sites: readonly Site[],
  length: number,
): Promise<Forward> {
  const graph = composeModel(model.architecture, model.settings, bind, { sites, length });
  // A few short passes take less time than widening and packing a copy of all weights does.
  const mapped = device === 'cpu';
  const steady = mapped ? threadsFor(model, threads) : threads;
  return await openSession(tamper(graph), { threads: steady, device, mapped });
}

/** Stage by stage; the stream of one pass waits in memory. */
async function streamedForward(
  { model, bind = fromCheckpoint(model), threads, tamper }: Subject,
  sites: readonly Site[],
  length: number,
): Promise<Forward> {
  invariant(tamper === undefined, 'a model in pieces is not tampered with');
  const staged = { model, bind, sites };
  const options = { threads: threadsFor(model, threads), mapped: true };
  const run: Forward['run'] = async (feeds) => {
    const found: Record<string, Fetch> = {};
    let stream: Fetch | undefined;
    for (const stage of stagesOf(sites, model)) {
      if (stage.kind === 'head') {
        const normed = stream?.data ?? new Float32Array();
        const data = await logitsOf(staged, normed, (graph) => openSession(graph, options));
        found['logits'] = { data, shape: [feeds['rows'].shape[0], model.settings.vocabulary] };
        continue;
      }
      const session = await openSession(graphOf(staged, stage, length), options);
      const fetched = await session.run(stream === undefined ? feeds : { ...feeds, stream });
      await session.close();
      for (const key of sitesAt(stage, sites).map(siteKey)) found[key] = fetched[key];
      stream = fetched[stage.kind === 'norm' ? 'final_norm' : 'stream.next'];
    }
    return found;
  };
  return { run, close: async () => {} };
}

/** Every site that the model has. */
export function allSites({ sites }: Model): Site[] {
  return [...sites.kinds].flatMap((kind): Site[] =>
    kind === 'final_norm' || kind === 'logits'
      ? [{ kind, block: null }]
      : Array.from({ length: sites.layers }, (_, block) => ({ kind, block })),
  );
}

/** The last site of the stream, and what the head makes of it. */
export function endSites({ settings }: Model): Site[] {
  return [
    { kind: 'resid_post', block: settings.layers - 1 },
    { kind: 'logits', block: null },
  ];
}

export function lastStream({ settings }: Model): string {
  return siteKey({ kind: 'resid_post', block: settings.layers - 1 });
}

/** How many keys a query of this layer sees; null for all before it. */
export function windowOf({ settings }: Model, layer: number): number | null {
  return settings.windows?.[layer] ?? settings.window ?? null;
}

const usualLength = 20;
/** Prompts reach beyond a window where their patterns then stay below this many numbers. */
const mostProbabilities = 2 ** 22;

/**
 * Four prompts of different lengths, of random tokens; the first is the longest.
 *
 * They reach beyond the shortest window where that is not too far, and never beyond what rotary
 * positions were trained on: past it some models rightly give a prefix other numbers.
 */
export function samplePrompts(model: Model, seed: number): Prompts {
  const { vocabulary, layers, heads } = model.settings;
  const reach = reachOf(model);
  const windows = Array.from({ length: layers }, (_, layer) => windowOf(model, layer) ?? Infinity);
  const beyond = Math.min(...windows) + 4;
  const isNear = beyond <= reach - 4 && 3 * layers * heads * beyond ** 2 <= mostProbabilities;
  const longest = Math.min(reach - 4, isNear ? Math.max(usualLength, beyond) : usualLength);
  const random = new Random(seed).fork('doctor');
  return [longest, Math.ceil(longest / 2), Math.max(1, longest - 3), Math.ceil(longest / 3)].map(
    (length) => Array.from({ length: Math.max(1, length) }, () => random.below(vocabulary)),
  );
}

/** Longest prompt whose prefixes keep their numbers. */
export function reachOf({ architecture, settings }: Model): number {
  const turnings = [...architecture.rotary(settings).values()];
  const trained = turnings.flatMap(({ rope }) =>
    rope.kind === 'dynamic' || rope.kind === 'longrope' ? [rope.trained] : [],
  );
  return Math.min(settings.context, ...trained);
}

/** Bytes of memory at the peak of the doctor's passes, in which every site leaves the graph. */
export function doctorPeakBytes(model: Model, kind: PlanKind = 'whole'): number {
  const { architecture, settings, weights } = model;
  const { width, mlpWidth, heads, layers, vocabulary, isTied, wordWidth = width } = settings;
  const prompts = samplePrompts(model, 0);
  const longest = prompts[0].length + 3;
  const batchTokens = (prompts.length + 1) * longest;
  const elements = (only: (name: string) => boolean): number =>
    parametersOf(architecture, settings)
      .filter(({ name }) => only(name))
      .reduce((sum, { shape }) => sum + shape.reduce((size, axis) => size * axis, 1), 0);
  const isPart = (name: string): boolean =>
    kind === 'whole' || name.startsWith(architecture.blockPrefix(0));
  const half = [...weights].reduce(
    (sum, [name, { dtype, length }]) => sum + (dtype === 'F32' || !isPart(name) ? 0 : length),
    0,
  );
  // A tied table is looked up as it is stored, and multiplied by in a packed copy.
  const twice = isTied && kind === 'whole' ? vocabulary * wordWidth : 0;
  return predictPeakBytes({
    parameters: elements(isPart) + twice,
    halfBytes: half,
    batchTokens,
    queriesAtOnce: longest,
    width,
    mlpWidth,
    heads,
    fetched: batchTokens * (layers * (7 * width + heads * longest) + width + vocabulary),
  });
}
