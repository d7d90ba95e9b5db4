/**
 * Logits in pieces: some rows at a time, and for these one slice of the vocabulary after another.
 */

import type { Graph } from '../graph/onnx.ts';
import { composeHead } from '../../models/composeHead.ts';
import type { Session } from '../runtime/session.ts';
import type { Plan, PlannedCheckpoint } from './plan.ts';
import { describeRow, requireFinite } from './runPass.ts';
import { headRows, headSlices, type Staged } from './stages.ts';
import type { CheckpointWriter } from './checkpointWriter.ts';
import type { WantedRows } from './wantedRows.ts';

/** Rows of one pass that the final norm has given. */
export interface NormedRows {
  readonly wanted: WantedRows;
  /** `[rows, d]` */
  readonly normed: Float32Array;
}

export interface HeadTools {
  readonly open: (graph: Graph) => Promise<Session>;
  readonly writer: CheckpointWriter;
}

/** Works out the logits of some rows and writes them to their places. */
export async function runHead(
  plan: Plan,
  task: PlannedCheckpoint,
  parts: readonly NormedRows[],
  { open, writer }: HeadTools,
): Promise<void> {
  const { width, vocabulary } = task.model.settings;
  const rows = parts.flatMap(({ wanted }) => wanted.rows);
  const normed = new Float32Array(rows.length * width);
  let first = 0;
  const places = parts.flatMap(({ wanted, normed: some }) => {
    normed.set(some, first * width);
    const begin = first;
    first += wanted.rows.length;
    return wanted.places.map((place) => ({ ...place, first: place.first + begin }));
  });
  const most = headRows(task.model);
  for (let from = 0; from < rows.length; from += most) {
    const to = Math.min(rows.length, from + most);
    const [logits] = await logitsOf(task, [normed.subarray(from * width, to * width)], open);
    requireFinite(logits, vocabulary, (row) =>
      describeRow(plan, task.record.name, 'logits', rows[from + row]),
    );
    for (const place of places) {
      const begin = Math.max(from, place.first);
      const end = Math.min(to, place.first + place.count);
      if (begin >= end) continue;
      const values = logits.subarray((begin - from) * vocabulary, (end - from) * vocabulary);
      writer.writeRows('logits', place.position, place.storedAt + begin - place.first, values);
    }
  }
}

/**
 * The head of some batches of rows, slice by slice, each slice opened once for all of them. Shape of each:
 * `[rows, d] → [rows, vocabulary]`.
 */
export async function logitsOf(
  { model, bind }: Pick<Staged, 'model' | 'bind'>,
  batches: readonly Float32Array[],
  open: HeadTools['open'],
): Promise<Float32Array[]> {
  const { architecture, settings } = model;
  const { width, vocabulary } = settings;
  const logits = batches.map(({ length }) => new Float32Array((length / width) * vocabulary));
  for (const words of headSlices(model)) {
    const session = await open(composeHead(architecture, settings, bind, words));
    try {
      for (const [i, normed] of batches.entries()) {
        // A row by itself would be summed in another order than the same row beside others.
        const steady = normed.length > width ? normed : Float32Array.of(...normed, ...normed);
        const shape = [steady.length / width, width];
        const { data } = (await session.run({ normed: { data: steady, shape } }))['logits'];
        const count = words.to - words.from;
        for (let row = 0; row < normed.length / width; row++) {
          const values = data.subarray(row * count, (row + 1) * count);
          logits[i].set(values, row * vocabulary + words.from);
        }
      }
    } finally {
      await session.close();
    }
  }
  return logits;
}
