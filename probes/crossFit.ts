/**
 * Every fit that an evaluation needs: in each fold one on the true labels and one on each shuffling.
 *
 * What depends on the training rows alone is made once a fold and serves them all.
 */

import type { Estimator } from '../src/base/choices.ts';
import { here, type Steps } from '../src/math/multiply.ts';
import { takeRows } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { fitNearestCentroid } from './centroid.ts';
import { fitDiscriminant } from './discriminant.ts';
import type { Split } from './folds.ts';
import { fitLogistic, gradientTolerance, looseTolerance, probeOf } from './logistic.ts';
import type { LogisticFit } from './logisticFits.ts';
import type { LogisticProblem } from './logisticLane.ts';
import { fitMany } from './logisticMany.ts';
import { fitMeanDifference, refitMeanDifference } from './meanDifference.ts';
import { auroc } from './metrics.ts';
import { fitContrastPairs, fitLat } from './pairs.ts';
import type { PairOptions } from './pairs.ts';
import { checkPenalty, score } from './probe.ts';
import type { LinearProbe } from './probe.ts';
import { refitSpectral } from './refitSpectral.ts';
import { fitRidge } from './ridge.ts';

export interface EstimatorOptions extends PairOptions {
  readonly estimator: Estimator;
}

type Fit = (rows: Rows, labels: ArrayLike<number>, options: PairOptions) => LinearProbe;

const fits: Readonly<Record<Estimator, Fit>> = {
  mean_difference: fitMeanDifference,
  logistic: fitLogistic,
  lda: fitDiscriminant,
  ridge: fitRidge,
  nearest_centroid: fitNearestCentroid,
  contrast_pair: fitContrastPairs,
  lat: fitLat,
};

/** Fits the estimator that `options` name, on all rows. */
export function fit(rows: Rows, labels: ArrayLike<number>, options: EstimatorOptions): LinearProbe {
  return fits[options.estimator](rows, labels, options);
}

/** Fits it on some of the rows. */
export function fitOn(
  rows: Rows,
  labels: ArrayLike<number>,
  train: Int32Array,
  options: EstimatorOptions,
): LinearProbe {
  const { groups } = options;
  const chosen = groups === undefined ? {} : { groups: Array.from(train, (row) => groups[row]) };
  return fit(takeRows(rows, train), pick(labels, train), { ...options, ...chosen });
}

/** Fits it on each choice of rows, asking for its large products. */
export function* fitOnEach(
  rows: Rows,
  labels: ArrayLike<number>,
  trains: readonly Int32Array[],
  options: EstimatorOptions,
): Steps<readonly LinearProbe[]> {
  if (options.estimator !== 'logistic') {
    return trains.map((train) => fitOn(rows, labels, train, options));
  }
  const { c = 1, standardise = false, intercept = true } = options;
  checkPenalty(c);
  const framing = { standardise, intercept };
  const problems = trains.map((train) => ({ train, labels, c, tolerance: gradientTolerance }));
  const found: LinearProbe[] = [];
  yield* fitMany(rows, problems, framing, (i, fitted) => (found[i] = probeOf(fitted, c, framing)));
  return found;
}

export interface CrossFit {
  /** Scores of the test rows of each split by a probe that has not seen them. */
  readonly scores: readonly Float64Array[];
  /** Mean over splits of the AUROC under each shuffling. */
  readonly nulls: Float64Array;
}

/** What is fitted on one matrix. */
export interface CrossFitRequest {
  readonly rows: Rows;
  readonly labels: ArrayLike<number>;
  /** Their test sides partition the rows. */
  readonly splits: readonly Split[];
  /** Shuffled labels, `[shuffles][n]`. */
  readonly labellings: readonly Uint8Array[];
  readonly options: EstimatorOptions;
  /** Told after each null fit. */
  readonly onNull?: () => void;
}

/** Fits and refits in every split. */
export function crossFit(
  rows: Rows,
  labels: ArrayLike<number>,
  splits: readonly Split[],
  labellings: readonly Uint8Array[],
  options: EstimatorOptions,
  onNull: () => void,
): CrossFit {
  return here(crossFitSteps({ rows, labels, splits, labellings, options, onNull }));
}

/** As `crossFit`, asking for its large products. */
export function* crossFitSteps(request: CrossFitRequest): Steps<CrossFit> {
  if (request.options.estimator === 'logistic') return (yield* crossFitLogistic(request)).fits;
  const { rows, labels, splits, labellings, options } = request;
  const nulls = nullsOf(request);
  // A nearest centroid ranks as the mean difference does.
  const isOfMeans =
    options.estimator === 'mean_difference' || options.estimator === 'nearest_centroid';
  if (isOfMeans && labellings.length > 0) {
    yield* refitMeanDifference(rows, splits, labellings, options, nulls.record);
  }
  const scores = splits.map((split, s) => {
    const { train, test } = split;
    const tested = takeRows(rows, test);
    const targets = labellings.map((labelling) => pick(labelling, train));
    const visit = (k: number, found: Float64Array): void => nulls.record(k, s, found);
    if (options.estimator === 'lda' || options.estimator === 'ridge') {
      if (targets.length > 0) {
        refitSpectral(options.estimator, rows, split, targets, options, visit);
      }
    } else if (!isOfMeans) {
      labellings.forEach((labelling, k) =>
        visit(k, score(fitOn(rows, labelling, train, options), tested)),
      );
    }
    return score(fitOn(rows, labels, train, options), tested);
  });
  return { scores, nulls: nulls.means() };
}

/** All logistic fits of an evaluation at once, and the probe on all rows if it is wanted. */
export function* crossFitLogistic(
  request: CrossFitRequest,
  wantsProbe: boolean = false,
): Steps<{ readonly fits: CrossFit; readonly probe: LinearProbe | undefined }> {
  const { rows, labels, splits, labellings, options } = request;
  const { c = 1, standardise = false, intercept = true } = options;
  checkPenalty(c);
  const nulls = nullsOf(request);
  const scores: Float64Array[] = [];
  let probe: LinearProbe | undefined;
  const tasks: Task[] = splits.flatMap(({ train, test }, s) => [
    {
      problem: { train, labels, c, tolerance: gradientTolerance },
      done: (found) => (scores[s] = at(found.scores, test)),
    },
    ...labellings.map((labelling, k): Task => ({
      problem: {
        train,
        labels: labelling,
        c,
        tolerance: looseTolerance(c, train.length),
        isForRanks: true,
      },
      done: (found) => nulls.record(k, s, at(found.scores, test)),
    })),
  ]);
  if (wantsProbe) {
    const train = Int32Array.from({ length: rows.n }, (_, i) => i);
    tasks.push({
      problem: { train, labels, c, tolerance: gradientTolerance },
      done: (found) => (probe = probeOf(found, c, { standardise, intercept })),
    });
  }
  const problems = tasks.map((task) => task.problem);
  yield* fitMany(rows, problems, { standardise, intercept }, (i, found) => tasks[i].done(found));
  return { fits: { scores, nulls: nulls.means() }, probe };
}

interface Task {
  readonly problem: LogisticProblem;
  readonly done: (fit: LogisticFit) => void;
}

/** Gathers the AUROCs of null fits. */
function nullsOf({ splits, labellings, onNull }: CrossFitRequest): {
  readonly record: (labelling: number, split: number, scores: Float64Array) => void;
  readonly means: () => Float64Array;
} {
  const found = labellings.map(() => new Float64Array(splits.length));
  return {
    record: (k, s, scores) => {
      found[k][s] = auroc(scores, pick(labellings[k], splits[s].test));
      onNull?.();
    },
    // Summed in the order of the splits, whatever order the fits ended in.
    means: () =>
      Float64Array.from(found, (values) => values.reduce((sum, v) => sum + v, 0) / splits.length),
  };
}

function at(values: Float64Array, index: Int32Array): Float64Array {
  return Float64Array.from(index, (i) => values[i]);
}

/** The labels of the chosen rows. */
export function pick(labels: ArrayLike<number>, index: Int32Array): Uint8Array {
  const out = new Uint8Array(index.length);
  for (let i = 0; i < index.length; i++) out[i] = labels[index[i]];
  return out;
}
