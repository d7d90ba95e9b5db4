/**
 * What would a direction agree with that means nothing? Five families of such directions.
 *
 * The isotropic one is the weakest: activations are so far from a ball that almost any two of their
 * directions beat it. A cosine is to be held against the strongest family that can be drawn.
 */

import { invariant } from '../src/base/invariant.ts';
import type { Random } from '../src/base/random.ts';
import { quantile } from '../src/math/resample.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, columnMeans, cosine, norm } from '../src/math/vectors.ts';
import { membersOf } from './shuffles.ts';
import { covarianceMatched } from './spectrum.ts';
import type { Spectrum } from './spectrum.ts';

/** One meaningless direction a call. Shape: `[d]`. */
export type DirectionNull = (random: Random) => Float64Array;

/** Uniform on the sphere: cosines have mean 0 and standard deviation 1/√d. */
export function isotropic(d: number): DirectionNull {
  return (random) => Float64Array.from({ length: d }, () => random.normal());
}

/** Σ^{1/2}ε: varies where the rows do. */
export function matched(spectrum: Spectrum): DirectionNull {
  return (random) => covarianceMatched(spectrum, random);
}

/** Difference of the means of two random disjoint halves of the groups: what sampling alone leaves. */
export function randomDifference(rows: Rows, groups: readonly string[]): DirectionNull {
  const members = membersOf(groups);
  invariant(members.length >= 2, 'a difference within one group');
  return (random) => {
    const order = random.shuffle([...members]);
    const half = Math.floor(order.length / 2);
    return meanGap(rows, order.slice(0, half).flat(), order.slice(half).flat());
  };
}

/** Mean difference with labels shuffled: inside groups that hold both, else whole groups among each other. */
export function shuffledDifference(
  rows: Rows,
  labels: ArrayLike<number>,
  groups: readonly string[],
): DirectionNull {
  const members = membersOf(groups);
  const isMixed = members.some((list) => list.some((i) => labels[i] !== labels[list[0]]));
  return (random) => {
    const drawn = new Uint8Array(rows.n);
    const between = isMixed ? [] : random.shuffle(members.map((list) => labels[list[0]]));
    members.forEach((list, g) => {
      const values = isMixed ? random.shuffle(list.map((i) => labels[i])) : [];
      list.forEach((i, at) => (drawn[i] = isMixed ? values[at] : between[g]));
    });
    const side = (value: number): number[] => [...drawn.keys()].filter((i) => drawn[i] === value);
    return meanGap(rows, side(1), side(0));
  };
}

/** Mean shift of half the benign groups, brought to the length of `reference`: the training's generic push. */
export function benignShift(
  shifts: Rows,
  groups: readonly string[],
  reference: ArrayLike<number>,
): DirectionNull {
  const members = membersOf(groups);
  return (random) => {
    const chosen = random
      .shuffle([...members])
      .slice(0, Math.max(1, Math.floor(members.length / 2)));
    const mean = columnMeans(shifts, chosen.flat());
    const scale = norm(reference) / norm(mean);
    return mean.map((value) => value * scale);
  };
}

function meanGap(rows: Rows, first: readonly number[], second: readonly number[]): Float64Array {
  const out = new Float64Array(rows.d);
  for (const i of first) axpy(1 / first.length, rowAt(rows, i), out);
  for (const i of second) axpy(-1 / second.length, rowAt(rows, i), out);
  return out;
}

export interface CosineBand {
  /** 95 % of |cos| lie below; the largest of the draws. */
  readonly p95: number;
  readonly max: number;
  /** (1 + draws with |cos| at least as large) / (1 + draws). */
  readonly p: number;
}

/**
 * |cos| of `reference` with directions of a family, against the |cos| that was `observed`.
 *
 * @returns null where there is nothing to compare: `observed` is NaN, or the family draws directions without length.
 */
export function cosineBand(
  reference: ArrayLike<number>,
  observed: number,
  family: DirectionNull,
  draws: number,
  random: Random,
): CosineBand | null {
  if (Number.isNaN(observed)) return null;
  const cosines = Float64Array.from({ length: draws }, () =>
    Math.abs(cosine(reference, family(random))),
  ).sort();
  if (cosines.some(Number.isNaN)) return null;
  const reached = cosines.filter((value) => value >= Math.abs(observed)).length;
  return {
    p95: quantile(cosines, 0.95),
    max: cosines[draws - 1],
    p: (1 + reached) / (1 + draws),
  };
}
