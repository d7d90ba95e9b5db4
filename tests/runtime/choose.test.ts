import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { choose } from '../../src/runtime/choose.ts';

const logits = Float32Array.of(1.5, -0.25, 0.5, 2, -3, 0.75);
const draws = 20_000;

/** How often each token comes. */
function counts(temperature: number, topP: number, seed: string, own = logits): number[] {
  const random = new Random(seed);
  const found = Array.from(own, () => 0);
  for (let i = 0; i < draws; i++) found[choose(own, { temperature, topP }, random) ?? -1]++;
  return found;
}

/** softmax(x / t), by the definition. */
function softmax(values: Float32Array, t: number): number[] {
  const weights = Array.from(values, (x) => Math.exp(x / t));
  const sum = weights.reduce((total, w) => total + w, 0);
  return weights.map((w) => w / sum);
}

/** Pearson's χ² of counts against probabilities. */
function chiSquare(found: readonly number[], wanted: readonly number[]): number {
  return found.reduce((sum, n, i) => {
    const expected = draws * wanted[i];
    return expected === 0 ? sum : sum + (n - expected) ** 2 / expected;
  }, 0);
}

describe('choose', () => {
  it('takes the likeliest at temperature 0, the lowest id among equals', () => {
    const random = new Random(0);
    const greedily = { temperature: 0, topP: 1 };
    expect(choose(logits, greedily, random)).toBe(3);
    expect(choose(Float32Array.of(1, 7, 7, 7), greedily, random)).toBe(1);
    expect(choose(Float32Array.of(-4), greedily, random)).toBe(0);
  });

  it('says nothing where a logit is not finite', () => {
    for (const temperature of [0, 1]) {
      for (const odd of [NaN, Infinity, -Infinity]) {
        const own = Float32Array.of(1, odd, 2);
        expect(choose(own, { temperature, topP: 1 }, new Random(0))).toBeNull();
      }
    }
  });

  // The .999 quantile of χ² with 5 degrees of freedom is 20.5.
  it.each([0.5, 1, 2])('draws from softmax(logits / %f)', (t) => {
    expect(chiSquare(counts(t, 1, 'draws'), softmax(logits, t))).toBeLessThan(20.5);
  });

  it('is far from the softmax of another temperature, so the test can tell', () => {
    expect(chiSquare(counts(1, 1, 'draws'), softmax(logits, 1.2))).toBeGreaterThan(100);
  });

  it('draws from the fewest likeliest tokens that hold the share, rescaled', () => {
    const whole = softmax(logits, 1);
    // .449 + .272 reach .7; the other four are left out.
    expect(whole[3] + whole[0]).toBeGreaterThan(0.7);
    expect(whole[3]).toBeLessThan(0.7);
    const wanted = [0, 1, 2, 3, 4, 5].map((id) =>
      id === 0 || id === 3 ? whole[id] / (whole[0] + whole[3]) : 0,
    );
    const found = counts(1, 0.7, 'nucleus');
    expect(found.filter((n) => n > 0)).toHaveLength(2);
    // The .999 quantile of χ² with 1 degree of freedom is 10.8.
    expect(chiSquare(found, wanted)).toBeLessThan(10.8);
  });

  it('keeps at least the likeliest, and with p just below 1 all that count', () => {
    expect(counts(1, 1e-9, 'least')[3]).toBe(draws);
    expect(counts(5, 0.999_999, 'most').every((n) => n > 0)).toBe(true);
  });

  it('takes the lowest ids where equals stand at the edge of the share', () => {
    const found = counts(1, 0.5, 'equals', new Float32Array(4));
    expect(found.slice(2)).toEqual([0, 0]);
    expect(found[0] + found[1]).toBe(draws);
  });

  it('draws one number for each token, whatever the logits are', () => {
    const [a, b] = [new Random('x'), new Random('x')];
    choose(logits, { temperature: 1, topP: 0.5 }, a);
    choose(Float32Array.of(0, 0), { temperature: 3, topP: 1 }, b);
    expect(a.uniform()).toBe(b.uniform());
  });

  it('never takes a token of probability 0, nor fails on logits far apart', () => {
    const far = Float32Array.of(-3e38, 3e38, 0);
    expect(counts(0.01, 1, 'far', far)).toEqual([0, draws, 0]);
  });
});
