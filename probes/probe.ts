/**
 * What a linear probe is: a direction, an offset, and the standardisation it was fitted under.
 *
 * score(x) = ((x − mean) / scale) · coef + intercept; the decision boundary lies at 0.
 */

import { UserError } from '../src/base/errors.ts';
import type { Estimator } from '../src/base/choices.ts';
import { rowAt, takeRows } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { columnDeviations, columnMeans } from '../src/math/vectors.ts';

/** Those with a penalty, whose strength `c` sets. */
export function hasPenalty(estimator: Estimator): boolean {
  return estimator === 'logistic' || estimator === 'ridge';
}

/** How a probe is fitted. */
export interface FitOptions {
  /** Inverse strength of the penalty: C of logistic regression in scikit-learn, 1/α of ridge; 1 if left out. */
  readonly c?: number;
  /** Divide each column by its standard deviation on the training rows, after centring; false if left out. */
  readonly standardise?: boolean;
  /** Fit an offset; true if left out. */
  readonly intercept?: boolean;
}

export interface FitSettings {
  /** Null where the estimator has no penalty. */
  readonly c: number | null;
  readonly standardise: boolean;
  readonly intercept: boolean;
}

export interface LinearProbe {
  readonly estimator: Estimator;
  readonly settings: FitSettings;
  /** `[d]`, in standardised units where `scale` is given. */
  readonly coef: Float64Array;
  readonly intercept: number;
  /** Mean of the training rows, `[d]`; only where standardised. */
  readonly mean?: Float64Array;
  /** Standard deviation (ddof 0) of the training rows, `[d]`, 1 where a column is constant; only where standardised. */
  readonly scale?: Float64Array;
}

/** Mean and deviation of training columns. */
export interface Standardisation {
  readonly mean: Float64Array;
  readonly scale: Float64Array;
}

/**
 * Score of each row; above 0 the probe says 1. Shape: `[n, d] → [n]`.
 *
 * @throws {UserError} `SHAPE_MISMATCH` when the rows have another width than the probe.
 */
export function score(probe: LinearProbe, rows: Rows): Float64Array {
  const { coef, mean, scale } = probe;
  if (rows.d !== coef.length) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `the probe reads ${coef.length} dimensions, the rows have ${rows.d}`,
      { fix: 'Score rows of the site that the probe was fitted on.' },
    );
  }
  const scores = new Float64Array(rows.n);
  for (let i = 0; i < rows.n; i++) {
    const row = rowAt(rows, i);
    let sum = 0;
    for (let j = 0; j < rows.d; j++) {
      const centred = mean === undefined ? row[j] : row[j] - mean[j];
      sum += (scale === undefined ? centred : centred / scale[j]) * coef[j];
    }
    scores[i] = sum + probe.intercept;
  }
  return scores;
}

/** Mean and ddof-0 deviation of the chosen rows, or of all; a constant column gets scale 1. */
export function standardisationOf(rows: Rows, index?: ArrayLike<number>): Standardisation {
  const mean = columnMeans(rows, index);
  const deviations = columnDeviations(rows, mean, index);
  return {
    mean,
    scale: deviations.map((deviation, j) => (isConstant(deviation, mean[j]) ? 1 : deviation)),
  };
}

/** A column of equal numbers has a deviation of 0 but for the rounding of its mean (scikit-learn's rule). */
function isConstant(deviation: number, mean: number): boolean {
  return deviation <= 10 * Number.EPSILON * Math.abs(mean);
}

/** What a fit finds, in the frame that it was given. */
export interface Solution {
  readonly coef: Float64Array;
  readonly intercept: number;
}

/**
 * Checks the labels, standardises if asked, and makes a probe of what `solve` finds.
 *
 * @param solve Given the rows in their frame, `[n, d]`.
 */
export function fitStandardised(
  estimator: Estimator,
  rows: Rows,
  labels: ArrayLike<number>,
  { c = 1, standardise = false, intercept = true }: FitOptions,
  solve: (x: Rows) => Solution,
): LinearProbe {
  checkLabels(labels, rows);
  const settings = { c: hasPenalty(estimator) ? c : null, standardise, intercept };
  const frame = standardise ? standardisationOf(rows) : undefined;
  const found = solve(frame === undefined ? rows : inFrame(rows, undefined, frame));
  const probe = {
    estimator,
    settings,
    coef: found.coef,
    intercept: intercept ? found.intercept : 0,
  };
  return frame === undefined ? probe : { ...probe, ...frame };
}

/** The rows with this label, ascending. */
export function rowsWith(labels: ArrayLike<number>, value: number): number[] {
  const index: number[] = [];
  for (let i = 0; i < labels.length; i++) if (labels[i] === value) index.push(i);
  return index;
}

/** @throws {UserError} `USAGE` unless 0 < c < ∞. */
export function checkPenalty(c: number): void {
  if (c > 0 && Number.isFinite(c)) return;
  throw new UserError('USAGE', `C is "${c}", and an inverse strength must be above 0`, {
    fix: 'Give C as a positive number, for example 1 or 0.1.',
  });
}

/** (x − mean) / scale of the chosen rows, or of all, in float64. Shape: `[n, d] → [m, d]`. */
export function inFrame(
  rows: Rows,
  index: ArrayLike<number> | undefined,
  { mean, scale }: Standardisation,
): Rows {
  const every = index ?? Int32Array.from({ length: rows.n }, (_, i) => i);
  const taken = takeRows(rows, every);
  const { n, d, data } = taken;
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < d; j++, at++) data[at] = (data[at] - mean[j]) / scale[j];
  }
  return taken;
}

/** Refuses labels that are not 0 and 1, one for each row, with both present. */
export function checkLabels(labels: ArrayLike<number>, rows: Rows): void {
  if (labels.length !== rows.n) {
    throw new UserError('SHAPE_MISMATCH', `${labels.length} labels for ${rows.n} rows`, {
      fix: 'Give one label for each row.',
    });
  }
  const counts = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] !== 0 && labels[i] !== 1) {
      throw new UserError('LABELS_INVALID', `label "${labels[i]}" is neither 0 nor 1`, {
        where: `row ${i}`,
        fix: 'Predict a column that holds only 0 and 1, or false and true.',
      });
    }
    counts[labels[i]]++;
  }
  if (counts[0] === 0 || counts[1] === 0) {
    throw new UserError(
      'LABELS_INVALID',
      `all ${labels.length} labels are ${counts[0] === 0 ? 1 : 0}: there is nothing to tell apart`,
      { fix: 'Choose rows in which the label takes both values.' },
    );
  }
}
