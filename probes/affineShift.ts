/**
 * Is the shift a function of where a row stood? Δ ≈ Wh + b by ridge regression, judged on unseen groups.
 *
 * Fitted on untriggered rows only. If triggered rows of groups that the fit has not seen are predicted as well as
 * untriggered ones, one affine map serves both (science: endpoint S10).
 */

import { invariant } from '../src/base/invariant.ts';
import { symmetricEigen } from '../src/math/decompose.ts';
import { here, rowGramSteps, type Steps } from '../src/math/multiply.ts';
import { rowProducts } from '../src/math/products.ts';
import { takeRows } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { dot, timesTransposed } from '../src/math/vectors.ts';

export interface AffineShift {
  /** Share of the held-out variation about the training mean that the map explains; below 0 it is worse than the mean. */
  readonly r2Untriggered: number;
  readonly r2Triggered: number;
  /** Ridge parameter over the mean eigenvalue of the rows' inner products, by fold. */
  readonly ridges: readonly number[];
}

/** Variation below this share of the squared lengths is what rounding leaves of rows that are all alike. */
const rounding = 1e-12;

/** Relative to the mean eigenvalue. */
const ridgeGrid = [1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1e4];

/**
 * @param before `[n, d]`. @param after `[n, d]`.
 * @param folds Of all rows, `[n]`; groups must not be divided between folds.
 * @returns null where fewer than three folds have rows to fit on and to test, or the shifts do not vary.
 * @see Hoerl and Kennard 1970, Technometrics 12 (ridge regression).
 */
export function affineShift(
  before: Rows,
  after: Rows,
  untriggered: readonly number[],
  triggered: readonly number[],
  folds: ArrayLike<number>,
): AffineShift | null {
  return here(affineShiftSteps(before, after, untriggered, triggered, folds));
}

/** As `affineShift`, asking for its large products. */
export function* affineShiftSteps(
  before: Rows,
  after: Rows,
  untriggered: readonly number[],
  triggered: readonly number[],
  folds: ArrayLike<number>,
): Steps<AffineShift | null> {
  invariant(before.n === after.n && before.d === after.d, 'shifts of unequal matrices');
  const rows = [...untriggered, ...triggered];
  const h = takeRows(before, rows);
  const delta = takeRows(after, rows);
  for (let i = 0; i < delta.data.length; i++) delta.data[i] -= h.data[i];
  const [ofH, ofDelta] = [yield* rowGramSteps(h), yield* rowGramSteps(delta)];
  const grams = { h: ofH, delta: ofDelta, n: rows.length };
  const errors = { u: 0, uTotal: 0, t: 0, tTotal: 0 };
  const ridges: number[] = [];
  const names = [...new Set(untriggered.map((row) => folds[row]))];
  const without = (...out: number[]): number[] =>
    untriggered.flatMap((row, i) => (out.includes(folds[row]) ? [] : [i]));
  const inside = (fold: number): number[] =>
    untriggered.flatMap((row, i) => (folds[row] === fold ? [i] : []));
  if (names.length < 3 || names.some((a) => names.some((b) => without(a, b).length < 4)))
    return null;
  for (const fold of names) {
    // The ridge is chosen on groups that the fit has not seen either: siblings would flatter a small one.
    const validation = new Float64Array(ridgeGrid.length);
    for (const inner of names.filter((name) => name !== fold)) {
      const fit = fitOn(grams, without(fold, inner));
      for (const row of inside(inner)) {
        const { error } = fit(row);
        ridgeGrid.forEach((ridge, r) => (validation[r] += error(ridge)));
      }
    }
    const ridge = ridgeGrid[validation.indexOf(Math.min(...validation))];
    ridges.push(ridge);
    const fit = fitOn(grams, without(fold));
    rows.forEach((row, i) => {
      if (folds[row] !== fold) return;
      const { error, total } = fit(i);
      const isTriggered = i >= untriggered.length;
      errors[isTriggered ? 't' : 'u'] += error(ridge);
      errors[isTriggered ? 'tTotal' : 'uTotal'] += total;
    });
  }
  const sizes = rows.reduce((sum, _, i) => sum + grams.delta[i * grams.n + i], 0);
  if (Math.min(errors.uTotal, errors.tTotal) <= rounding * sizes) return null;
  return {
    r2Untriggered: 1 - errors.u / errors.uTotal,
    r2Triggered: 1 - errors.t / errors.tTotal,
    ridges,
  };
}

interface Grams {
  readonly h: Float64Array;
  readonly delta: Float64Array;
  readonly n: number;
}

/** Squared error of one row's prediction with a ridge, and of the training mean as a prediction. */
type Fit = (row: number) => {
  readonly error: (ridge: number) => number;
  readonly total: number;
};

function fitOn({ h, delta, n }: Grams, train: readonly number[]): Fit {
  const m = train.length;
  const k = centredOn(h, n, train);
  const g = centredOn(delta, n, train);
  const square = new Float64Array(m * m);
  const targets = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      square[i * m + j] = k(train[i], train[j]);
      targets[i * m + j] = g(train[i], train[j]);
    }
  }
  const { values, vectors } = symmetricEigen(square, m);
  const mean = values.reduce((sum, value) => sum + value, 0) / m;
  const lengths = train.reduce((sum, i) => sum + h[i * n + i], 0);
  // From rows that are all alike nothing can be told but the mean shift.
  const isVaried = m * mean > rounding * lengths;
  const axes = { n: m, d: m, data: vectors };
  // Along the axes a ridge is a factor for each, and all else is the same for every ridge.
  const along = timesTransposed(axes, { n: m, d: m, data: targets });
  const quadratic = timesTransposed(axes, along).data;
  const onAxes = (v: Float64Array): Float64Array => rowProducts({ n: 1, d: m, data: v }, axes);
  return (row) => {
    const near = onAxes(Float64Array.from(train, (i) => k(row, i)));
    const shifts = onAxes(Float64Array.from(train, (i) => g(row, i)));
    const total = g(row, row);
    const error = (ridge: number): number => {
      // Weights of the training rows in this row's prediction: V (λ + ridge)⁻¹ Vᵀ k.
      const weights = near.map((share, e) =>
        isVaried ? share / (Math.max(0, values[e]) + ridge * mean) : 0,
      );
      const squared = form(quadratic, weights);
      return Math.max(0, total - 2 * dot(weights, shifts) + squared);
    };
    return { total, error };
  };
}

/** vᵀAv. */
function form(square: ArrayLike<number>, v: Float64Array): number {
  const m = v.length;
  let sum = 0;
  for (let i = 0, at = 0; i < m; i++) {
    let row = 0;
    for (let j = 0; j < m; j++, at++) row += square[at] * v[j];
    sum += v[i] * row;
  }
  return sum;
}

/** Inner products about the mean of the training rows, from inner products about 0. */
function centredOn(
  gram: Float64Array,
  n: number,
  train: readonly number[],
): (i: number, j: number) => number {
  const withMean = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (const j of train) withMean[i] += gram[i * n + j] / train.length;
  }
  const mean = train.reduce((sum, i) => sum + withMean[i], 0) / train.length;
  return (i, j) => gram[i * n + j] - withMean[i] - withMean[j] + mean;
}
