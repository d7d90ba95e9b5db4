/**
 * Every fit that an evaluation needs: in each fold one on the true labels and one on each shuffling.
 *
 * What depends on the training rows alone is made once a fold and serves them all.
 */

import { takeRows } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import type { Split } from './folds.ts';
import { fitLogistic, fitPrepared, prepareLogistic } from './logistic.ts';
import { fitMeanDifference, refitMeanDifference } from './meanDifference.ts';
import { auroc } from './metrics.ts';
import { score } from './probe.ts';
import type { Estimator, FitOptions, LinearProbe } from './probe.ts';
import { refitLogistic } from './refitLogistic.ts';

export interface EstimatorOptions extends FitOptions {
  readonly estimator: Estimator;
}

/** Fits the estimator that `options` name, on all rows. */
export function fit(rows: Rows, labels: ArrayLike<number>, options: EstimatorOptions): LinearProbe {
  return options.estimator === 'logistic'
    ? fitLogistic(rows, labels, options)
    : fitMeanDifference(rows, labels, options);
}

export interface CrossFit {
  /** Scores of the test rows of each split by a probe that has not seen them. */
  readonly scores: readonly Float64Array[];
  /** Mean over splits of the AUROC under each shuffling. */
  readonly nulls: Float64Array;
}

/**
 * Fits and refits in every split; the splits' test sides must partition the rows.
 *
 * @param labellings Shuffled labels, `[shuffles][n]`.
 * @param onNull Told after each null fit.
 */
export function crossFit(
  rows: Rows,
  labels: ArrayLike<number>,
  splits: readonly Split[],
  labellings: readonly Uint8Array[],
  options: EstimatorOptions,
  onNull: () => void,
): CrossFit {
  const sums = new Float64Array(labellings.length);
  const record = (labelling: number, { test }: Split, scores: Float64Array): void => {
    sums[labelling] += auroc(scores, pick(labellings[labelling], test));
    onNull();
  };
  if (options.estimator === 'mean_difference') {
    refitMeanDifference(rows, splits, labellings, options, (labelling, s, scores) =>
      record(labelling, splits[s], scores),
    );
  }
  const scores = splits.map((split) => {
    const { train, test } = split;
    const tested = takeRows(rows, test);
    if (options.estimator === 'mean_difference') {
      return score(fitMeanDifference(takeRows(rows, train), pick(labels, train), options), tested);
    }
    const prepared = prepareLogistic(rows, train, options);
    const targets = labellings.map((labelling) => pick(labelling, train));
    refitLogistic(prepared, tested, targets, (k, found) => record(k, split, found));
    return score(fitPrepared(prepared, pick(labels, train)), tested);
  });
  return { scores, nulls: sums.map((sum) => sum / splits.length) };
}

/** The labels of the chosen rows. */
export function pick(labels: ArrayLike<number>, index: Int32Array): Uint8Array {
  const out = new Uint8Array(index.length);
  for (let i = 0; i < index.length; i++) out[i] = labels[index[i]];
  return out;
}
