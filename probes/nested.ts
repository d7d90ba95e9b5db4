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
import type { Rows } from '../src/math/rows.ts';
import { takeRows } from '../src/math/rows.ts';
import { crossFit, fitOn, pick } from './crossFit.ts';
import type { EstimatorOptions } from './crossFit.ts';
import {
  assertBothClasses,
  assertNoLeak,
  distinctGroups,
  groupedFolds,
  splitsOf,
} from './folds.ts';
import { clusteredInterval } from './interval.ts';
import { auroc } from './metrics.ts';
import { score } from './probe.ts';

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
  assertNoLeak(folds, groups);
  const splits = splitsOf(folds, new Set(folds).size);
  assertBothClasses(splits, labels);
  const chosen: string[] = [];
  const held = splits.map(({ train, test }) => {
    const best = choose(candidates, labels, groups, train, innerFolds);
    chosen.push(best.name);
    const probe = fitOn(best.rows, labels, train, { ...best.options, groups });
    return {
      scores: score(probe, takeRows(best.rows, test)),
      labels: pick(labels, test),
      groups: Array.from(test, (i) => groups[i]),
    };
  });
  const aurocByFold = held.map((fold) => auroc(fold.scores, fold.labels));
  const mean = aurocByFold.reduce((sum, value) => sum + value, 0) / aurocByFold.length;
  return { auroc: mean, aurocByFold, ...clusteredInterval(mean, held), chosen };
}

/** The candidate of highest mean AUROC over folds inside the training rows. */
function choose(
  candidates: readonly Candidate[],
  labels: ArrayLike<number>,
  groups: readonly string[],
  train: Int32Array,
  innerFolds: number,
): Candidate {
  if (candidates.length === 1) return candidates[0];
  const own = Array.from(train, (i) => groups[i]);
  const truth = pick(labels, train);
  const k = Math.min(innerFolds, distinctGroups(own).length);
  const splits = splitsOf(groupedFolds(own, k), k);
  assertBothClasses(splits, truth);
  let best = candidates[0];
  let highest = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const rows = takeRows(candidate.rows, train);
    const options = { ...candidate.options, groups: own };
    const { scores } = crossFit(rows, truth, splits, [], options, () => undefined);
    const areas = splits.map(({ test }, s) => auroc(scores[s], pick(truth, test)));
    const mean = areas.reduce((sum, value) => sum + value, 0) / k;
    if (mean <= highest) continue;
    highest = mean;
    best = candidate;
  }
  return best;
}
