/**
 * Does a probe fitted here read the label there? A matrix over checkpoints and conditions.
 *
 * Train rows of one cell, test rows of another, never rows of one group on both sides: the folds of the
 * run hold across cells. The diagonal is plain cross-validation. A transfer near 1 cannot confirm that
 * two conditions share anything: in organisms built to share nothing it is 1 as well, since the label is in
 * the words of both. A low one can refute it.
 */

import { UserError } from '../base/errors.ts';
import type { ShouldStop } from '../base/progress.ts';
import { takeRows } from '../math/rows.ts';
import { fitOn, pick } from '../../probes/crossFit.ts';
import { sideWithoutBoth, splitsOf } from '../../probes/folds.ts';
import { clusteredInterval } from '../../probes/interval.ts';
import { auroc } from '../../probes/metrics.ts';
import { score } from '../../probes/probe.ts';
import type { EstimatorOptions } from '../../probes/crossFit.ts';
import type { Run } from '../record/run.ts';
import { chosenRows, type ChosenRows, type RowsRequest } from './chosen.ts';
import { endedEarly } from './curves.ts';

export interface TransferRequest extends Omit<RowsRequest, 'where'> {
  readonly site: string;
  readonly checkpoints: readonly string[];
  /** Conditions as `--where` has them; '' for all rows. */
  readonly conditions: readonly string[];
  readonly fit: EstimatorOptions;
}

/** Rows of a checkpoint under a condition. */
export interface TransferCell {
  readonly checkpoint: string;
  readonly where: string;
  readonly n: number;
}

export interface Transfer {
  readonly cells: readonly TransferCell[];
  /** AUROC of the probe of cell i on the rows of cell j, mean over folds: `entries[i][j]`. */
  readonly entries: readonly (readonly TransferEntry[])[];
}

export interface TransferEntry {
  readonly auroc: number;
  readonly low: number;
  readonly high: number;
}

/**
 * @throws {UserError} `SHAPE_MISMATCH` where checkpoints differ in width, `LABELS_INVALID` where a fold of a
 *   cell lacks a class.
 */
export async function transferMatrix(
  run: Run,
  request: TransferRequest,
  shouldStop: ShouldStop = () => false,
): Promise<Transfer> {
  const conditions = request.conditions.map((where) => chosenRows(run, { ...request, where }));
  conditions.forEach((chosen, c) => checkFolds(chosen, request, c));
  const cells: (TransferCell & {
    readonly chosen: ChosenRows;
    readonly rows: Awaited<ReturnType<Run['activations']>>;
  })[] = [];
  for (const checkpoint of request.checkpoints) {
    const all = await run.activations(checkpoint, request.site, request.position);
    conditions.forEach((chosen, c) => {
      const rows = takeRows(all, chosen.index);
      cells.push({ checkpoint, where: request.conditions[c], n: rows.n, chosen, rows });
    });
  }
  const entries = cells.map((from) => {
    if (shouldStop()) throw endedEarly();
    const probes = foldsOf(from.chosen, request.folds).map(({ train }) =>
      fitOn(from.rows, from.chosen.labels, train, { ...request.fit, groups: from.chosen.groups }),
    );
    return cells.map((to) => {
      const held = foldsOf(to.chosen, request.folds).map(({ test }, fold) => ({
        scores: score(probes[fold], takeRows(to.rows, test)),
        labels: pick(to.chosen.labels, test),
        groups: Array.from(test, (row) => to.chosen.groups[row]),
      }));
      const areas = held.map((side) => auroc(side.scores, side.labels));
      const mean = areas.reduce((sum, value) => sum + value, 0) / areas.length;
      return { auroc: mean, ...clusteredInterval(mean, held) };
    });
  });
  return {
    cells: cells.map(({ checkpoint, where, n }) => ({ checkpoint, where, n })),
    entries,
  };
}

/** Splits by the run's own folds: fold f of one cell has the groups of fold f of every other. */
function foldsOf(chosen: ChosenRows, folds: number): ReturnType<typeof splitsOf> {
  return splitsOf(chosen.folds, folds);
}

function checkFolds(chosen: ChosenRows, request: TransferRequest, condition: number): void {
  const lacking = sideWithoutBoth(foldsOf(chosen, request.folds), chosen.labels);
  if (lacking === undefined) return;
  throw new UserError(
    'LABELS_INVALID',
    `the ${lacking.side} rows of fold ${lacking.fold} do not hold both labels`,
    {
      where: `condition "${request.conditions[condition]}"`,
      fix: 'Ask for fewer folds, or choose conditions in which the label takes both values.',
    },
  );
}
