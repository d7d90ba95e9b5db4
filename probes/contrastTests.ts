/** How sure are the comparisons of probes/contrast.ts: intervals, a ceiling, and a test of the residual. */

import { UserError } from '../src/base/errors.ts';
import type { Random } from '../src/base/random.ts';
import { drawCounts } from '../src/math/resample.ts';
import { rowAt } from '../src/math/rows.ts';
import { axpy, cosine, dot } from '../src/math/vectors.ts';
import { contrastNumbers, momentsOf, type Contrast, type ContrastNumbers } from './contrast.ts';

/** Groups drawn with replacement, each with all its conditions; draws that miss a set are drawn again. */
export function bootstrapContrast(
  contrast: Contrast,
  draws: number,
  random: Random,
): ContrastNumbers[] {
  const counts = new Int32Array(contrast.groups);
  const out: ContrastNumbers[] = [];
  for (let attempt = 0; out.length < draws; attempt++) {
    if (attempt > 100 * draws) {
      throw new UserError('LABELS_INVALID', `${contrast.groups} groups are too few to draw from`, {
        fix: 'Choose a --groups column with more values.',
      });
    }
    drawCounts(random, counts);
    const moments = momentsOf(contrast, counts);
    if (moments !== null) out.push(contrastNumbers(moments));
  }
  return out;
}

/**
 * Mean cosine between the mean shifts of two random halves of a set's groups, `splits` times.
 *
 * @param set Index into `setNames`; with `isResidual` both halves are less the same side of benign rows,
 *   halved as well.
 */
export function splitHalfCosine(
  contrast: Contrast,
  set: 0 | 1,
  isResidual: boolean,
  splits: number,
  random: Random,
): number {
  const { atoms } = contrast;
  const members = [set, ...(isResidual ? [set + 2] : [])].map((s) =>
    atoms.flatMap((atom, a) => (atom.set === s ? [a] : [])),
  );
  if (members.some((list) => list.length < 2)) return Number.NaN;
  let sum = 0;
  for (let split = 0; split < splits; split++) {
    const halves = [0, 1].map(() => new Float64Array(contrast.sums.d));
    members.forEach((list, side) => {
      const order = random.shuffle([...list]);
      const middle = Math.floor(order.length / 2);
      [order.slice(0, middle), order.slice(middle)].forEach((half, h) => {
        const n = half.reduce((total, a) => total + atoms[a].n, 0);
        for (const a of half) axpy((side === 0 ? 1 : -1) / n, rowAt(contrast.sums, a), halves[h]);
      });
    });
    sum += cosine(halves[0], halves[1]);
  }
  return sum / splits;
}

/**
 * p of the residual size: could rows of these groups as well have been the benign ones? Whole groups are
 * shuffled between the sides; a group that has both keeps both and swaps them or not.
 *
 * @returns (1 + divisions with a residual at least as long) / (1 + draws).
 */
export function residualPermutation(
  { atoms, sums }: Contrast,
  set: 0 | 1,
  draws: number,
  random: Random,
): number {
  const index = atoms.flatMap((atom, a) => (atom.set === set || atom.set === set + 2 ? [a] : []));
  const sides: number[] = index.map((a) => (atoms[a].set === set ? 1 : 0));
  const ofGroup = new Map<number, number[]>();
  index.forEach((a, i) => ofGroup.set(atoms[a].group, [...(ofGroup.get(atoms[a].group) ?? []), i]));
  const both = [...ofGroup.values()].filter((list) => list.length === 2);
  const alone = [...ofGroup.values()].filter((list) => list.length === 1).map(([i]) => i);
  const all = new Float64Array(sums.d);
  for (const a of index) axpy(1, rowAt(sums, a), all);
  const rows = index.reduce((sum, a) => sum + atoms[a].n, 0);
  const squared = (): number => {
    const gap = new Float64Array(sums.d);
    let n = 0;
    index.forEach((a, i) => {
      if (sides[i] === 0) return;
      n += atoms[a].n;
      axpy(1, rowAt(sums, a), gap);
    });
    // sum₁/n₁ − (all − sum₁)/n₀
    for (let j = 0; j < gap.length; j++) gap[j] = gap[j] / n - (all[j] - gap[j]) / (rows - n);
    return dot(gap, gap);
  };
  const observed = squared() * (1 - 1e-12);
  let count = 0;
  for (let draw = 0; draw < draws; draw++) {
    const shuffled = random.shuffle(alone.map((i) => sides[i]));
    alone.forEach((i, at) => (sides[i] = shuffled[at]));
    for (const [i, j] of both) {
      if (random.below(2) === 1) [sides[i], sides[j]] = [sides[j], sides[i]];
    }
    if (squared() >= observed) count++;
  }
  return (1 + count) / (1 + draws);
}
