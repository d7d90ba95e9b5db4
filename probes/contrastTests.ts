/** How sure are the comparisons of probes/contrast.ts: intervals, a ceiling, and a test of the residual. */

import { UserError } from '../src/base/errors.ts';
import type { Random } from '../src/base/random.ts';
import { drawCounts } from '../src/math/resample.ts';
import { rowAt } from '../src/math/rows.ts';
import { axpy, cosine, dot } from '../src/math/vectors.ts';
import {
  contrastNumbers,
  isRounding,
  momentsOf,
  type Contrast,
  type ContrastNumbers,
} from './contrast.ts';

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

export interface HalfCosines {
  /** Mean cosine of a side's mean shift in one half of the groups with the same in the other half. */
  readonly triggered: number;
  readonly untriggered: number;
  /** Mean cosine of triggered rows of one half with untriggered rows of the other: free of shared noise. */
  readonly across: number;
}

/**
 * Agreement between random halves of the groups, `splits` times; NaN where no division has all sets.
 *
 * Triggered and untriggered rows of one prompt share its noise, so their cosine on the same prompts may
 * exceed what two halves of one side reach; only `across` may be divided by the sides' reliabilities.
 *
 * @param isResidual Each half less the mean shift of its own benign rows with the same trigger.
 */
export function splitHalves(
  { atoms, sums, groups }: Contrast,
  isResidual: boolean,
  splits: number,
  random: Random,
): HalfCosines {
  const found = { triggered: 0, untriggered: 0, across: 0, n: 0 };
  const half = new Uint8Array(groups);
  for (let split = 0; split < splits; split++) {
    half.fill(0);
    for (const g of random.shuffle([...half.keys()]).slice(Math.floor(groups / 2))) half[g] = 1;
    const means = [0, 1].map((h) =>
      [0, 1, 2, 3].map((set) => {
        const rows = atoms.flatMap((atom, a) =>
          atom.set === set && half[atom.group] === h ? [a] : [],
        );
        const n = rows.reduce((sum, a) => sum + atoms[a].n, 0);
        const mean = new Float64Array(sums.d);
        for (const a of rows) axpy(1 / n, rowAt(sums, a), mean);
        return { n, mean };
      }),
    );
    if (means.some((sets) => sets.some(({ n }, set) => n === 0 && (isResidual || set < 2))))
      continue;
    const [first, second] = means.map((sets) =>
      [0, 1].map((set) => {
        const { mean } = sets[set];
        if (!isResidual) return mean;
        const of = dot(mean, mean) + dot(sets[set + 2].mean, sets[set + 2].mean);
        axpy(-1, sets[set + 2].mean, mean);
        return isRounding(dot(mean, mean), of) ? mean.fill(0) : mean;
      }),
    );
    found.triggered += cosine(first[0], second[0]);
    found.untriggered += cosine(first[1], second[1]);
    found.across += (cosine(first[0], second[1]) + cosine(second[0], first[1])) / 2;
    found.n++;
  }
  const { n } = found;
  return {
    triggered: found.triggered / n,
    untriggered: found.untriggered / n,
    across: found.across / n,
  };
}

/**
 * p of the residual size: could rows of these groups as well have been the benign ones? Whole groups are
 * shuffled between the sides; a group that has both keeps both and swaps them or not. A residual of rounding is 1.
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
  const first = squared();
  if (isRounding(first, dot(all, all) / rows ** 2)) return 1;
  const observed = first * (1 - 1e-12);
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
