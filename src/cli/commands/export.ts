/** Writes a run's activations as files that other tools read. */

import { plural } from '../../base/units.ts';
import { exportRun } from '../../record/exportRun.ts';
import { openRun } from '../../record/run.ts';
import { answer, type Io } from '../io.ts';
import type { ExportArgs } from '../specs/export.ts';

export async function run({ run: folder, ...request }: ExportArgs, io: Io): Promise<number> {
  const index = await exportRun(await openRun(folder), request);
  answer(io, { ...index, folder: request.out }, () => [
    ...index.files.map(({ file, rows, sites }) => {
      const names = Object.values(sites);
      const what = names.length === 1 ? names[0] : plural(names.length, 'array');
      return `${request.out}/${file}: ${what}, ${plural(rows, 'row')}`;
    }),
    `which prompt each row is: ${[...new Set(index.files.map((f) => f.rows_file))].join(', ')}`,
  ]);
  return 0;
}
