import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planBatches } from '../../src/record/batches.ts';

const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 80 });
const budget = fc.integer({ min: 1, max: 300 });

describe('planBatches', () => {
  it('runs every prompt once', () => {
    fc.assert(
      fc.property(lengths, budget, (all, tokens) => {
        const run = planBatches(all, tokens).flatMap(({ prompts }) => prompts);
        expect(run.toSorted((a, b) => a - b)).toEqual(all.map((_, i) => i));
      }),
    );
  });

  it('keeps to the budget, padding included, but for one prompt that is longer by itself', () => {
    fc.assert(
      fc.property(lengths, budget, (all, tokens) => {
        for (const { prompts, length } of planBatches(all, tokens)) {
          expect(Math.max(...prompts.map((p) => all[p]))).toBe(length);
          expect(prompts.length === 1 || prompts.length * length <= tokens).toBe(true);
        }
      }),
    );
  });

  it('runs the longest first, and equals in the order of the set', () => {
    fc.assert(
      fc.property(lengths, budget, (all, tokens) => {
        const run = planBatches(all, tokens).flatMap(({ prompts }) => prompts);
        for (let i = 1; i < run.length; i++) {
          const [a, b] = [run[i - 1], run[i]];
          expect(all[a] > all[b] || (all[a] === all[b] && a < b)).toBe(true);
        }
      }),
    );
  });

  it('fills a batch as far as it goes', () => {
    expect(planBatches([3, 5, 2, 5, 1], 10)).toEqual([
      { prompts: [1, 3], length: 5 },
      { prompts: [0, 2, 4], length: 3 },
    ]);
  });
});
