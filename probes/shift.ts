/**
 * How far a set of rows moved between two checkpoints, relative to where it stood, and whether two sets
 * moved the same way.
 *
 * Δ = h_after − h_before, row by row. Two sizes, because they differ in what they average first: a
 * common shift has ‖mean Δ‖ near mean ‖Δ‖, rows that move each their own way have it near 0.
 */

import { UserError } from '../src/base/errors.ts';
import type { Random } from '../src/base/random.ts';
import { drawCounts, percentileInterval } from '../src/math/resample.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, cosine, dot, norm } from '../src/math/vectors.ts';
import { membersOf } from './shuffles.ts';

export interface ShiftSize {
  readonly n: number;
  /** ‖mean Δ‖ / mean ‖h before‖; without unit. */
  readonly relativeSize: number;
  /** 95 % interval of `relativeSize`: percentile bootstrap over groups. */
  readonly low: number;
  readonly high: number;
  /** mean (‖Δ‖ / ‖h before‖); without unit, at least `relativeSize` when all ‖h before‖ are equal. */
  readonly meanRelativeSize: number;
  /** mean Δ, `[d]`. */
  readonly meanShift: Float64Array;
}

export interface ShiftOptions {
  /** One value a row of the whole matrices, `[n]`. */
  readonly groups: readonly string[];
  /** At least 1; 1000 if left out. */
  readonly bootstraps?: number;
  readonly random: Random;
}

/**
 * The size of the shift of the chosen rows.
 *
 * @param before `[n, d]`.
 * @param after `[n, d]`, the same rows in the same order.
 * @param index The rows of the set, at least one.
 * @throws {UserError} `SHAPE_MISMATCH` when the matrices differ in shape or the set is empty,
 *   `NOT_FINITE` where a row before has no length or an activation is not finite.
 */
export function shiftSize(
  before: Rows,
  after: Rows,
  index: ArrayLike<number>,
  { groups, bootstraps = 1000, random }: ShiftOptions,
): ShiftSize {
  checkPair(before, after);
  if (index.length === 0) {
    throw new UserError('SHAPE_MISMATCH', 'a set without rows has no shift', {
      fix: 'Choose a condition that some rows meet.',
    });
  }
  const members = membersOf(Array.from(index, (i) => groups[i]));
  const sums = members.map((positions) =>
    groupSums(
      before,
      after,
      positions.map((p) => index[p]),
    ),
  );
  const n = index.length;
  const every = new Int32Array(members.length).fill(1);
  const pooled = pool(sums, every, before.d);
  const draws = new Float64Array(bootstraps);
  const counts = new Int32Array(members.length);
  for (let b = 0; b < bootstraps; b++) {
    drawCounts(random, counts);
    draws[b] = relative(pool(sums, counts, before.d));
  }
  return {
    n,
    relativeSize: relative(pooled),
    ...percentileInterval(draws),
    meanRelativeSize: pooled.ratio / n,
    meanShift: pooled.shift.map((sum) => sum / n),
  };
}

/**
 * Cosine between the mean shifts of two sets, in [−1, 1]; NaN where a set did not move.
 *
 * High cosines are the rule between any two sets of one fine-tuning, so a high value confirms nothing;
 * a low one can refute a common shift.
 */
export function shiftCosine(a: ShiftSize, b: ShiftSize): number {
  return cosine(a.meanShift, b.meanShift);
}

/**
 * Which share of ‖Δ‖² lies in the span of `components`.
 *
 * @param components Orthonormal, `[k, d]`; pass the first two of a plane to learn what the plane shows.
 * @returns `rows` `[n]`, each in [0, 1], NaN for a row that did not move; `pooled` is the share of Σ‖Δ‖².
 */
export function inPlaneShare(
  before: Rows,
  after: Rows,
  components: Rows,
): { readonly rows: Float64Array; readonly pooled: number } {
  checkPair(before, after);
  const shares = new Float64Array(before.n);
  const delta = new Float64Array(before.d);
  let allInside = 0;
  let all = 0;
  for (let i = 0; i < before.n; i++) {
    difference(before, after, i, delta);
    const size = dot(delta, delta);
    let inside = 0;
    for (let c = 0; c < components.n; c++) inside += dot(rowAt(components, c), delta) ** 2;
    // Rounding of an orthonormal basis may carry a share a few parts in 10¹⁶ above 1.
    shares[i] = Math.min(inside / size, 1);
    allInside += inside;
    all += size;
  }
  return { rows: shares, pooled: Math.min(allInside / all, 1) };
}

interface Sums {
  /** Σ Δ, `[d]`. */
  readonly shift: Float64Array;
  /** Σ ‖h before‖. */
  readonly length: number;
  /** Σ ‖Δ‖ / ‖h before‖. */
  readonly ratio: number;
}

function groupSums(before: Rows, after: Rows, rows: readonly number[]): Sums {
  const shift = new Float64Array(before.d);
  const delta = new Float64Array(before.d);
  let length = 0;
  let ratio = 0;
  for (const i of rows) {
    difference(before, after, i, delta);
    const size = norm(rowAt(before, i));
    const moved = norm(delta);
    if (!(size > 0) || !Number.isFinite(size + moved)) {
      throw new UserError('NOT_FINITE', 'the shift of a row has no size relative to it', {
        where: `row ${i}`,
        fix: 'Check this row for activations that are all 0, NaN or infinite.',
      });
    }
    axpy(1, delta, shift);
    length += size;
    ratio += moved / size;
  }
  return { shift, length, ratio };
}

function pool(sums: readonly Sums[], counts: Int32Array, d: number): Sums {
  const shift = new Float64Array(d);
  let length = 0;
  let ratio = 0;
  for (let g = 0; g < counts.length; g++) {
    if (counts[g] === 0) continue;
    axpy(counts[g], sums[g].shift, shift);
    length += counts[g] * sums[g].length;
    ratio += counts[g] * sums[g].ratio;
  }
  return { shift, length, ratio };
}

/** ‖mean Δ‖ / mean ‖h‖: the number of rows cancels. */
function relative({ shift, length }: Sums): number {
  return norm(shift) / length;
}

function difference(before: Rows, after: Rows, i: number, delta: Float64Array): void {
  const from = rowAt(before, i);
  const to = rowAt(after, i);
  for (let j = 0; j < delta.length; j++) delta[j] = to[j] - from[j];
}

function checkPair(before: Rows, after: Rows): void {
  if (before.n === after.n && before.d === after.d) return;
  throw new UserError(
    'SHAPE_MISMATCH',
    `a shift needs the same rows twice: got ${before.n} × ${before.d} before and ${after.n} × ${after.d} after`,
    { fix: 'Compare checkpoints of one architecture on one prompt file.' },
  );
}
