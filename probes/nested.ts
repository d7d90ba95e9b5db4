/**
 * What does a probe read at the layer, and with the strength, that its training rows alone would choose?
 *
 * The best point of a curve was picked by its own test rows and is too high. Here every outer fold makes
 * the choice anew, by grouped folds inside its training rows, and only then scores its test rows with it:
 * the number pays for the choice. Chance is ½; the trap it avoids is selection on the test set.
 *
 * @see Varma and Simon 2006, BMC Bioinformatics 7:91.
 */

import { UserError } from '../src/base/errors.ts';
import { here, type Steps } from '../src/math/multiply.ts';
import type { Rows } from '../src/math/rows.ts';
import { takeRows } from '../src/math/rows.ts';
import { fitOn, pick } from './crossFit.ts';
import type { EstimatorOptions } from './crossFit.ts';
import {
  assertBothClasses,
  assertNoLeak,
  distinctGroups,
  groupedFolds,
  splitsOf,
} from './folds.ts';
import type { Split } from './folds.ts';
import { clusteredInterval } from './interval.ts';
import { gradientTolerance, looseTolerance } from './logistic.ts';
import { fitMany } from './logisticMany.ts';
import { auroc } from './metrics.ts';
import { checkPenalty, score } from './probe.ts';

/** One of the things to choose among. */
export interface Candidate {
  /** For example the site, and the strength. */
  readonly name: string;
  /** `[n, d]`; all candidates have the same rows in the same order. */
  readonly rows: Rows;
  readonly options: EstimatorOptions;
}

export interface NestedEvaluation {
  /** Mean over outer folds. */
  readonly auroc: number;
  readonly aurocByFold: readonly number[];
  readonly low: number;
  readonly high: number;
  /** Name of the candidate that each outer fold chose. */
  readonly chosen: readonly string[];
}

/**
 * Evaluates the choice among candidates; ties go to the first.
 *
 * @param folds Outer fold of each row, `[n]`, whole groups.
 * @param innerFolds Folds inside the training rows; fewer where there are fewer groups.
 * @throws {UserError} `SPLIT_LEAKS` where a group lies in two folds, `LABELS_INVALID` where a side lacks a class.
 */
export function evaluateNested(
  candidates: readonly Candidate[],
  labels: ArrayLike<number>,
  groups: readonly string[],
  folds: Int32Array,
  innerFolds: number = 4,
): NestedEvaluation {
  if (candidates.length === 0) {
    throw new UserError('USAGE', 'there is nothing to choose among', { fix: 'Give a candidate.' });
  }
  const choice = new NestedChoice(labels, groups, folds, {
    isAlone: candidates.length === 1,
    innerFolds,
  });
  for (const { name, rows, options } of candidates) here(choice.offer(rows, [{ name, options }]));
  return choice.result();
}

/** The candidates of one matrix. */
export type Offer = Omit<Candidate, 'rows'>;

/** The same choice, made as the matrices come by: of each, only scores of test rows are kept. */
export class NestedChoice {
  readonly #labels: ArrayLike<number>;
  readonly #groups: readonly string[];
  readonly #outer: readonly OuterFold[];

  /** @param options.isAlone Only one candidate will be offered, and nothing is to be chosen. */
  constructor(
    labels: ArrayLike<number>,
    groups: readonly string[],
    folds: Int32Array,
    { isAlone = false, innerFolds = 4 }: { isAlone?: boolean; innerFolds?: number } = {},
  ) {
    assertNoLeak(folds, groups);
    const splits = splitsOf(folds, new Set(folds).size);
    assertBothClasses(splits, labels);
    this.#labels = labels;
    this.#groups = groups;
    this.#outer = splits.map((split) => ({
      split,
      inner: isAlone ? [] : innerSplits(split.train, labels, groups, innerFolds),
      highest: Number.NEGATIVE_INFINITY,
      name: '',
      scores: new Float64Array(0),
    }));
  }

  /** Tries the candidates of one matrix `[n, d]` in every outer fold. */
  *offer(rows: Rows, offers: readonly Offer[]): Steps<void> {
    const splits = this.#outer.flatMap(({ split, inner }) => [split, ...inner]);
    const isOuter = (split: Split): boolean => this.#outer.some((fold) => fold.split === split);
    const tried = { rows, labels: this.#labels, groups: this.#groups, splits, isOuter };
    const scored = yield* scoresOf(tried, offers);
    for (const [o, { name }] of offers.entries()) {
      let at = 0;
      for (const fold of this.#outer) {
        const scores = scored[o][at++];
        const areas = fold.inner.map(({ test }) =>
          auroc(scored[o][at++], pick(this.#labels, test)),
        );
        // Where there is no choice the first is taken.
        const mean = areas.length === 0 ? 0 : average(areas);
        if (mean > fold.highest) Object.assign(fold, { highest: mean, name, scores });
      }
    }
  }

  result(): NestedEvaluation {
    const held = this.#outer.map(({ split: { test }, scores }) => ({
      scores,
      labels: pick(this.#labels, test),
      groups: Array.from(test, (i) => this.#groups[i]),
    }));
    const aurocByFold = held.map((fold) => auroc(fold.scores, fold.labels));
    const mean = average(aurocByFold);
    const chosen = this.#outer.map(({ name }) => name);
    return { auroc: mean, aurocByFold, ...clusteredInterval(mean, held), chosen };
  }
}

interface OuterFold {
  readonly split: Split;
  /** Folds inside the training rows, by numbers of all rows. */
  readonly inner: readonly Split[];
  /** Of the best candidate so far: mean AUROC of the inner folds, name, scores of the outer test rows. */
  highest: number;
  name: string;
  scores: Float64Array;
}

function innerSplits(
  train: Int32Array,
  labels: ArrayLike<number>,
  groups: readonly string[],
  innerFolds: number,
): readonly Split[] {
  const own = Array.from(train, (i) => groups[i]);
  const k = Math.min(innerFolds, distinctGroups(own).length);
  const splits = splitsOf(groupedFolds(own, k), k);
  assertBothClasses(splits, pick(labels, train));
  const among = (index: Int32Array): Int32Array => index.map((i) => train[i]);
  return splits.map((split) => ({ train: among(split.train), test: among(split.test) }));
}

interface Tried {
  readonly rows: Rows;
  readonly labels: ArrayLike<number>;
  readonly groups: readonly string[];
  readonly splits: readonly Split[];
  /** Whether scores of this split may be reported, and do not only decide a choice. */
  readonly isOuter: (split: Split) => boolean;
}

/** Scores of the test rows of each split, for each offer: `[offers][splits]`. */
function* scoresOf(
  tried: Tried,
  offers: readonly Offer[],
): Steps<readonly (readonly Float64Array[])[]> {
  const { rows, labels, groups, splits } = tried;
  const [{ options }] = offers;
  if (offers.every((offer) => isAlike(offer.options, options))) {
    return yield* logisticScores(tried, offers);
  }
  return offers.map((offer) =>
    splits.map(({ train, test }) =>
      score(fitOn(rows, labels, train, { ...offer.options, groups }), takeRows(rows, test)),
    ),
  );
}

/** Logistic fits in one frame go together, whatever their strengths. */
function isAlike(a: EstimatorOptions, b: EstimatorOptions): boolean {
  return (
    a.estimator === 'logistic' &&
    b.estimator === 'logistic' &&
    a.standardise === b.standardise &&
    a.intercept === b.intercept
  );
}

function* logisticScores(
  { rows, labels, splits, isOuter }: Tried,
  offers: readonly Offer[],
): Steps<readonly (readonly Float64Array[])[]> {
  const [{ options }] = offers;
  const { standardise = false, intercept = true } = options;
  const found = offers.map(() => splits.map(() => new Float64Array(0)));
  const problems = offers.flatMap(({ options: { c = 1 } }) =>
    splits.map((split) => {
      checkPenalty(c);
      const { train } = split;
      const loose = looseTolerance(c, train.length);
      const isReported = isOuter(split);
      const tolerance = isReported ? gradientTolerance : loose;
      return { train, labels, c, tolerance, isForRanks: !isReported };
    }),
  );
  yield* fitMany(rows, problems, { standardise, intercept }, (p, { scores }) => {
    const [o, s] = [Math.floor(p / splits.length), p % splits.length];
    found[o][s] = Float64Array.from(splits[s].test, (i) => scores[i]);
  });
  return found;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
