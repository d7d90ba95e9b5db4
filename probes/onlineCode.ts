/**
 * How many bits do the labels cost someone who has the activations? The online code of a probe.
 *
 * The first block is sent at one bit a label; each further block is coded by a probe fitted on all rows
 * before it. A label that is read easily from few rows costs little, whatever the accuracy at the end.
 * The trap: rows in an order that goes with the label or the group make blocks unlike each other; shuffle
 * whole groups first. Chance is n bits (compression 1).
 *
 * Held against scikit-learn with C = 1.
 *
 * @see Voita and Titov 2020, arXiv:2003.12298, §3.2.
 */

import { UserError } from '../src/base/errors.ts';
import type { Steps } from '../src/math/multiply.ts';
import type { Rows } from '../src/math/rows.ts';
import { log1pExp } from '../src/math/special.ts';
import { gradientTolerance } from './logistic.ts';
import { fitMany } from './logisticMany.ts';
import { checkLabels, checkPenalty } from './probe.ts';
import type { FitOptions } from './probe.ts';

/** Shares of the rows after which the probe is fitted anew. */
const voitaTitovShares: readonly number[] = [
  0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1,
];

export interface OnlineCode {
  readonly bits: number;
  /** n bits / bits: above 1 where activations help. */
  readonly compression: number;
  /** Rows known at each fit, the last being n. */
  readonly steps: readonly number[];
}

/** Rows after each share: rounded up, and none twice. */
export function stepsOf(n: number, shares: readonly number[] = voitaTitovShares): number[] {
  return [...new Set(shares.map((share) => Math.max(1, Math.ceil(share * n))))];
}

/**
 * The online code of the rows in their order, by logistic regression; asks for its products.
 *
 * @param rows `[n, d]`, in an order that says nothing of the label.
 * @param steps Ascending row counts that end with n; those of Voita and Titov if left out.
 * @throws {UserError} `USAGE` for steps that do not ascend to n.
 */
export function* onlineCode(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions = {},
  steps: readonly number[] = stepsOf(rows.n),
): Steps<OnlineCode> {
  checkLabels(labels, rows);
  if (steps.at(-1) !== rows.n || steps.some((step, i) => step <= (i === 0 ? 0 : steps[i - 1]))) {
    throw new UserError('USAGE', `steps ${steps.join(', ')} do not ascend to ${rows.n} rows`, {
      fix: `Give ascending row counts that end with ${rows.n}.`,
    });
  }
  const { c = 1, standardise = false, intercept = true } = options;
  checkPenalty(c);
  let bits = steps[0];
  const blocks: { readonly start: number; readonly end: number; readonly train: Int32Array }[] = [];
  for (let s = 0; s + 1 < steps.length; s++) {
    const [start, end] = [steps[s], steps[s + 1]];
    const train = Int32Array.from({ length: start }, (_, i) => i);
    // One class alone teaches nothing: half and half.
    if (train.every((i) => labels[i] === labels[0])) bits += end - start;
    else blocks.push({ start, end, train });
  }
  const problems = blocks.map(({ train }) => ({ train, labels, c, tolerance: gradientTolerance }));
  const spent = blocks.map(() => 0);
  yield* fitMany(rows, problems, { standardise, intercept }, (b, { scores }) => {
    const { start, end } = blocks[b];
    for (let i = start; i < end; i++) {
      spent[b] += log1pExp(labels[i] === 1 ? -scores[i] : scores[i]) / Math.LN2;
    }
  });
  bits = spent.reduce((sum, block) => sum + block, bits);
  return { bits, compression: rows.n / bits, steps };
}
