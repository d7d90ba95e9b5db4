/**
 * Do tests and intervals err as often as they say, on seeded data in which the truth is known?
 *
 * Those of single statistics stand beside them (statistics, contrast and shiftNulls tests); these are
 * the ones that had none. 99.9 % of binomial counts lie within 3.3 standard deviations.
 */

import { describe, expect, it } from 'vitest';
import { bcaBootstrap } from '../../probes/bootstrap.ts';
import { benjaminiHochberg } from '../../probes/multiplicity.ts';
import { clopperPearson, wilson } from '../../probes/operating.ts';
import { mcnemar, newcombe, newcombePaired } from '../../probes/proportions.ts';
import { tost } from '../../probes/significance.ts';
import { sizeMap, type CellSides } from '../../probes/sizeMap.ts';
import { Random } from '../../src/base/random.ts';

const sets = 1000;

/** In how many of 1 000 data sets something happens. */
function countOf(seed: string, happens: (random: Random) => boolean): number {
  const random = new Random(seed);
  let count = 0;
  for (let i = 0; i < sets; i++) if (happens(random)) count++;
  return count;
}

function expectRate(count: number, p: number): void {
  expect(Math.abs(count - sets * p)).toBeLessThan(3.3 * Math.sqrt(sets * p * (1 - p)) + 1);
}

function yes(random: Random, n: number, p: number): number {
  let k = 0;
  for (let i = 0; i < n; i++) if (random.uniform() < p) k++;
  return k;
}

describe('equivalence', () => {
  it('is claimed at the margin itself as often as it says', () => {
    const claimed = countOf('tost', (random) => {
      const sample = Array.from({ length: 30 }, () => 1 + random.normal());
      return tost(sample, 1) <= 0.05;
    });
    expectRate(claimed, 0.05);
  });
});

describe('McNemar’s test', () => {
  it('rejects no more often than it says where changes go either way', () => {
    const rejected = countOf('mcnemar', (random) => {
      const changed = yes(random, 60, 0.4);
      const first = yes(random, changed, 0.5);
      return mcnemar(first, changed - first) <= 0.05;
    });
    // Exact and discrete: below .05, with about .03 for some 24 changes.
    expect(rejected).toBeLessThan(0.05 * sets + 3.3 * Math.sqrt(sets * 0.05 * 0.95));
    expect(rejected).toBeGreaterThan(0.01 * sets);
  });
});

describe('intervals of rates', () => {
  it.each([0.02, 0.2, 0.5])('hold a rate of %d', (p) => {
    const held = { wilson: 0, exact: 0 };
    const random = new Random(`rates ${p}`);
    for (let i = 0; i < sets; i++) {
      const k = yes(random, 60, p);
      const [w, c] = [wilson(k, 60), clopperPearson(k, 60)];
      if (w.low <= p && p <= w.high) held.wilson++;
      if (c.low <= p && p <= c.high) held.exact++;
    }
    // Wilson's wobbles about .95 with n and p (Brown, Cai and DasGupta 2001); the exact one is never below.
    expect(held.wilson / sets).toBeGreaterThan(0.91);
    expect(held.exact / sets).toBeGreaterThan(0.95 - 0.023);
  });

  it('hold a difference of two independent rates, and of paired ones', () => {
    const apart = countOf('newcombe', (random) => {
      const { low, high } = newcombe(yes(random, 50, 0.7), 50, yes(random, 40, 0.4), 40);
      return low <= 0.3 && 0.3 <= high;
    });
    expectRate(apart, 0.95);
    const paired = countOf('paired', (random) => {
      const counts = { both: 0, first: 0, second: 0, neither: 0 };
      for (let i = 0; i < 80; i++) {
        // The second answer follows the first nine times of ten: rates .6 and .9 × .6 + .1 × .4 = .58.
        const one = random.uniform() < 0.6;
        const two = random.uniform() < 0.9 ? one : random.uniform() < 0.4;
        counts[one ? (two ? 'both' : 'first') : two ? 'second' : 'neither']++;
      }
      const { low, high } = newcombePaired(counts);
      return low <= 0.02 && 0.02 <= high;
    });
    // Corrected for continuity, so rather too wide.
    expect(paired / sets).toBeGreaterThan(0.93);
    expect(paired / sets).toBeLessThan(0.995);
  });
});

describe('the accelerated bootstrap', () => {
  it('holds the mean of a skewed law nearly as often as it says', () => {
    const held = countOf('bca', (random) => {
      const sample = Array.from({ length: 40 }, () => -Math.log(1 - random.uniform()));
      const mean = (counts: Int32Array): number =>
        sample.reduce((sum, v, i) => sum + counts[i] * v, 0) /
        counts.reduce((sum, count) => sum + count, 0);
      const { low, high } = bcaBootstrap(40, mean, { random, draws: 199 });
      return low <= 1 && 1 <= high;
    });
    // 40 exponential values and 199 draws are few: a few of 100 are lost, and 9 of 100 would be a fault.
    expect(held / sets).toBeGreaterThan(0.9);
    expect(held / sets).toBeLessThan(0.96);
  });
});

describe('false discoveries', () => {
  it('are at most the share that was asked for, with nothing to find and with half', () => {
    let [any, share] = [0, 0];
    const random = new Random('bh');
    for (let i = 0; i < sets; i++) {
      const nothing = Array.from({ length: 20 }, () => random.uniform());
      if (Math.min(...benjaminiHochberg(nothing)) <= 0.1) any++;
      const half = nothing.map((p, test) => (test < 10 ? p : p * 1e-3));
      const found = [...benjaminiHochberg(half)].flatMap((q, test) => (q <= 0.1 ? [test] : []));
      share += found.filter((test) => test < 10).length / Math.max(1, found.length) / sets;
    }
    expectRate(any, 0.1);
    // Its expectation is .1 × 10/20; single shares spread by some .07.
    expect(Math.abs(share - 0.05)).toBeLessThan((3.3 * 0.07) / Math.sqrt(sets));
  });
});

describe('the map of sizes', () => {
  it('finds anything in a map of nothing as often as it says', () => {
    const found = countOf('map', (random) => {
      // Eight cells that go together; the first eight groups are target, the others harmless.
      const common = Array.from({ length: 24 }, () => random.normal());
      const cells = Array.from({ length: 8 }, (): CellSides => {
        const values = Float64Array.from(common, (v) => 5 + v + 0.7 * random.normal());
        return {
          target: values.map((v, g) => (g < 8 ? v : Number.NaN)),
          benign: values.map((v, g) => (g < 8 ? Number.NaN : v)),
        };
      });
      return sizeMap(cells, 59, random).some(({ pAdjusted }) => pAdjusted <= 0.05);
    });
    expectRate(found, 0.05);
  });
});
