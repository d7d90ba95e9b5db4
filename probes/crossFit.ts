/**
 * Every fit that an evaluation needs: in each fold one on the true labels and one on each shuffling.
 *
 * What depends on the training rows alone is made once a fold and serves them all.
 */

import { takeRows } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { fitNearestCentroid } from './centroid.ts';
import { fitDiscriminant } from './discriminant.ts';
import type { Split } from './folds.ts';
import { fitLogistic, fitPrepared, prepareLogistic } from './logistic.ts';
import { fitMeanDifference, refitMeanDifference } from './meanDifference.ts';
import { auroc } from './metrics.ts';
import { fitContrastPairs, fitLat } from './pairs.ts';
import type { PairOptions } from './pairs.ts';
import { score } from './probe.ts';
import type { Estimator } from '../src/base/choices.ts';
import type { LinearProbe } from './probe.ts';
import { refitLogistic } from './refitLogistic.ts';
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
  // A nearest centroid ranks as the mean difference does.
  const isOfMeans =
    options.estimator === 'mean_difference' || options.estimator === 'nearest_centroid';
  if (isOfMeans && labellings.length > 0) {
    refitMeanDifference(rows, splits, labellings, options, (labelling, s, scores) =>
      record(labelling, splits[s], scores),
    );
  }
  const scores = splits.map((split) => {
    const { train, test } = split;
    const tested = takeRows(rows, test);
    const targets = labellings.map((labelling) => pick(labelling, train));
    const visit = (k: number, found: Float64Array): void => record(k, split, found);
    if (options.estimator === 'logistic') {
      const prepared = prepareLogistic(rows, train, options);
      refitLogistic(prepared, tested, targets, visit);
      return score(fitPrepared(prepared, pick(labels, train)), tested);
    }
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
  return { scores, nulls: sums.map((sum) => sum / splits.length) };
}

/** The labels of the chosen rows. */
export function pick(labels: ArrayLike<number>, index: Int32Array): Uint8Array {
  const out = new Uint8Array(index.length);
  for (let i = 0; i < index.length; i++) out[i] = labels[index[i]];
  return out;
}
