/** A probe on a matrix that somebody else recorded, with everything its number must be judged by. */

import { UserError } from '../base/errors.ts';
import { Random } from '../base/random.ts';
import type { NullBand, ProbePoint } from '../contract/report.ts';
import { through, type Multiply } from '../math/multiply.ts';
import type { Rows } from '../math/rows.ts';
import { sigmoid } from '../math/special.ts';
import { evaluateSteps, type EvaluationOptions } from '../../probes/evaluate.ts';
import { splitsOf } from '../../probes/folds.ts';
import { averagePrecision, brierScore, calibration, logLoss } from '../../probes/metrics.ts';
import { tprAtFpr, type OperatingPoint } from '../../probes/operating.ts';
import type { LinearProbe } from '../../probes/probe.ts';
import { randomDirectionsSteps } from '../../probes/randomDirections.ts';

export interface MatrixProbe {
  readonly n: number;
  readonly d: number;
  readonly n_positive: number;
  readonly n_groups: number;
  readonly auroc: number;
  readonly auroc_by_fold: readonly number[];
  readonly low: number;
  readonly high: number;
  readonly null: NullBand;
  readonly shuffled: 'within groups' | 'between groups';
  readonly random_directions: NonNullable<ProbePoint['random_directions']>;
  /** Of the held-out scores of all folds together, which differ in offset and scale. */
  readonly average_precision: number;
  readonly at_1_percent_fpr: OperatingPoint;
  /** Of the held-out probabilities; logistic regression only. */
  readonly probabilities: {
    readonly brier: number;
    readonly log_loss: number;
    readonly ece: number;
  } | null;
  readonly remarks: readonly string[];
}

/**
 * Evaluates and fits; without groups every row is a group of its own, and the remarks say so.
 *
 * @param labels 0 and 1, `[n]`.
 * @param multiply Carries out large products; in this language if left out.
 * @throws {UserError} as `evaluateProbe` does.
 */
export async function probeMatrix(
  rows: Rows,
  labels: ArrayLike<number>,
  groups: readonly string[] | null,
  options: EvaluationOptions,
  multiply?: Multiply,
): Promise<{ readonly result: MatrixProbe; readonly probe: LinearProbe }> {
  const steps = evaluateSteps(rows, labels, groups ?? rowNames(rows.n), options);
  const found = await through(steps, multiply);
  const splits = splitsOf(found.folds, new Set(found.folds).size);
  const random = new Random(options.seed ?? 0).fork('random directions');
  const directions = randomDirectionsSteps(rows, labels, splits, 1000, random);
  const drawn = await through(directions, multiply);
  const probabilities = found.scores.map(sigmoid);
  const remarks = [
    ...(groups === null
      ? ['no groups were given: rows of one topic may lie on both sides of a split, which flatters']
      : []),
    ...(found.null.p > 0.05 ? ['it is not told apart from shuffled labels'] : []),
    ...(found.auroc <= drawn.best ? ['the best of 1000 random directions reads as much'] : []),
  ];
  const result: MatrixProbe = {
    n: found.n,
    d: rows.d,
    n_positive: found.nPositive,
    n_groups: found.nGroups,
    auroc: found.auroc,
    auroc_by_fold: found.aurocByFold,
    low: found.low,
    high: found.high,
    null: found.null,
    shuffled: found.shuffled,
    random_directions: drawn,
    average_precision: averagePrecision(found.scores, labels),
    at_1_percent_fpr: tprAtFpr(found.scores, labels),
    probabilities:
      options.estimator === 'logistic'
        ? {
            brier: brierScore(probabilities, labels),
            log_loss: logLoss(probabilities, labels),
            ece: calibration(probabilities, labels).ece,
          }
        : null,
    remarks,
  };
  return { result, probe: found.probe };
}

/** Folds that were made elsewhere: whole numbers from 0. @throws {UserError} `LABELS_INVALID` for anything else. */
export function foldsFrom(values: ArrayLike<number>): Int32Array {
  for (let i = 0; i < values.length; i++) {
    if (Number.isInteger(values[i]) && values[i] >= 0 && values[i] < values.length) continue;
    throw new UserError('LABELS_INVALID', `"${values[i]}" is no fold`, {
      where: `row ${i}`,
      fix: 'Number the folds from 0.',
    });
  }
  return Int32Array.from(values);
}

/** As many digits for each, so that they sort in order. */
function rowNames(n: number): string[] {
  const digits = String(n).length;
  return Array.from({ length: n }, (_, i) => String(i).padStart(digits, '0'));
}
