/**
 * Does a linear probe read this label here, on groups it has not seen, and better than by chance?
 *
 * One number with everything it needs to be judged: the mean AUROC over grouped folds, its interval
 * over groups, and what the same procedure gives when the labels are shuffled.
 */

import { UserError } from '../src/base/errors.ts';
import { invariant } from '../src/base/invariant.ts';
import { Random } from '../src/base/random.ts';
import { here, type Steps } from '../src/math/multiply.ts';
import { percentileInterval, quantile } from '../src/math/resample.ts';
import { firstNotFinite, type Rows } from '../src/math/rows.ts';
import { crossFitLogistic, crossFitSteps, fit, pick } from './crossFit.ts';
import type { CrossFit, CrossFitRequest, EstimatorOptions } from './crossFit.ts';
import {
  assertBothClasses,
  assertNoLeak,
  distinctGroups,
  groupedFolds,
  splitsOf,
} from './folds.ts';
import type { Split } from './folds.ts';
import { clusteredInterval } from './interval.ts';
import { auroc } from './metrics.ts';
import { checkLabels, checkPenalty, hasPenalty } from './probe.ts';
import type { LinearProbe } from './probe.ts';
import { shuffledLabels } from './shuffles.ts';

/** How rows are divided and labels shuffled. */
export interface SplitOptions {
  /**
   * How many folds to make of the groups (5 if left out), or the fold of each row `[n]` where they were
   * made of a larger set, so that probes of different subsets of one run are tested on the same groups.
   */
  readonly folds?: number | Int32Array;
  /** Refits on shuffled labels, at least 1; 200 if left out. */
  readonly shuffles?: number;
  /** Everything random follows from it; 0 if left out. */
  readonly seed?: number;
  /** Told after each null fit how many of them are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface EvaluationOptions extends EstimatorOptions, SplitOptions {}

/** AUROCs, means over folds, of the shuffled labels. */
export interface NullSummary {
  /** 2.5th, 50th and 97.5th percentile. */
  readonly low: number;
  readonly median: number;
  readonly high: number;
  readonly max: number;
  /** (1 + shuffles at least as high) / (1 + shuffles), one-sided. */
  readonly p: number;
}

export interface Evaluation<Probe = LinearProbe> {
  readonly n: number;
  readonly nPositive: number;
  readonly nGroups: number;
  /** Mean over folds of the AUROC on the held-out groups; ½ is chance. */
  readonly auroc: number;
  readonly aurocByFold: readonly number[];
  /** 95 % interval for clustered rows, fits held fixed; see interval.ts. */
  readonly low: number;
  readonly high: number;
  readonly null: NullSummary;
  /** AUROC under each shuffle, `[shuffles]`; the same shuffles for the same labels, groups, folds and seed. */
  readonly nulls: Float64Array;
  readonly shuffled: 'within groups' | 'between groups';
  /** Fitted on all rows. */
  readonly probe: Probe;
  /** Score of each row by the probe that has not seen its group, `[n]`; folds differ in offset and scale. */
  readonly scores: Float64Array;
  /** Fold of each row, `[n]`. */
  readonly folds: Int32Array;
}

/**
 * Evaluates a probe by grouped cross-validation.
 *
 * @param rows `[n, d]`.
 * @param labels 0 or 1, `[n]`.
 * @param groups Rows with one value stay on one side of a split, `[n]`.
 * @throws {UserError} `SHAPE_MISMATCH` on unequal lengths, `NOT_FINITE` in the rows, `LABELS_INVALID`
 *   where a class is missing, in all or on a side of a split, `SPLIT_LEAKS` with fewer groups than folds.
 */
export function evaluateProbe(
  rows: Rows,
  labels: ArrayLike<number>,
  groups: readonly string[],
  options: EvaluationOptions,
): Evaluation {
  return here(evaluateSteps(rows, labels, groups, options));
}

/** As `evaluateProbe`, asking for its large products. */
export function* evaluateSteps(
  rows: Rows,
  labels: ArrayLike<number>,
  groups: readonly string[],
  options: EvaluationOptions,
): Steps<Evaluation> {
  checkLabels(labels, rows);
  if (hasPenalty(options.estimator)) checkPenalty(options.c ?? 1);
  checkFinite(rows);
  const fitAll: FitAll<LinearProbe> = (splits, labellings, onNull) =>
    allFits({ rows, labels, splits, labellings, options: { ...options, groups }, onNull });
  return yield* evaluateFits(fitAll, labels, groups, options);
}

/** Fits a kind of probe in every split, on the labels and on each shuffle, and on all that there is. */
export type FitAll<Probe> = (
  splits: readonly Split[],
  labellings: readonly Uint8Array[],
  onNull: () => void,
) => Steps<Fitted<Probe>> | Fitted<Probe>;

export interface Fitted<Probe> {
  readonly fits: CrossFit;
  readonly probe: Probe;
}

/**
 * Evaluates any probe, as `evaluateProbe` does.
 *
 * @param labels 0 or 1, both present, `[n]`.
 */
export function* evaluateFits<Probe>(
  fitAll: FitAll<Probe>,
  labels: ArrayLike<number>,
  groups: readonly string[],
  options: SplitOptions,
): Steps<Evaluation<Probe>> {
  const { shuffles = 200, seed = 0 } = options;
  checkSplit(labels, groups, shuffles);
  const folds = foldsOf(groups, options.folds ?? 5);
  assertNoLeak(folds, groups);
  const splits = splitsOf(folds, new Set(folds).size);
  assertBothClasses(splits, labels);
  const random = new Random(seed);

  const drawn = shuffledLabels(labels, groups, splits, shuffles, random.fork('shuffles'));
  let done = 0;
  const onNull = (): void => options.onProgress?.(++done, shuffles * splits.length);
  const made = fitAll(splits, drawn.labellings, onNull);
  const { fits, probe } = 'fits' in made ? made : yield* made;
  const held = splits.map(({ test }, f) => ({
    scores: fits.scores[f],
    labels: pick(labels, test),
    groups: Array.from(test, (i) => groups[i]),
  }));
  const aurocByFold = held.map((fold) => auroc(fold.scores, fold.labels));
  const observed = average(aurocByFold);
  const spread = clusteredInterval(observed, held);

  const scores = new Float64Array(labels.length);
  splits.forEach(({ test }, f) => test.forEach((row, i) => (scores[row] = held[f].scores[i])));
  return {
    n: labels.length,
    nPositive: Array.from(labels).filter((label) => label === 1).length,
    nGroups: distinctGroups(groups).length,
    auroc: observed,
    aurocByFold,
    ...spread,
    null: summarise(fits.nulls, observed),
    nulls: fits.nulls,
    shuffled: drawn.shuffled,
    probe,
    scores,
    folds,
  };
}

/** In every fold, and on all rows. */
function* allFits(
  request: CrossFitRequest,
): Steps<{ readonly fits: CrossFit; readonly probe: LinearProbe }> {
  const { rows, labels, options } = request;
  if (options.estimator !== 'logistic') {
    return { fits: yield* crossFitSteps(request), probe: fit(rows, labels, options) };
  }
  const { fits, probe } = yield* crossFitLogistic(request, true);
  invariant(probe !== undefined, 'no probe was fitted on all rows');
  return { fits, probe };
}

/** @throws {UserError} for folds of another length, or with a fold in which no row lies. */
function foldsOf(groups: readonly string[], folds: number | Int32Array): Int32Array {
  if (typeof folds === 'number') return groupedFolds(groups, folds);
  if (folds.length !== groups.length) {
    throw new UserError('SHAPE_MISMATCH', `${folds.length} folds for ${groups.length} rows`, {
      fix: 'Give the fold of each row.',
    });
  }
  const used = new Set(folds);
  for (let fold = 0; fold < Math.max(2, used.size); fold++) {
    if (used.has(fold)) continue;
    throw new UserError('LABELS_INVALID', `no row of those chosen lies in fold ${fold}`, {
      fix: 'Ask for fewer folds, or choose rows of more groups.',
    });
  }
  return folds;
}

function checkSplit(labels: ArrayLike<number>, groups: readonly string[], shuffles: number): void {
  if (groups.length !== labels.length) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `${groups.length} group values for ${labels.length} rows`,
      {
        fix: 'Give one group value for each row.',
      },
    );
  }
  if (!Number.isInteger(shuffles) || shuffles < 1) {
    throw new UserError('USAGE', `"${shuffles}" is not a number of shuffles`, {
      fix: 'Ask for at least 1 of shuffles.',
    });
  }
}

/** @throws {UserError} `NOT_FINITE`, naming the first number that is not. */
export function checkFinite(rows: Rows): void {
  const bad = firstNotFinite(rows);
  if (bad === -1) return;
  throw new UserError('NOT_FINITE', `activation ${rows.data[bad]} cannot be probed`, {
    where: `row ${Math.floor(bad / rows.d)}, dimension ${bad % rows.d}`,
    fix: 'Check the checkpoint and the extraction of this row.',
  });
}

function summarise(nulls: Float64Array, observed: number): NullSummary {
  const ascending = nulls.slice().sort();
  const atLeast = ascending.filter((value) => value >= observed - tieTolerance).length;
  return {
    ...percentileInterval(nulls),
    median: quantile(ascending, 0.5),
    max: ascending[ascending.length - 1],
    p: (1 + atLeast) / (1 + nulls.length),
  };
}

/** A mean of fractions may differ in its last bits by the order of summing; a null that ties counts against us. */
const tieTolerance = 1e-12;

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
