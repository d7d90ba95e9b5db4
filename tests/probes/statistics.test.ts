/** Tests, intervals and effect sizes against scipy, closed forms, and their own promises under a null. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bcaBootstrap,
  hierarchicalBootstrap,
  percentileBootstrap,
} from '../../probes/bootstrap.ts';
import { cohenD, cohenDz, hedgesG, jsDivergence, klDivergence } from '../../probes/effects.ts';
import { benjaminiHochberg, holm, maxT } from '../../probes/multiplicity.ts';
import {
  chanceToSee,
  mcnemar,
  newcombe,
  newcombePaired,
  rateText,
  zeroEventBound,
} from '../../probes/proportions.ts';
import { permutationWithin, signFlip, tost, twoSample } from '../../probes/significance.ts';
import { Random } from '../../src/base/random.ts';
import { studentCdf } from '../../src/math/distributions.ts';
import { readGolden } from '../support/sines.ts';

const golden = readGolden('oracles/science.json');
const x: number[] = golden.signflip_x;
const a = [5.1, 4.9, 6.2, 5.8, 6.0];
const b = [4.1, 4.4, 3.9, 5.0, 4.2];
const random = (): Random => new Random('statistics');
/** 12 digits are given. */
const digits = 11;

function meanOf(values: readonly number[]): (counts: Int32Array) => number {
  return (counts) => {
    let [sum, n] = [0, 0];
    values.forEach((value, i) => {
      sum += counts[i] * value;
      n += counts[i];
    });
    return sum / n;
  };
}

/** 99.9 % of binomial counts lie within these, by the normal approximation. */
function expectRate(count: number, n: number, p: number): void {
  const spread = 3.3 * Math.sqrt(n * p * (1 - p)) + 1;
  expect(Math.abs(count - n * p)).toBeLessThan(spread);
}

describe('signFlip', () => {
  it('is exact for few pairs, and cannot go below 2/2ⁿ', () => {
    expect(signFlip(x, random())).toEqual({
      p: golden['signflip_exact_two_sided_p(x)'],
      exact: true,
      arrangements: 256,
    });
    for (const [key, least] of Object.entries<number>(golden.signflip_min_two_sided_p)) {
      const n = Number(key.slice(2));
      expect(
        signFlip(
          Array.from({ length: n }, (_, i) => 1 + i / 7),
          random(),
        ).p,
      ).toBe(least);
    }
  });

  it('is exact at 16 pairs and drawn at 17, with nearly the same p', () => {
    const wave = Array.from({ length: 17 }, (_, i) => 0.35 + Math.sin(i * 1.7));
    const exact = signFlip(wave.slice(0, 16), random());
    expect(exact.arrangements).toBe(65536);
    const drawn = signFlip(wave, random());
    expect(drawn).toMatchObject({ exact: false, arrangements: 9999 });
    // The 17th adds .35 + sin(27.2) = 1.2 to a sum of 5.4: p may only fall.
    expect(drawn.p).toBeLessThan(exact.p);
  });

  it('rejects a true null as often as it says, 1 000 times', () => {
    const stream = random();
    let rejected = 0;
    for (let i = 0; i < 1000; i++) {
      const sample = Array.from({ length: 20 }, () => stream.normal());
      if (signFlip(sample, stream, 199).p <= 0.05) rejected++;
    }
    expectRate(rejected, 1000, 0.05);
  });
});

describe('twoSample', () => {
  it('counts all divisions of few values', () => {
    expect(twoSample(a, b, random())).toEqual({
      p: golden.perm_exact_two_sample_p,
      exact: true,
      arrangements: golden.perm_total,
    });
  });

  it('has the least p that its sizes allow', () => {
    for (const [key, { min_two_sided: least }] of Object.entries<{ min_two_sided: number }>(
      golden.binom_perm_min_p,
    )) {
      const k = Number(key.split('v')[0]);
      const low = Array.from({ length: k }, (_, i) => i);
      expect(
        twoSample(
          low,
          low.map((v) => v + 100.5),
          random(),
        ).p,
      ).toBeCloseTo(least, 14);
    }
  });

  it('rejects a true null as often as it says, 1 000 times', () => {
    const stream = random();
    let rejected = 0;
    for (let i = 0; i < 1000; i++) {
      const sample = (): number[] => Array.from({ length: 15 }, () => stream.normal());
      if (twoSample(sample(), sample(), stream, 199).p <= 0.1) rejected++;
    }
    expectRate(rejected, 1000, 0.1);
  });
});

describe('permutationWithin', () => {
  it('rejects a true null as often as it says, however much groups differ', () => {
    const stream = random();
    const labels = Array.from({ length: 40 }, (_, i) => i % 2);
    const groups = labels.map((_, i) => `g${Math.floor(i / 4)}`);
    let rejected = 0;
    for (let i = 0; i < 1000; i++) {
      const values = labels.map((_, row) => 10 * Math.floor(row / 4) + stream.normal());
      if (permutationWithin(values, labels, groups, stream, 99).p <= 0.1) rejected++;
    }
    expectRate(rejected, 1000, 0.1);
  });

  it('finds a difference within groups that groups would hide', () => {
    const labels = Array.from({ length: 24 }, (_, i) => i % 2);
    const groups = labels.map((_, i) => `g${Math.floor(i / 4)}`);
    const values = labels.map((label, row) => 10 * Math.floor(row / 4) + label);
    expect(permutationWithin(values, labels, groups, random()).p).toBeLessThan(0.001);
    expect(
      twoSample(
        values.filter((_, i) => labels[i] === 1),
        values.filter((_, i) => labels[i] === 0),
        random(),
      ).p,
    ).toBeGreaterThan(0.5);
  });
});

describe('tost', () => {
  it('is the larger of two one-sided t tests', () => {
    const sample = [0.1, -0.2, 0.05, 0.3, -0.1];
    const mean = 0.03;
    const sd = Math.sqrt(sample.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 4);
    const t = (mean - 0.5) / (sd / Math.sqrt(5));
    expect(tost(sample, 0.5)).toBeCloseTo(studentCdf(t, 4), 12);
    expect(tost(sample, 0.01)).toBeGreaterThan(0.5);
  });
});

describe('rates', () => {
  it('of nothing print their bound, and how likely it was to see something', () => {
    const bound = golden['clopper_pearson_upper(0/1000,one-sided95)'];
    expect(zeroEventBound(1000)).toBeCloseTo(bound, 14);
    expect(rateText(0, 1000)).toBe('0/1000 (95 %: below 0.3 %)');
    expect(rateText(20, 20)).toBe('20/20 (95 %: above 86.1 %)');
    expect(rateText(8, 10)).toBe('8/10 (80.0 %, 95 % 49.0–94.3 %)');
    expect(chanceToSee(8e-5, 1000)).toBeCloseTo(golden.power_zero_test['p=8e-5,n=1000'], 13);
    expect(chanceToSee(8e-5, 35000)).toBeCloseTo(golden.power_zero_test['p=8e-5,n=35000'], 12);
  });

  it('differ by Newcombe’s published intervals', () => {
    // Newcombe 1998 (independent), table II: 56/70 − 48/80 and 10/10 − 0/10, method 10.
    expect(newcombe(56, 70, 48, 80)).toEqual({
      low: expect.closeTo(0.0524, 4),
      high: expect.closeTo(0.3339, 4),
    });
    expect(newcombe(10, 10, 0, 10)).toEqual({ low: expect.closeTo(0.6075, 4), high: 1 });
    // With uncorrelated answers the paired interval is that of two independent samples of n.
    const even = newcombePaired({ both: 25, first: 25, second: 25, neither: 25 });
    expect(even).toEqual(newcombe(50, 100, 50, 100));
    const close = newcombePaired({ both: 45, first: 5, second: 5, neither: 45 });
    expect(close.high - close.low).toBeLessThan(0.6 * (even.high - even.low));
  });

  it('that changed are tested by McNemar', () => {
    expect(mcnemar(3, 12)).toBeCloseTo(golden['mcnemar_exact(b=3,c=12)'], 12);
    expect(mcnemar(12, 3)).toBe(mcnemar(3, 12));
    expect(mcnemar(4, 4)).toBe(1);
  });
});

describe('benjaminiHochberg and holm', () => {
  it('match the reference', () => {
    const close = (values: number[]): unknown[] => values.map((v) => expect.closeTo(v, 12));
    expect([...benjaminiHochberg(golden.bh_in)]).toEqual(close(golden.bh_adj));
    expect([...holm(golden.bh_in)]).toEqual(close(golden.holm_adj));
  });

  it('do not depend on the order, and Holm is never the bolder', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }), (p) => {
        const [q, h] = [benjaminiHochberg(p), holm(p)];
        const backwards = benjaminiHochberg(p.toReversed()).toReversed();
        p.forEach((value, i) => {
          expect(q[i]).toBeGreaterThanOrEqual(value - 1e-15);
          expect(h[i]).toBeGreaterThanOrEqual(q[i] - 1e-12);
          expect(backwards[i]).toBeCloseTo(q[i], 12);
        });
      }),
      { seed: 7 },
    );
  });
});

describe('maxT', () => {
  it('is worked by hand', () => {
    // Largest first: |3| is reached by the second draw (4); |2| by draws two and three among cells 0 and 1.
    const draws = [
      [1, 0.5],
      [0.5, -4],
      [2.5, 1],
    ];
    expect([...maxT([2, -3], draws)]).toEqual([0.5, 0.5]);
    expect([
      ...maxT(
        [2, -3],
        [
          [1, 1],
          [2.5, 0],
          [0, 2.9],
        ],
      ),
    ]).toEqual([0.5, 0.25]);
  });

  it('finds anything in a map of nothing as often as it says, 1 000 times', () => {
    const stream = random();
    let found = 0;
    for (let i = 0; i < 1000; i++) {
      // Twelve cells that go together, as neighbouring layers do.
      const draw = (): number[] => {
        const common = stream.normal();
        return Array.from({ length: 12 }, () => common + 0.5 * stream.normal());
      };
      const draws = Array.from({ length: 99 }, draw);
      if (Math.min(...maxT(draw(), draws)) <= 0.05) found++;
    }
    expectRate(found, 1000, 0.05);
  });
});

describe('bootstraps', () => {
  it('BCa agrees with scipy, within what draws leave open', () => {
    const { low, high } = bcaBootstrap(8, meanOf(x), { random: random() });
    const [expectedLow, expectedHigh] = golden['bca_mean_ci(x) approx, tol 0.02'];
    expect(Math.abs(low - expectedLow)).toBeLessThan(0.03);
    expect(Math.abs(high - expectedHigh)).toBeLessThan(0.03);
  });

  it('percentile intervals hold a true mean nearly as often as they say', () => {
    const stream = random();
    let held = 0;
    for (let i = 0; i < 400; i++) {
      const sample = Array.from({ length: 40 }, () => stream.normal());
      const { low, high } = percentileBootstrap(40, meanOf(sample), { random: stream, draws: 299 });
      if (low <= 0 && high >= 0) held++;
    }
    // Of 40 values the percentile interval is known to hold some 94 % (it takes n for n − 1).
    expectRate(held, 400, 0.94);
  });

  it('over seeds and prompts is wider than over prompts alone where seeds differ', () => {
    const values = [0, 1, 5].map((level) =>
      Array.from({ length: 30 }, (_, i) => level + Math.sin(i)),
    );
    const options = { random: random(), draws: 999 };
    const both = hierarchicalBootstrap([30, 30, 30], (s, c) => meanOf(values[s])(c), options);
    const pooled = percentileBootstrap(90, meanOf(values.flat()), options);
    expect(both.high - both.low).toBeGreaterThan(2 * (pooled.high - pooled.low));
    const one = hierarchicalBootstrap([30], (s, c) => meanOf(values[s])(c), {
      ...options,
      random: random(),
    });
    expect(one.high - one.low).toBeCloseTo(4 * Math.sqrt(0.5 / 30), 0);
  });
});

describe('effect sizes', () => {
  it('match the reference', () => {
    expect(cohenD(a, b)).toBeCloseTo(golden.cohen_d, digits);
    expect(hedgesG(a, b)).toBeCloseTo(golden.hedges_g, digits);
    expect(cohenDz(x)).toBeCloseTo(golden.cohen_dz, digits);
    expect(klDivergence([0.1, 0.2, 0.7], [0.3, 0.3, 0.4])).toBeCloseTo(golden.kl_nats, 14);
    expect(jsDivergence([0.1, 0.2, 0.7], [0.3, 0.3, 0.4])).toBeCloseTo(golden.jsd_nats, 14);
    expect(jsDivergence([1, 0], [0, 1])).toBeCloseTo(Math.LN2, 14);
  });
});
