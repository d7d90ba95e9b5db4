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
import type { TransferCell, TransferEntry, TransferMatrix } from '../contract/readings.ts';
import { through, type Multiply } from '../math/multiply.ts';
import { takeRows, type Rows } from '../math/rows.ts';
import { fitOnEach, pick } from '../../probes/crossFit.ts';
import type { EstimatorOptions } from '../../probes/crossFit.ts';
import { sideWithoutBoth, splitsOf } from '../../probes/folds.ts';
import { clusteredDifference, clusteredInterval, type TestSide } from '../../probes/interval.ts';
import { auroc } from '../../probes/metrics.ts';
import { hasPenalty, score } from '../../probes/probe.ts';
import type { Run } from '../record/run.ts';
import { packageVersion } from '../record/versions.ts';
import { chosenRows, twinOf, type ChosenRows, type RowsRequest } from './chosen.ts';
import { saturated } from './claims.ts';
import { endedEarly } from './curves.ts';
import { entryId } from './ids.ts';

export interface TransferRequest extends Omit<RowsRequest, 'where'> {
  readonly site: string;
  readonly checkpoints: readonly string[];
  /** Conditions as `--where` has them; '' for all rows. */
  readonly conditions: readonly string[];
  readonly fit: EstimatorOptions;
}

export interface TransferWorking {
  readonly shouldStop?: ShouldStop;
  /** Carries out large products; in this language if left out. */
  readonly multiply?: Multiply;
}

interface Cell extends TransferCell {
  readonly chosen: ChosenRows;
  readonly rows: Rows;
}

/**
 * @throws {UserError} `SHAPE_MISMATCH` where checkpoints differ in width, `LABELS_INVALID` where a fold of a
 *   cell lacks a class.
 */
export async function transferMatrix(
  run: Run,
  request: TransferRequest,
  { shouldStop = () => false, multiply }: TransferWorking = {},
): Promise<TransferMatrix> {
  const cells = await cellsOf(run, request);
  const held: TestSide[][][] = [];
  for (const { rows, chosen } of cells) {
    if (shouldStop()) throw endedEarly();
    const trains = foldsOf(chosen, request.folds).map(({ train }) => train);
    const options = { ...request.fit, groups: chosen.groups };
    const probes = await through(fitOnEach(rows, chosen.labels, trains, options), multiply);
    const readingOf = (to: Cell): TestSide[] =>
      foldsOf(to.chosen, request.folds).map(({ test }, fold) => ({
        scores: score(probes[fold], takeRows(to.rows, test)),
        labels: pick(to.chosen.labels, test),
        groups: Array.from(test, (row) => to.chosen.groups[row]),
      }));
    held.push(cells.map(readingOf));
  }
  const entries = held.map((row, i) =>
    row.map((sides, j) => ({ ...entryOf(sides), ...overTwin(run, request, cells, held, i, j) })),
  );
  const { label, site, position, fit, groups, folds } = request;
  const { estimator, c = 1, standardise = false, seed = 0 } = fit;
  return {
    id: entryId(['transfer', label, position, site, estimator], request),
    label,
    site,
    position,
    estimator,
    settings: {
      c: hasPenalty(estimator) ? c : null,
      standardise,
      groups,
      folds,
      interval: 'clustered DeLong',
      seed,
    },
    cells: cells.map(({ checkpoint, is_twin, where, n, n_positive }) => ({
      checkpoint,
      is_twin,
      where,
      n,
      n_positive,
    })),
    entries,
    remarks: [
      ...(request.splitsTopics === true
        ? ['folds split topics, as asked: a probe may know test rows by their topic']
        : []),
      ...remarksOn(cells, entries),
    ],
    made_by: packageVersion(),
  };
}

async function cellsOf(run: Run, request: TransferRequest): Promise<Cell[]> {
  const conditions = request.conditions.map((where) => chosenRows(run, { ...request, where }));
  conditions.forEach((chosen, c) => checkFolds(chosen, request, c));
  const cells: Cell[] = [];
  for (const checkpoint of request.checkpoints) {
    const all = await run.activations(checkpoint, request.site, request.position);
    const record = run.manifest.checkpoints.find(({ name }) => name === checkpoint);
    conditions.forEach((chosen, c) => {
      const rows = takeRows(all, chosen.index);
      cells.push({
        checkpoint,
        is_twin: record?.twin_seed !== null,
        where: request.conditions[c],
        n: rows.n,
        n_positive: chosen.labels.reduce((sum, value) => sum + value, 0),
        chosen,
        rows,
      });
    });
  }
  return cells;
}

function entryOf(sides: readonly TestSide[]): TransferEntry {
  const areas = sides.map((side) => auroc(side.scores, side.labels));
  const mean = areas.reduce((sum, value) => sum + value, 0) / areas.length;
  return { auroc: mean, ...clusteredInterval(mean, sides) };
}

/** Inside one trained checkpoint: the same two conditions inside the twin, on the same rows. */
function overTwin(
  run: Run,
  { site }: TransferRequest,
  cells: readonly Cell[],
  held: readonly (readonly TestSide[][])[],
  i: number,
  j: number,
): Pick<TransferEntry, 'over_twin'> {
  const [from, to] = [cells[i], cells[j]];
  if (from.is_twin || from.checkpoint !== to.checkpoint) return {};
  const twin = twinOf(run, from.checkpoint, site)?.name;
  const placeOf = (cell: Cell): number =>
    cells.findIndex(({ checkpoint, where }) => checkpoint === twin && where === cell.where);
  const [a, b] = [placeOf(from), placeOf(to)];
  if (a < 0 || b < 0) return {};
  const sides = held[i][j].map((side, f) => ({ ...side, others: held[a][b][f].scores }));
  return { over_twin: clusteredDifference(sides) };
}

/** What a reader must be told, made of the numbers. */
function remarksOn(
  cells: readonly Cell[],
  entries: readonly (readonly TransferEntry[])[],
): string[] {
  const all = entries.flat();
  const twins = entries.flatMap((row, i) =>
    row.filter((_, j) => cells[i].is_twin && cells[j].is_twin && (i !== j || row.length === 1)),
  );
  const compared = all.flatMap(({ over_twin: over }) => (over === undefined ? [] : [over]));
  const ahead = compared.filter(({ low }) => low > 0).length;
  const most = Math.max(...twins.map((entry) => entry.auroc));
  return [
    ...(all.every((entry) => entry.auroc >= saturated)
      ? [
          `every cell reads every other at ${saturated} or more: that is saturation and decides nothing`,
        ]
      : []),
    ...(twins.length === 0
      ? []
      : [`random weights transfer between these conditions at up to ${most.toFixed(3)}`]),
    ...(compared.length === 0
      ? []
      : [
          `${ahead} of ${compared.length} readings inside a trained checkpoint lie above the same in random weights (paired 95 % intervals, one by one)`,
        ]),
  ];
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
