/** What any plan of shared prefixes must hold, whatever the prompts: on random sets of alike ones. */

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { cacheFloats, neededFrom } from '../../src/record/caches.ts';
import { bestLevels, costOf, rowsOf } from '../../src/record/prefixLevels.ts';
import { prefixPasses } from '../../src/record/prefixPasses.ts';
import { prefixTree, readsAt } from '../../src/record/prefixTree.ts';
import { plainPasses, sharesPasts, tokensRead, type Pass } from '../../src/record/segments.ts';
import { planPasses } from '../../src/record/sharing.ts';
import { wantedRows } from '../../src/record/wantedRows.ts';
import type { Model } from '../../models/model.ts';
import { modelIn, organismFolder } from '../support/golden.ts';
import { variantModel } from '../support/families.ts';
import { readingOf } from '../support/passes.ts';

type Prompts = readonly (readonly number[])[];

/** Three words only, so that beginnings in common, whole beginnings and copies all come up. */
const sets = fc.array(fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 9 }), {
  minLength: 1,
  maxLength: 40,
});
const settings = fc.record({
  batchTokens: fc.integer({ min: 1, max: 60 }),
  keptTokens: fc.integer({ min: 0, max: 60 }),
  movedShare: fc.double({ min: 0, max: 1, noNaN: true }),
});

let organism: Model;
beforeAll(async () => {
  organism = await modelIn(organismFolder('planb'));
});

/** Passes with every level there is, or with those that the cost model picks. */
function passesOf(
  prompts: Prompts,
  bounds: { batchTokens: number; keptTokens: number; movedShare: number },
  levels?: readonly number[],
): Pass[] {
  const branches = prefixTree(
    prompts,
    prompts.map(() => ''),
  );
  const all = [...new Set(branches.map(({ shared }) => shared))].sort((a, b) => a - b).slice(1);
  return prefixPasses(readsAt(branches, levels ?? all), bounds);
}

/** Different tokens with what stands before them: the least that can be read of a set. */
function beginnings(prompts: Prompts): number {
  return new Set(prompts.flatMap((ids) => ids.map((_, t) => ids.slice(0, t + 1).join(' ')))).size;
}

function everySet(check: (prompts: Prompts, passes: Pass[], batchTokens: number) => void): void {
  fc.assert(
    fc.property(sets, settings, fc.boolean(), (prompts, bounds, isPicked) => {
      const branches = prefixTree(
        prompts,
        prompts.map(() => ''),
      );
      const levels = isPicked ? bestLevels(branches, bounds) : undefined;
      check(prompts, passesOf(prompts, bounds, levels), bounds.batchTokens);
    }),
    { seed: 24, numRuns: 300 },
  );
}

describe('prefixPasses', () => {
  it('stores every token of every prompt once, from a row that has its tokens up to there', () => {
    everySet((prompts, passes) => {
      const reading = readingOf(prompts);
      const stored = new Map<number, string>();
      // What each row of each pass has read, its past included.
      const texts: (readonly number[])[][] = [];
      for (const { segments, past, parents, length } of passes) {
        texts.push(
          segments.map(({ prompt, to }, b) => {
            const before = past === 0 ? [] : texts[parents[b].pass][parents[b].row].slice(0, past);
            expect(before).toHaveLength(past);
            return [...before, ...prompts[prompt].slice(past, to)];
          }),
        );
        const { rows, places } = wantedRows(reading, {
          segments,
          past,
          parents,
          length,
          keeps: false,
        });
        const startOf = (segment: number): number =>
          segments.slice(0, segment).reduce((sum, { to }) => sum + to - past, 0);
        for (const { storedAt, first, count } of places) {
          for (let k = 0; k < count; k++) {
            const { streamRow, token } = rows[first + k];
            const at = segments.findLastIndex((_, b) => startOf(b) <= streamRow);
            const text = texts[texts.length - 1][at];
            expect(past + streamRow - startOf(at)).toBe(token);
            expect(stored.has(storedAt + k)).toBe(false);
            stored.set(storedAt + k, text.slice(0, token + 1).join(' '));
          }
        }
      }
      const wanted = prompts.flatMap((ids) => ids.map((_, t) => ids.slice(0, t + 1).join(' ')));
      expect(Array.from(wanted, (_, row) => stored.get(row))).toEqual(wanted);
    });
  });

  it('goes on from rows of earlier passes that are kept, at one token, within the batch size', () => {
    everySet((_, passes, batchTokens) => {
      const used = passes.map(() => false);
      passes.forEach(({ segments, parents, past, length }, i) => {
        expect(parents).toHaveLength(past === 0 ? 0 : segments.length);
        for (const { pass, row } of parents) {
          expect(pass).toBeLessThan(i);
          expect(passes[pass].segments[row].to).toBeGreaterThanOrEqual(past);
          used[pass] = true;
        }
        expect(Math.max(...segments.map(({ to }) => to - past))).toBe(length);
        expect(Math.min(...segments.map(({ to }) => to - past))).toBeGreaterThan(0);
        expect(segments.length === 1 || segments.length * length <= batchTokens).toBe(true);
      });
      expect(passes.map(({ keeps }) => keeps)).toEqual(used);
    });
  });

  it('reads each token once where every level may be used', () => {
    fc.assert(
      fc.property(sets, settings, (prompts, bounds) => {
        expect(tokensRead(passesOf(prompts, bounds))).toBe(beginnings(prompts));
      }),
      { seed: 24 },
    );
  });

  it('comes to the same passes in whatever order the prompts are', () => {
    fc.assert(
      fc.property(sets, settings, fc.infiniteStream(fc.nat()), (prompts, bounds, chance) => {
        const texts = (of: Prompts): string[] =>
          passesOf(of, bounds).map(({ segments, past, parents }) =>
            JSON.stringify([
              segments.map(({ prompt, to }) => of[prompt].slice(0, to)),
              past,
              parents,
            ]),
          );
        const keys = prompts.map(() => chance.next().value);
        const order = prompts.map((_, i) => i).sort((a, b) => keys[a] - keys[b]);
        expect(texts(order.map((i) => prompts[i]))).toEqual(texts(prompts));
      }),
      { seed: 24 },
    );
  });

  it('keeps little where little may be kept, and runs in another order for it', () => {
    const pairs = Array.from({ length: 64 }, (_, i) => [i, 1, 1, 1, 1, 1, 1, 1]).flatMap((ids) => [
      ids,
      [...ids.slice(0, 6), 2, 2],
    ]);
    const shape = { blocks: { from: 0, to: 1 }, keyHeads: 1, headDim: 1 };
    const bounds = { batchTokens: 64, movedShare: 0 };
    const wide = passesOf(pairs, { ...bounds, keptTokens: 10_000 });
    const narrow = passesOf(pairs, { ...bounds, keptTokens: 48 });
    expect(tokensRead(narrow)).toBe(tokensRead(wide));
    // All 64 heads of 6 tokens, or 16 of them, before their other halves run; twice for keys and values.
    expect(cacheFloats(wide, shape)).toBeGreaterThanOrEqual(2 * 64 * 6);
    expect(cacheFloats(narrow, shape)).toBeLessThan(2 * 64 * 6);
  });
});

describe('cacheFloats', () => {
  it('counts what one pass leaves and what rows behind it make of it', () => {
    const one = { prompt: 0, to: 5, others: [] };
    const rows = [1, 2, 3].map((prompt) => ({ prompt, to: 6, others: [] }));
    const parent = { pass: 0, row: 0 };
    const passes = [
      { segments: [one], length: 5, past: 0, parents: [], keeps: true },
      { segments: rows, length: 2, past: 4, parents: [parent, parent, parent], keeps: false },
    ];
    // The second: 4 tokens kept, 4 entering once, 4 for each of 3 rows, of keys and of values in 2 blocks; and
    // in one block 6 tokens of each row together.
    const shape = { blocks: { from: 0, to: 2 }, keyHeads: 1, headDim: 1 };
    expect(cacheFloats(passes, shape)).toBe((4 + 4 + 3 * 4) * 2 * 2 + 3 * 6 * 2);
  });
});

describe('neededFrom', () => {
  it('runs what is left and, of what is done, only what that goes on from', () => {
    everySet((_, passes) => {
      for (let done = 0; done <= passes.length; done++) {
        const needed = neededFrom(passes, done);
        passes.forEach(({ parents }, i) => {
          if (i >= done) expect(needed[i]).toBe(true);
          if (needed[i]) for (const { pass } of parents) expect(needed[pass]).toBe(true);
          const isUsed = passes.some(
            (later, j) => needed[j] && later.parents.some(({ pass }) => pass === i),
          );
          if (i < done && !isUsed) expect(needed[i]).toBe(false);
        });
      }
    });
  });
});

describe('bestLevels', () => {
  it('costs no more than any other choice of levels', () => {
    const costs = { batchTokens: 1000, movedShare: 0.1 };
    const random = fc.array(
      fc.record({ shared: fc.integer({ min: 0, max: 4 }), more: fc.integer({ min: 1, max: 40 }) }),
      { minLength: 1, maxLength: 30 },
    );
    fc.assert(
      fc.property(random, (all) => {
        // The first of all leaves nobody.
        const branches = [{ shared: 0, more: 9 }, ...all].map(({ shared, more }, prompt) => ({
          prompt,
          shared: 20 * shared,
          length: 20 * shared + more,
        }));
        const values = [...new Set(branches.map(({ shared }) => shared))].filter((v) => v > 0);
        // One pass a level here, so that costs can be counted by hand.
        const costAt = (levels: readonly number[]): number =>
          [0, ...levels].reduce((sum, level) => {
            const next =
              levels.filter((other) => other > level).sort((a, b) => a - b)[0] ?? Infinity;
            const group = branches.filter(({ shared }) => shared >= level && shared < next);
            if (group.length === 0) return sum;
            const tokens = group.reduce((total, { length }) => total + length - level, 0);
            return sum + tokens + group.length * level * 0.1 + 32 * Math.max(1, tokens / 1000);
          }, 0);
        const best = costAt(bestLevels(branches, costs));
        for (let chosen = 0; chosen < 2 ** values.length; chosen++) {
          const levels = values.filter((_, i) => (chosen >> i) % 2 === 1);
          expect(best).toBeLessThanOrEqual(costAt(levels) + 1e-9);
        }
      }),
      { seed: 24 },
    );
  });
});

describe('costOf', () => {
  it('counts tokens, what is moved of the past, and the run itself', () => {
    const segments = [30, 25, 21].map((to, prompt) => ({ prompt, to, others: [] }));
    const parents = segments.map((_, row) => ({ pass: 0, row }));
    const pass = { segments, length: 10, past: 20, parents, keeps: false };
    // Tokens 20 … of each, 20 cached ones for each at half a token, and the run; no padding.
    const expected = 10 + 5 + 1 + 3 * 20 * 0.5 + 32;
    expect(costOf(pass, { batchTokens: 64, movedShare: 0.5 })).toBe(expected);
    expect(rowsOf(10, 0, { batchTokens: 64, movedShare: 0 })).toBe(6);
    // 32 batches of 64 tokens are reached back to at the most.
    expect(rowsOf(1, 1023, { batchTokens: 64, movedShare: 0 })).toBe(2);
    expect(rowsOf(100, 0, { batchTokens: 64, movedShare: 0 })).toBe(1);
  });
});

describe('planPasses', () => {
  const plan = (prompts: Prompts, sharing: 'faster' | 'always' | 'never', models = [organism]) =>
    planPasses(prompts, { batchTokens: 512, models, sharing });
  const header = Array.from({ length: 60 }, (_, t) => 3 + t);
  const questions = Array.from({ length: 64 }, (_, i) => [...header, 100 + i, 200 + i, 300 + i]);

  it('reads a header once where that is faster, and everything where it is asked to', () => {
    expect(tokensRead(plan(questions, 'faster'))).toBe(60 + 64 * 3);
    const lengths = questions.map(({ length }) => length);
    expect(plan(questions, 'never')).toEqual(plainPasses(lengths, 512));
  });

  it('reads prompts whole where sharing gains too little', () => {
    const apart = Array.from({ length: 64 }, (_, i) => [1, ...header.map((id) => id + i)]);
    const lengths = apart.map(({ length }) => length);
    expect(plan(apart, 'faster')).toEqual(plainPasses(lengths, 512));
    expect(sharesPasts(plan(apart, 'always'))).toBe(true);
    // One pair among many.
    const one = [...apart, [1, ...header.slice(0, 50), 7]];
    expect(sharesPasts(plan(one, 'faster'))).toBe(false);
  });

  it('reads copies once, and needs no past for it', () => {
    const passes = plan([...questions.slice(0, 1), ...questions.slice(0, 1)], 'faster');
    expect(sharesPasts(passes)).toBe(false);
    expect(tokensRead(passes)).toBe(63);
    expect(passes[0].segments).toEqual([{ prompt: 0, to: 63, others: [{ prompt: 1, to: 63 }] }]);
  });

  it('shares nothing between prompts whose positions turn otherwise', async () => {
    // Trained on 8 tokens: beyond, every length of a prompt has its own frequencies.
    const dynamic = await variantModel('llama_dynamic');
    const ids = Array.from({ length: 12 }, (_, t) => t + 1);
    const short = [ids.slice(0, 8), [...ids.slice(0, 6), 50]];
    expect(tokensRead(plan(short, 'always', [dynamic]))).toBe(9);
    const unequal = [ids, ids.slice(0, 9), ids.slice(0, 8)];
    expect(tokensRead(plan(unequal, 'always', [dynamic]))).toBe(12 + 9 + 8);
    const equal = [ids, [...ids.slice(0, 10), 50, 51]];
    expect(tokensRead(plan(equal, 'always', [dynamic]))).toBe(14);
    // Two tables: one up to 10 tokens and one beyond.
    const longrope = await variantModel('phi3_longrope');
    expect(tokensRead(plan([ids, ids.slice(0, 11)], 'always', [longrope]))).toBe(12);
    expect(tokensRead(plan([ids, ids.slice(0, 10)], 'always', [longrope]))).toBe(22);
    expect(tokensRead(plan([ids, ids.slice(0, 10)], 'always', [dynamic, longrope]))).toBe(22);
  });
});
