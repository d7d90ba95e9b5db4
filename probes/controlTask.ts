/**
 * Could the probe have memorised the groups? The same fit on labels drawn at random for each group.
 *
 * Rows of a group are dealt over the folds on purpose, so that whoever recognises the group knows its label.
 * What a probe reads of that is its capacity to memorise; the task's number on the same folds less this is
 * its selectivity. A high control says that the activations name the group, and that a split of single rows
 * would have flattered; it says nothing against a number found with groups held out.
 *
 * @see Hewitt and Liang 2019, arXiv:1909.03368; their type is our group.
 */

import { UserError } from '../src/base/errors.ts';
import type { Random } from '../src/base/random.ts';
import type { Steps } from '../src/math/multiply.ts';
import type { Rows } from '../src/math/rows.ts';
import { largestOf } from '../src/math/vectors.ts';
import { crossFitSteps, pick } from './crossFit.ts';
import type { EstimatorOptions } from './crossFit.ts';
import { assertBothClasses, sideWithoutBoth, splitsOf } from './folds.ts';
import { auroc } from './metrics.ts';
import { membersOf } from './shuffles.ts';

export interface ControlTask {
  /** AUROC of the label, rows of a group on both sides. */
  readonly task: number;
  /** AUROC of labels drawn for each group, on the same folds. */
  readonly control: number;
  /** task − control. */
  readonly selectivity: number;
}

const patience = 1000;

/**
 * Asks for its large products.
 *
 * @param rows `[n, d]`.
 * @param count Folds that the rows of each group are dealt over.
 * @throws {UserError} `LABELS_INVALID` where no group has two rows, or none of many draws has both classes everywhere.
 */
export function* controlTask(
  rows: Rows,
  labels: ArrayLike<number>,
  groups: readonly string[],
  options: EstimatorOptions,
  count: number,
  random: Random,
): Steps<ControlTask> {
  const members = membersOf(groups);
  const most = largestOf(members.map(({ length }) => length));
  if (most < 2) {
    throw new UserError('LABELS_INVALID', 'a control task needs groups of two rows or more', {
      fix: 'Group by a coarser column, or ask for no control task.',
    });
  }
  const k = Math.min(count, most);
  const folds = new Int32Array(rows.n);
  for (const own of members) {
    const dealt = random.shuffle([...own]);
    dealt.forEach((row, i) => (folds[row] = i % k));
  }
  const splits = splitsOf(folds, k);
  assertBothClasses(splits, labels);
  const drawn = Array.from({ length: members.length }, (_, g) => g % 2);
  const control = new Uint8Array(rows.n);
  for (let attempt = 0; ; attempt++) {
    random.shuffle(drawn);
    members.forEach((own, g) => own.forEach((row) => (control[row] = drawn[g])));
    if (sideWithoutBoth(splits, control) === undefined) break;
    if (attempt < patience) continue;
    throw new UserError('LABELS_INVALID', 'the groups are too few for a control task', {
      fix: 'Group by a finer column, or ask for no control task.',
    });
  }
  const read = function* (truth: ArrayLike<number>): Steps<number> {
    const request = {
      rows,
      labels: truth,
      splits,
      labellings: [],
      options: { ...options, groups },
    };
    const { scores } = yield* crossFitSteps(request);
    const areas = splits.map(({ test }, s) => auroc(scores[s], pick(truth, test)));
    return areas.reduce((sum, value) => sum + value, 0) / k;
  };
  const task = yield* read(labels);
  const chance = yield* read(control);
  return { task, control: chance, selectivity: task - chance };
}
