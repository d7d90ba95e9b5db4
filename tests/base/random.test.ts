import { describe, expect, it } from 'vitest';

import { Random } from '../../src/base/random.ts';

const draw = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () => random.uniform());

/** Bounds five standard errors wide: a sound generator leaves them once in two million seeds. */
const errors = 5;

describe('Random', () => {
  it('gives the same stream for the same seed, and another for another', () => {
    expect(draw(new Random(7), 5)).toEqual(draw(new Random(7), 5));
    expect(draw(new Random(7), 5)).not.toEqual(draw(new Random(8), 5));
    expect(draw(new Random('7'), 5)).toEqual(draw(new Random(7), 5));
  });

  it('forks the same stream by the same names, whatever was drawn before', () => {
    const parent = new Random(1);
    const early = draw(parent.fork('bootstrap', 3), 5);
    draw(parent, 100);
    expect(draw(parent.fork('bootstrap', 3), 5)).toEqual(early);
    expect(draw(parent.fork('bootstrap').fork(3), 5)).toEqual(early);
    expect(draw(parent.fork('bootstrap', 4), 5)).not.toEqual(early);
    expect(draw(parent, 5)).not.toEqual(early);
  });

  it('is uniform: 100 bins of 200 000 draws by chi-squared, with mean and variance', () => {
    const n = 200_000;
    const values = draw(new Random('uniform'), n);
    const bins = new Float64Array(100);
    for (const value of values) bins[Math.floor(value * 100)]++;
    const chiSquared = bins.reduce((sum, count) => sum + (count - n / 100) ** 2 / (n / 100), 0);
    // 99 degrees of freedom: mean 99, standard deviation √198.
    expect(Math.abs(chiSquared - 99)).toBeLessThan(errors * Math.sqrt(198));
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    expect(Math.abs(mean - 0.5)).toBeLessThan(errors * Math.sqrt(1 / 12 / n));
    const square = values.reduce((sum, value) => sum + value * value, 0) / n;
    expect(Math.abs(square - 1 / 3)).toBeLessThan(errors * Math.sqrt(4 / 45 / n));
    expect(Math.min(...values.slice(0, 1000))).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values.slice(0, 1000))).toBeLessThan(1);
  });

  it('sets each of the 53 bits half of the time', () => {
    const n = 20_000;
    const ones = new Float64Array(53);
    for (const value of draw(new Random('bits'), n)) {
      let rest = value;
      for (let bit = 0; bit < 53; bit++) {
        rest *= 2;
        if (rest >= 1) {
          ones[bit]++;
          rest -= 1;
        }
      }
    }
    for (const count of ones) {
      expect(Math.abs(count - n / 2)).toBeLessThan(errors * Math.sqrt(n / 4));
    }
  });

  it('leaves neighbouring draws, forks and seeds uncorrelated', () => {
    const n = 20_000;
    const correlation = (a: number[], b: number[]): number =>
      a.reduce((sum, value, i) => sum + (value - 0.5) * (b[i] - 0.5), 0) / (n / 12);
    const limit = errors / Math.sqrt(n);
    const one = draw(new Random(1), n + 1);
    expect(Math.abs(correlation(one.slice(0, n), one.slice(1)))).toBeLessThan(limit);
    const root = new Random(1);
    for (const [a, b] of [
      [root.fork(0), root.fork(1)],
      [root.fork('a'), root.fork('b')],
      [root, root.fork('a')],
      [new Random(1), new Random(2)],
    ] as const) {
      expect(Math.abs(correlation(draw(a, n), draw(b, n)))).toBeLessThan(limit);
    }
  });

  it('starts every fork of a long row in another place', () => {
    const root = new Random(0);
    const first = Array.from({ length: 20_000 }, (_, i) => root.fork('shuffle', i).uniform());
    expect(new Set(first).size).toBe(first.length);
    const mean = first.reduce((sum, value) => sum + value, 0) / first.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(errors * Math.sqrt(1 / 12 / first.length));
  });

  it('follows sfc32 as published', () => {
    // The recurrence in 64-bit integers, seeded as the class says: an independent way to the same words.
    const mask = 0xffff_ffffn;
    const hash = (text: string, offset: bigint): bigint =>
      Array.from(text).reduce(
        (h, char) => ((h ^ BigInt(char.charCodeAt(0))) * 0x0100_0193n) & mask,
        offset,
      );
    let a = hash('42', 0x811c_9dc5n);
    let b = hash('42', 0x9e37_79b9n);
    let c = hash('42', 0x243f_6a88n);
    let counter = 1n;
    const next = (): bigint => {
      const out = (a + b + counter) & mask;
      counter = (counter + 1n) & mask;
      a = b ^ (b >> 9n);
      b = (c + (c << 3n)) & mask;
      c = (((c << 21n) | (c >> 11n)) + out) & mask;
      return out;
    };
    for (let i = 0; i < 15; i++) next();
    const random = new Random(42);
    for (let i = 0; i < 50; i++) {
      const high = Number(next() >> 5n);
      const low = Number(next() >> 6n);
      expect(random.uniform()).toBe((high * 2 ** 26 + low) / 2 ** 53);
    }
  });

  it('draws integers below n alike, and normals with mean 0 and variance 1', () => {
    const n = 60_000;
    const random = new Random('below');
    const counts = new Float64Array(6);
    for (let i = 0; i < n; i++) counts[random.below(6)]++;
    for (const count of counts) {
      expect(Math.abs(count - n / 6)).toBeLessThan(errors * Math.sqrt((n * 5) / 36));
    }
    const normals = Array.from({ length: n }, () => random.normal());
    const moment = (k: number): number => normals.reduce((sum, value) => sum + value ** k, 0) / n;
    expect(Math.abs(moment(1))).toBeLessThan(errors / Math.sqrt(n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(errors * Math.sqrt(2 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(errors * Math.sqrt(96 / n));
  });

  it('shuffles each order alike and keeps what it shuffles', () => {
    const n = 24_000;
    const random = new Random('shuffle');
    const counts = new Map<string, number>();
    for (let i = 0; i < n; i++) {
      const order = random.shuffle(['a', 'b', 'c', 'd']).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    for (const [order, count] of counts) {
      expect(order.split('').sort().join('')).toBe('abcd');
      expect(Math.abs(count - n / 24)).toBeLessThan(errors * Math.sqrt(n / 24));
    }
  });
});
