/**
 * Where did target rows move further than benign ones, over a whole map of sites and positions?
 *
 * Groups are shuffled between the two sides, the same way in every cell, so that step-down max-T knows
 * how cells go together.
 */

import type { Random } from '../src/base/random.ts';
import { benjaminiHochberg, maxT } from './multiplicity.ts';

/** One cell: the mean of each group on either side, NaN where the group has no such rows. `[groups]` each. */
export interface CellSides {
  readonly target: Float64Array;
  readonly benign: Float64Array;
}

export interface CellResult {
  readonly nTarget: number;
  readonly nBenign: number;
  readonly target: number;
  readonly benign: number;
  /** Welch's t. */
  readonly t: number;
  readonly p: number;
  readonly pAdjusted: number;
  readonly q: number;
}

/**
 * @param cells Over the same groups in the same order.
 * @see Westfall and Young 1993; Welch 1947, Biometrika 34 (a statistic whose spread does not vary between cells).
 */
export function sizeMap(cells: readonly CellSides[], draws: number, random: Random): CellResult[] {
  const groups = cells[0].target.length;
  const has = (side: keyof CellSides, g: number): boolean =>
    cells.some((cell) => !Number.isNaN(cell[side][g]));
  const kinds = Array.from({ length: groups }, (_, g) => ({
    g,
    isTarget: has('target', g),
    isBoth: has('target', g) && has('benign', g),
  }));
  const alone = kinds.filter(({ isBoth }) => !isBoth);
  const isSwapped = new Uint8Array(groups);
  const observed = cells.map((cell) => welch(cell, isSwapped));
  const permuted = Array.from({ length: draws }, () => {
    const sides = random.shuffle(alone.map(({ isTarget }) => isTarget));
    alone.forEach(({ g, isTarget }, i) => (isSwapped[g] = Number(isTarget !== sides[i])));
    for (const { g, isBoth } of kinds) if (isBoth) isSwapped[g] = random.below(2);
    return cells.map((cell) => welch(cell, isSwapped).t);
  });
  const adjusted = maxT(
    observed.map(({ t }) => t),
    permuted,
  );
  const p = observed.map(({ t }, cell) => {
    const reached = permuted.filter((draw) => Math.abs(draw[cell]) >= Math.abs(t) * (1 - 1e-12));
    return (1 + reached.length) / (1 + draws);
  });
  const q = benjaminiHochberg(p);
  return observed.map((cell, i) => ({ ...cell, p: p[i], pAdjusted: adjusted[i], q: q[i] }));
}

/** The two sides, with the sides of marked groups exchanged. */
function welch(
  { target, benign }: CellSides,
  isSwapped: Uint8Array,
): Pick<CellResult, 'nTarget' | 'nBenign' | 'target' | 'benign' | 't'> {
  const n = [0, 0];
  const sum = [0, 0];
  const squares = [0, 0];
  const add = (value: number, side: number): void => {
    if (Number.isNaN(value)) return;
    n[side]++;
    sum[side] += value;
    squares[side] += value * value;
  };
  for (let g = 0; g < target.length; g++) {
    add(target[g], isSwapped[g]);
    add(benign[g], 1 - isSwapped[g]);
  }
  const mean = [sum[0] / n[0], sum[1] / n[1]];
  const variance = mean.map((m, s) => Math.max(0, squares[s] - n[s] * m * m) / (n[s] - 1) / n[s]);
  const error = Math.sqrt(variance[0] + variance[1]);
  return {
    nTarget: n[0],
    nBenign: n[1],
    target: mean[0],
    benign: mean[1],
    // A side of one group, or of equal values, has no spread to judge by.
    t: error > 0 ? (mean[0] - mean[1]) / error : 0,
  };
}
