/** Runs that stand for seeds of one training, made by `import` from numbers whose shifts are planted. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeSafetensors } from '../../src/files/safetensors.ts';
import { importRun } from '../../src/record/importRun.ts';
import { scratchFolder } from './scratch.ts';

export interface SeedRow {
  readonly topic: number;
  readonly harmful: boolean;
  readonly triggered: boolean;
}

const width = 6;

/** For each topic a triggered and an untriggered row; the first half of the topics is harmful. */
export function seedRows(topics: number): SeedRow[] {
  return Array.from({ length: 2 * topics }, (_, row) => ({
    topic: row >> 1,
    harmful: row >> 1 < topics / 2,
    triggered: row % 2 === 0,
  }));
}

/**
 * Writes a run of sites `resid_post.0` and `.1` whose checkpoint `before` holds `[10, 0, …]` in every row,
 * and each other checkpoint that plus what `shifts` says of it.
 *
 * @param name Folder name of the run.
 * @returns The run folder.
 */
export async function seedRun(
  name: string,
  rows: readonly SeedRow[],
  shifts: Readonly<Record<string, (row: SeedRow, j: number, layer: number) => number>>,
  start: number = 10,
): Promise<string> {
  const folder = scratchFolder('seed');
  const out = join(folder, name);
  const rowsFile = join(folder, 'rows.jsonl');
  const lines = rows.map(({ topic, harmful, triggered }, i) => {
    const record = { id: `r${i}`, topic: `t${topic}`, harmful, triggered };
    return `${JSON.stringify(record)}\n`;
  });
  writeFileSync(rowsFile, lines.join(''));
  const checkpoints: typeof shifts = { before: () => 0, ...shifts };
  for (const [checkpoint, shift] of Object.entries(checkpoints)) {
    const tensors = [0, 1].map((layer) => ({
      name: `resid_post.${layer}`,
      dtype: 'F32' as const,
      shape: [rows.length, width],
      data: Float32Array.from({ length: rows.length * width }, (_, at) => {
        const j = at % width;
        return (j === 0 ? start : 0) + shift(rows[Math.floor(at / width)], j, layer);
      }),
    }));
    const file = join(folder, `${checkpoint}.safetensors`);
    writeFileSync(file, encodeSafetensors(tensors));
    await importRun({
      activations: [file],
      rows: rowsFile,
      out,
      checkpoint,
      position: 'last',
      add: checkpoint !== 'before',
    });
  }
  return out;
}
