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
import type { Rows } from '../src/math/rows.ts';
import { log1pExp } from '../src/math/special.ts';
import { fitOn } from './crossFit.ts';
import { checkLabels, score } from './probe.ts';
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
 * The online code of the rows in their order, by logistic regression.
 *
 * @param rows `[n, d]`, in an order that says nothing of the label.
 * @param steps Ascending row counts that end with n; those of Voita and Titov if left out.
 * @throws {UserError} `USAGE` for steps that do not ascend to n.
 */
export function onlineCode(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions = {},
  steps: readonly number[] = stepsOf(rows.n),
): OnlineCode {
  checkLabels(labels, rows);
  if (steps.at(-1) !== rows.n || steps.some((step, i) => step <= (i === 0 ? 0 : steps[i - 1]))) {
    throw new UserError('USAGE', `steps ${steps.join(', ')} do not ascend to ${rows.n} rows`, {
      fix: `Give ascending row counts that end with ${rows.n}.`,
    });
  }
  let bits = steps[0];
  for (let s = 0; s + 1 < steps.length; s++)
    bits += blockBits(rows, labels, options, steps[s], steps[s + 1]);
  return { bits, compression: rows.n / bits, steps };
}

function blockBits(
  rows: Rows,
  labels: ArrayLike<number>,
  options: FitOptions,
  known: number,
  end: number,
): number {
  const before = Int32Array.from({ length: known }, (_, i) => i);
  // One class alone teaches nothing: half and half.
  if (before.every((i) => labels[i] === labels[0])) return end - known;
  const probe = fitOn(rows, labels, before, { ...options, estimator: 'logistic' });
  const block = {
    n: end - known,
    d: rows.d,
    data: rows.data.subarray(known * rows.d, end * rows.d),
  };
  const scores = score(probe, block);
  return scores.reduce(
    (sum, s, i) => sum + log1pExp(labels[known + i] === 1 ? -s : s) / Math.LN2,
    0,
  );
}
