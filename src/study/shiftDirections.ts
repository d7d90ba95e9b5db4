/** Keeps the directions of a shift as vectors, so that they can be projected on, added or taken out. */

import { join } from 'node:path';
import { writeFileAtomic } from '../files/atomic.ts';
import { encodeSafetensors } from '../files/safetensors.ts';
import type { Rows } from '../math/rows.ts';
import { columnMeans } from '../math/vectors.ts';
import { setNames, type SetRows } from '../../probes/contrast.ts';

/**
 * Writes `probes/ID/SITE.safetensors` into a run: F64 `[d]`, the mean shift of each set by its name, and
 * `residual_triggered` and `residual_untriggered`, less that of harmless rows with the same trigger.
 *
 * @returns The file, relative to the run folder.
 */
export async function writeDirections(
  folder: string,
  id: string,
  site: string,
  before: Rows,
  after: Rows,
  sets: SetRows,
): Promise<string> {
  const means = setNames.map((name) => {
    const from = columnMeans(before, sets[name]);
    return columnMeans(after, sets[name]).map((value, j) => value - from[j]);
  });
  const residuals = [0, 1].map((s) => means[s].map((value, j) => value - means[s + 2][j]));
  const vectors = [
    ...setNames.map((name, s) => ({ name: name as string, data: means[s] })),
    ...residuals.map((data, s) => ({ name: `residual_${setNames[s]}`, data })),
  ];
  const file = `probes/${id}/${site}.safetensors`;
  const tensors = vectors.map(({ name, data }) => ({
    name,
    dtype: 'F64' as const,
    shape: [before.d],
    data,
  }));
  await writeFileAtomic(join(folder, file), encodeSafetensors(tensors));
  return file;
}
