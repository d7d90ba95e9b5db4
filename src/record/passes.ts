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
import type { Parameter } from '../../models/architecture.ts';
import { parametersOf, type Model } from '../../models/model.ts';
import { itemSize, type StoredDtype } from '../files/safetensors.ts';
import { pagesAround, predictPeakBytes } from '../runtime/budget.ts';
import type { DeviceName } from '../base/choices.ts';
import { openSession, type Feed, type Fetch, type Session } from '../runtime/session.ts';
import { openWidened, type WidenedWeights } from '../runtime/widened.ts';
import type { PlanKind } from './plan.ts';
import { logitsOf } from './head.ts';
import { graphOf, sitesAt, stagesOf, threadsFor, type Stage, type Staged } from './stages.ts';

/** What is examined: a model, and how it is computed. */
export interface Subject {
  readonly model: Model;
  /** Where the weights come from; the checkpoint unless told. */
  readonly bind?: Binding;
  readonly threads: number;
  readonly device?: DeviceName;
  /** Whether it is run block by block, with no more of it in memory than one block. */
  readonly isStreamed?: boolean;
  /** Where weights of a streamed model are widened once for all passes; in each of them unless told. */
  readonly widened?: WidenedWeights;
  /** Changes the graph before it is compiled; of a model that is run as a whole. */
  readonly tamper?: (graph: Graph) => Graph;
}

/** Outputs by site key. Shape: `[tokens of all prompts, …]`, prompt after prompt, without padding. */
export type Sites = Readonly<Record<string, Fetch>>;

export type Prompts = readonly (readonly number[])[];

/** Prompts that go through a model together. */
export interface Batch {
  readonly prompts: Prompts;
  /** What pads them on the right; 0 unless told. */
  readonly fill?: number;
}

/** Batches whose sites leave one graph. */
export interface Looking {
  readonly sites: readonly Site[];
  readonly batches: readonly Batch[];
}

/** A compiled graph that takes prompts. Who opens it closes it. */
export interface Passes {
  run(batch: Batch): Promise<Sites>;
  /** The same for one token of each prompt. Shape: `[prompts, …]`. */
  runAt(prompts: Prompts, token: (prompt: readonly number[]) => number): Promise<Sites>;
  close(): Promise<void>;
}

/**
 * A model as a whole.
 *
 * @param length Longest prompt that will be given.
 */
export async function openPasses(
  { model, bind = fromCheckpoint(model), threads, device = 'cpu', tamper = (g) => g }: Subject,
  sites: readonly Site[],
  length: number,
): Promise<Passes> {
  const { architecture, settings } = model;
  const graph = composeModel(architecture, settings, bind, { sites, length, isPacked: true });
  // A few short passes take less time than widening and packing a copy of all weights does.
  const mapped = device === 'cpu';
  const steady = mapped ? threadsFor(model, threads) : threads;
  const session = await openSession(tamper(graph), { threads: steady, device, mapped });
  return {
    run: async (batch) => await session.run(feedsOf(batch)),
    runAt: async (prompts, token) => await session.run(feedsOf({ prompts }, (ids) => [token(ids)])),
    close: () => session.close(),
  };
}

/** The sites of all batches of several graphs of one model. */
export async function look(
  subject: Subject,
  lookings: readonly Looking[],
  length: number,
): Promise<Sites[][]> {
  if (subject.isStreamed === true) return await lookByStages(subject, lookings, length);
  const found: Sites[][] = [];
  for (const { sites, batches } of lookings) {
    const passes = await openPasses(subject, sites, length);
    try {
      const own: Sites[] = [];
      for (const batch of batches) own.push(await passes.run(batch));
      found.push(own);
    } finally {
      await passes.close();
    }
  }
  return found;
}

/** Inputs of a packed graph that gives some tokens of each prompt, all unless told. */
function feedsOf(
  { prompts, fill = 0 }: Batch,
  tokens: (prompt: readonly number[]) => Iterable<number> = (ids) => ids.keys(),
): Record<string, Feed> {
  const padded = Math.max(...prompts.map((ids) => ids.length));
  const shape = [prompts.length, padded];
  const ids = new BigInt64Array(prompts.length * padded).fill(BigInt(fill));
  const slots = new BigInt64Array(ids.length);
  const places: number[] = [];
  const rows: number[] = [];
  prompts.forEach((prompt, b) => {
    ids.set(BigInt64Array.from(prompt, BigInt), b * padded);
    for (const t of tokens(prompt)) rows.push(places.length + t);
    for (const t of prompt.keys()) {
      slots[b * padded + t] = BigInt(places.length);
      places.push(b * padded + t);
    }
  });
  return {
    input_ids: { data: ids, shape },
    position_ids: {
      data: BigInt64Array.from({ length: ids.length }, (_, i) => BigInt(i % padded)),
      shape,
    },
    lengths: {
      data: BigInt64Array.from(prompts, (prompt) => BigInt(prompt.length)),
      shape: [prompts.length],
    },
    tokens: { data: BigInt64Array.from(places, BigInt), shape: [places.length] },
    slots: { data: slots, shape: [slots.length] },
    rows: { data: BigInt64Array.from(rows, BigInt), shape: [rows.length] },
  };
}

/** A batch on its way through the stages; its stream waits in memory. */
interface Traveller {
  readonly feeds: Readonly<Record<string, Feed>>;
  readonly found: Record<string, Fetch>;
  stream?: Fetch;
}

/** Stage by stage, and in each stage graph by graph: weights of a block are read once for all batches. */
async function lookByStages(
  { model, bind = fromCheckpoint(model), threads, tamper, widened }: Subject,
  lookings: readonly Looking[],
  length: number,
): Promise<Sites[][]> {
  invariant(tamper === undefined, 'a model in pieces is not tampered with');
  const options = { threads: threadsFor(model, threads), mapped: true };
  const open = (graph: Graph): Promise<Session> =>
    widened === undefined ? openSession(graph, options) : openWidened(graph, options, widened);
  const groups = lookings.map(({ sites, batches }) => ({
    staged: { model, bind, sites },
    stages: stagesOf(sites, model),
    travellers: batches.map((batch): Traveller => ({ feeds: feedsOf(batch), found: {} })),
  }));
  for (let s = 0; s < Math.max(...groups.map(({ stages }) => stages.length)); s++) {
    for (const { staged, stages, travellers } of groups) {
      if (s < stages.length) await passStage(staged, stages[s], travellers, { open, length });
    }
  }
  return groups.map(({ travellers }) => travellers.map(({ found }) => found));
}

async function passStage(
  staged: Staged,
  stage: Stage,
  travellers: readonly Traveller[],
  { open, length }: { open: (graph: Graph) => Promise<Session>; length: number },
): Promise<void> {
  if (stage.kind === 'head') return await passHead(staged, travellers, open);
  const session = await open(graphOf(staged, stage, length, { isPacked: true }));
  try {
    for (const traveller of travellers) {
      const { feeds, stream } = traveller;
      const fetched = await session.run(stream === undefined ? feeds : { ...feeds, stream });
      for (const key of sitesAt(stage, staged.sites).map(siteKey)) {
        traveller.found[key] = fetched[key];
      }
      traveller.stream = fetched[stage.kind === 'norm' ? 'final_norm' : 'stream.next'];
    }
  } finally {
    await session.close();
  }
}

/** The head of all batches: its slices are widened once for them. */
async function passHead(
  staged: Staged,
  travellers: readonly Traveller[],
  open: (graph: Graph) => Promise<Session>,
): Promise<void> {
  const { vocabulary } = staged.model.settings;
  const normed = travellers.map(({ stream }) => stream?.data ?? new Float32Array());
  const logits = await logitsOf(staged, normed, open);
  travellers.forEach(({ found }, i) => {
    found['logits'] = { data: logits[i], shape: [logits[i].length / vocabulary, vocabulary] };
  });
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
 * Four prompts of different lengths, of random tokens; the first is the longest. The second is its first
 * half, and the third goes on from that half in another way.
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
  const draw = (length: number): number[] =>
    Array.from({ length: Math.max(1, length) }, () => random.below(vocabulary));
  const first = draw(longest);
  const half = first.slice(0, sharedTokens(first));
  const other = first.slice(0, Math.max(1, longest - 3)).map((token, t) =>
    // Never the token that was there: an id is moved on by at least one.
    t < half.length ? token : (token + 1 + random.below(Math.max(1, vocabulary - 1))) % vocabulary,
  );
  return [first, half, other, draw(Math.ceil(longest / 3))];
}

/** Tokens of the first sample prompt that the next two begin with. */
export function sharedTokens(first: readonly number[]): number {
  return Math.ceil(first.length / 2);
}

/** Longest prompt whose prefixes keep their numbers. */
export function reachOf({ architecture, settings }: Model): number {
  const turnings = [...architecture.rotary(settings).values()];
  const trained = turnings.flatMap(({ rope }) =>
    rope.kind === 'dynamic' || rope.kind === 'longrope' ? [rope.trained] : [],
  );
  return Math.min(settings.context, ...trained);
}

/** How the doctor reads a model, as far as memory depends on it. */
interface Examining {
  readonly kind: PlanKind;
  /** Whether a block in half precision is widened once for all passes; otherwise matrix by matrix. */
  readonly widensOnce: boolean;
  readonly device: DeviceName;
}

/** Bytes of memory at the peak of the doctor's passes, in which every site leaves the graph. */
export function doctorPeakBytes(
  model: Model,
  { kind = 'whole', widensOnce = false, device = 'cpu' }: Partial<Examining> = {},
): number {
  const { architecture, settings } = model;
  const { width, mlpWidth, heads, layers, vocabulary } = settings;
  const prompts = samplePrompts(model, 0);
  const longest = prompts[0].length + 3;
  const tokens = prompts.reduce((sum, { length }) => sum + length, 0);
  const inCompany = tokens + 3;
  const held = parametersOf(architecture, settings).filter(
    ({ name }) => kind === 'whole' || name.startsWith(architecture.blockPrefix(0)),
  );
  return predictPeakBytes({
    ...weightsOf(model, held, { kind, widensOnce, device, looksUp: inCompany }),
    batchTokens: inCompany,
    queriesAtOnce: longest,
    width,
    mlpWidth,
    heads,
    fetched:
      tokens * layers * (7 * width + heads * longest) + (tokens + inCompany) * (width + vocabulary),
  });
}

/** Elements of the weights that are held as float32, and bytes of those that are held as they are stored. */
function weightsOf(
  { architecture, settings, weights }: Model,
  held: readonly Parameter[],
  { kind, widensOnce, device, looksUp }: Examining & { readonly looksUp: number },
): { readonly parameters: number; readonly halfBytes: number } {
  const dtypeOf = (name: string): StoredDtype => weights.get(name)?.dtype ?? 'F32';
  // Of a mapped table that is only looked up, the pages around the rows are there.
  const isTable = (name: string): boolean =>
    device === 'cpu' && !settings.isTied && name === architecture.embedding;
  const sizes = held.map(({ name, shape }) => {
    const size = shape.reduce((product, axis) => product * axis, 1);
    return isTable(name) ? Math.min(size, (looksUp * pagesAround) / itemSize(dtypeOf(name))) : size;
  });
  const isHalf = held.map(({ name }) => dtypeOf(name) !== 'F32');
  const sum = (parts: readonly number[]): number => parts.reduce((all, size) => all + size, 0);
  const halves = sizes.filter((_, i) => isHalf[i]);
  if (kind === 'streamed' && widensOnce) return { parameters: sum(sizes), halfBytes: 0 };
  if (device !== 'cpu') {
    const { vocabulary, isTied, wordWidth = settings.width } = settings;
    // A tied table is looked up as it is stored, and multiplied by in a packed copy.
    const twice = isTied ? vocabulary * wordWidth : 0;
    return { parameters: sum(sizes) + twice, halfBytes: 2 * sum(halves) };
  }
  // Mapped as they lie; what is in half precision is widened matrix by matrix.
  return {
    parameters: sum(sizes) - sum(halves) + Math.max(0, ...halves),
    halfBytes: 2 * sum(halves),
  };
}
