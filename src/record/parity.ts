/**
 * Do we compute what the reference computed?
 *
 * One forward pass over the reference's own token ids, every tensor held against it. An error is
 * judged by the reference's noise floor where that is known: what another float32 implementation gets
 * wrong of the same numbers. A wrong layout, window or activation shows as hundreds of floors.
 */

import { UserError } from '../base/errors.ts';
import { plural } from '../base/units.ts';
import { readIntegers } from '../files/safetensors.ts';
import { siteKey, parseSite, type Site } from '../graph/sites.ts';
import { fromCheckpoint, type Binding } from '../../models/bindings.ts';
import { composeModel } from '../../models/compose.ts';
import type { Model } from '../../models/model.ts';
import type { DeviceName } from '../base/choices.ts';
import { openSession, type Fetch, type SessionOptions } from '../runtime/session.ts';
import { concatenated, goldenValues, type Golden, type NoiseFloor } from './golden.ts';

/** How many noise floors an error may have: rounding in another order reaches 3, a real fault 100. */
const allowedFloors = 4;
/** Mean cross-entropy in nats; a scalar's floor can be 0 by luck. */
const lossTolerance = 4e-6;
/** What enters block 0 is looked up and at most scaled: one rounding. */
const embeddingTolerance = 2 ** -22;
/** Share of a tensor's largest element, where no noise floor is given. */
const plainTolerance = 1e-5;

export interface ParityResult {
  readonly comparisons: readonly Comparison[];
  /** Tensors of the reference that are not activations. */
  readonly notCompared: readonly string[];
}

export interface Comparison {
  readonly name: string;
  readonly maxAbs: number;
  /** √mean(error²) / √mean(reference²) */
  readonly rmsRel: number;
  /** The larger of both errors, each as a multiple of what is allowed; above 1 is a failure. */
  readonly ofAllowed: number;
}

export interface ParityOptions {
  readonly floors?: NoiseFloor;
  readonly threads: number;
  /** What computes; the CPU unless told. */
  readonly device?: DeviceName;
  /** Where the weights come from; the checkpoint unless told. */
  readonly bind?: Binding;
  /** How many queries attention takes at once; see `Composition`. */
  readonly queriesAtOnce?: number | undefined;
}

type Composing = Pick<ParityOptions, 'queriesAtOnce'> & { readonly bind: Binding };

export async function compareWithGolden(
  model: Model,
  golden: Golden,
  { floors, bind = fromCheckpoint(model), queriesAtOnce, ...sessionOptions }: ParityOptions,
): Promise<ParityResult> {
  const wanted = new Map<string, Site | null>();
  const notCompared: string[] = [];
  for (const name of golden.tensors.keys()) {
    const site = siteOf(name, golden);
    if (site !== undefined) wanted.set(name, site);
    else if (!inputs.has(name)) notCompared.push(name);
  }
  requireFit(model, golden, [...wanted.values()]);
  const sites = [...wanted.values()];
  const fetched = await runGolden(model, golden, sites, { bind, queriesAtOnce }, sessionOptions);
  const comparisons: Comparison[] = [];
  for (const [name, site] of wanted) {
    const reference = await referenceOf(golden, name);
    const ours = site === null ? summaryOf(name, fetched, golden) : valuesOf(fetched, site, golden);
    comparisons.push(compare(name, ours, reference, floors));
  }
  return { comparisons, notCompared };
}

/** A reference of another model is told as such, before the runtime meets an id or a block it does not have. */
function requireFit(model: Model, golden: Golden, wanted: readonly (Site | null)[]): void {
  const { layers, context, vocabulary } = model.settings;
  const lacks = (site: Site | null): boolean =>
    site !== null && (!model.sites.kinds.has(site.kind) || (site.block ?? 0) >= layers);
  const site = wanted.find(lacks);
  const id = golden.ids.find((one) => one < 0n || one >= BigInt(vocabulary));
  const faults = [
    ...(site
      ? [`it holds ${siteKey(site)}, which this model of ${plural(layers, 'block')} lacks`]
      : []),
    ...(id === undefined ? [] : [`it holds token ${id}; the vocabulary has ${vocabulary}`]),
    ...(golden.length <= context
      ? []
      : [`its ${golden.length} tokens outgrow the context of ${context}`]),
  ];
  if (faults.length === 0) return;
  throw new UserError('SHAPE_MISMATCH', `the reference is of another model: ${faults[0]}`, {
    where: golden.path,
    fix: 'Name the reference that was made from this checkpoint.',
  });
}

const inputs: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'last_position']);
const summaries: ReadonlySet<string> = new Set([
  'loss',
  'logits_mean',
  'logits_std',
  'top5_logits',
  'top5_ids',
  'entropy',
]);

/** The site that a tensor shows; null for what is worked out from the logits; undefined for neither. */
function siteOf(name: string, golden: Golden): Site | null | undefined {
  if (summaries.has(name)) return null;
  const key = golden.lastPosition === null ? name : name.replace(/^last\./, '');
  const isSite = /^(resid|attn|mlp)_[a-z_]+\.\d+$|^pattern\.\d+$|^final_norm$|^logits$/.test(key);
  return isSite ? parseSite(key) : undefined;
}

/**
 * Everything that the reference holds, by site. Patterns are worked out in a graph of their own: where
 * they are asked for, attention is spelled out, and the other sites must show the attention that runs.
 */
async function runGolden(
  model: Model,
  golden: Golden,
  wanted: readonly (Site | null)[],
  how: Composing,
  options: SessionOptions,
): Promise<Record<string, Fetch>> {
  const sites = new Map(
    wanted.map((site) => site ?? parseSite('logits')).map((site) => [siteKey(site), site]),
  );
  const patterns = [...sites.values()].filter(({ kind }) => kind === 'pattern');
  const others = [...sites.values()].filter(({ kind }) => kind !== 'pattern');
  const fetched: Record<string, Fetch> = {};
  for (const together of [others, patterns]) {
    if (together.length === 0) continue;
    Object.assign(fetched, await fetchSites(model, golden, together, how, options));
  }
  return fetched;
}

async function fetchSites(
  model: Model,
  { batch, length, lengths, lastPosition, ids }: Golden,
  sites: readonly Site[],
  { bind, queriesAtOnce }: Composing,
  options: SessionOptions,
): Promise<Record<string, Fetch>> {
  const composition = { sites, length, queriesAtOnce };
  const graph = composeModel(model.architecture, model.settings, bind, composition);
  const session = await openSession(graph, options);
  const rows = lengths.flatMap((count, b) =>
    lastPosition === null
      ? Array.from({ length: count }, (_, t) => b * length + t)
      : [b * length + lastPosition[b]],
  );
  try {
    const shape = [batch, length];
    return await session.run({
      input_ids: { data: ids, shape },
      position_ids: {
        data: BigInt64Array.from({ length: batch * length }, (_, i) => BigInt(i % length)),
        shape,
      },
      lengths: { data: BigInt64Array.from(lengths, BigInt), shape: [batch] },
      rows: { data: BigInt64Array.from(rows, BigInt), shape: [rows.length] },
    });
  } finally {
    await session.close();
  }
}

async function referenceOf(golden: Golden, name: string): Promise<Float32Array> {
  if (name !== 'top5_ids') return await goldenValues(golden, name);
  const tensor = golden.tensors.get(name);
  return tensor === undefined
    ? new Float32Array()
    : Float32Array.from(await readIntegers(tensor), Number);
}

function valuesOf(
  fetched: Record<string, Fetch>,
  site: Site,
  { length, lengths }: Golden,
): Float32Array {
  const { data } = fetched[siteKey(site)];
  if (site.kind !== 'pattern') return data;
  const heads = fetched[siteKey(site)].shape[1] / length;
  let row = 0;
  return concatenated(
    lengths.flatMap((count) =>
      Array.from({ length: count * heads }, () => {
        const start = row++ * length;
        return data.subarray(start, start + count);
      }),
    ),
  );
}

/** Quantities that references keep instead of large tensors of logits. */
function summaryOf(name: string, fetched: Record<string, Fetch>, golden: Golden): Float32Array {
  const { data, shape } = fetched['logits'];
  const [n, vocabulary] = shape;
  const rows = Array.from({ length: n }, (_, i) =>
    data.subarray(i * vocabulary, (i + 1) * vocabulary),
  );
  switch (name) {
    case 'loss':
      return Float32Array.of(meanLoss(rows, golden));
    case 'entropy':
      return Float32Array.from(rows, entropy);
    case 'logits_mean':
      return Float32Array.from({ length: vocabulary }, (_, v) => moments(rows, v).mean);
    case 'logits_std':
      return Float32Array.from({ length: vocabulary }, (_, v) => moments(rows, v).deviation);
    default: {
      const best = rows.map((row) => topFive(row));
      return Float32Array.from(
        best.flatMap((tokens, i) => (name === 'top5_ids' ? tokens : tokens.map((t) => rows[i][t]))),
      );
    }
  }
}

/** Cross-entropy of each next token, in nats, averaged over all of them. */
function meanLoss(rows: readonly Float32Array[], { ids, length, lengths }: Golden): number {
  let sum = 0;
  let targets = 0;
  let start = 0;
  lengths.forEach((count, b) => {
    for (let t = 0; t + 1 < count; t++) {
      const row = rows[start + t];
      sum += logSumExp(row) - row[Number(ids[b * length + t + 1])];
      targets++;
    }
    start += count;
  });
  return sum / targets;
}

function logSumExp(row: Float32Array): number {
  const largest = row.reduce((best, value) => Math.max(best, value), -Infinity);
  return largest + Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

function entropy(row: Float32Array): number {
  const normaliser = logSumExp(row);
  return row.reduce((sum, value) => sum - Math.exp(value - normaliser) * (value - normaliser), 0);
}

function moments(
  rows: readonly Float32Array[],
  column: number,
): { mean: number; deviation: number } {
  const mean = rows.reduce((sum, row) => sum + row[column], 0) / rows.length;
  const squares = rows.reduce((sum, row) => sum + (row[column] - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (rows.length - 1)) };
}

function topFive(row: Float32Array): number[] {
  return Array.from(row.keys())
    .sort((a, b) => row[b] - row[a])
    .slice(0, 5);
}

function compare(
  name: string,
  ours: Float32Array,
  reference: Float32Array,
  floors: NoiseFloor | undefined,
): Comparison {
  let maxAbs = ours.length === reference.length ? 0 : Infinity;
  let largest = 0;
  let errors = 0;
  let squares = 0;
  for (let i = 0; i < reference.length; i++) {
    const error = Math.abs(ours[i] - reference[i]);
    // Every comparison with NaN is false: it is taken up, and must then not give way to the next error.
    maxAbs = Number.isNaN(maxAbs) || error <= maxAbs ? maxAbs : error;
    largest = Math.max(largest, Math.abs(reference[i]));
    errors += error ** 2;
    squares += reference[i] ** 2;
  }
  const rmsRel = squares === 0 ? Math.sqrt(errors) : Math.sqrt(errors / squares);
  const allowed = allowance(name, largest, floors);
  const ratios = [maxAbs / allowed.maxAbs, rmsRel / allowed.rmsRel];
  const worst = ratios.some(Number.isNaN) ? Infinity : Math.max(...ratios);
  return { name, maxAbs, rmsRel, ofAllowed: maxAbs === 0 ? 0 : worst };
}

function allowance(
  name: string,
  largest: number,
  floors: NoiseFloor | undefined,
): { maxAbs: number; rmsRel: number } {
  if (name === 'top5_ids') return { maxAbs: 0, rmsRel: 0 };
  if (name === 'loss') return { maxAbs: lossTolerance, rmsRel: Infinity };
  if (name.endsWith('resid_pre.0'))
    return { maxAbs: embeddingTolerance * largest, rmsRel: Infinity };
  const floor = floors?.get(name);
  if (floor === undefined) return { maxAbs: plainTolerance * largest, rmsRel: plainTolerance };
  return { maxAbs: allowedFloors * floor.maxAbs, rmsRel: allowedFloors * floor.rmsRel };
}
