/** Does every row count, and is it held against the row that it should be? */

import { describe, expect, it } from 'vitest';
import { checkPadding, checkPrefix, companyOf, isUnmoved } from '../../src/record/invariances.ts';
import { samplePrompts, sharedTokens, type Prompts, type Sites } from '../../src/record/passes.ts';
import { goldenFolder, modelIn } from '../support/golden.ts';

const model = await modelIn(goldenFolder('gpt2'));
const prompts = samplePrompts(model, 0);
const lengths = prompts.map(({ length }) => length);

/** What a model would give that adds up the tokens so far: a row depends on what is before it alone. */
function sums(of: Prompts): Sites {
  const rows = of.flatMap((ids) => ids.map((_, t) => ids.slice(0, t + 1).reduce((a, b) => a + b)));
  return {
    'resid_post.0': {
      data: Float32Array.from(rows.flatMap((sum) => [sum, 1])),
      shape: [rows.length, 2],
    },
  };
}

/** The same with one number moved. */
function moved({ 'resid_post.0': { data, shape } }: Sites, row: number): Sites {
  const other = data.slice();
  other[2 * row] += 1;
  return { 'resid_post.0': { data: other, shape } };
}

function rowsOf({ 'resid_post.0': { shape } }: Sites): number[] {
  return Array.from({ length: shape[0] }, (_, row) => row);
}

const bare = sums(prompts);
const [beside, alone] = companyOf(prompts, model).map((batch) => sums(batch.prompts));
const begin = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0));

describe('companyOf', () => {
  it('has another order, other lengths and another token for padding than the prompts', () => {
    const [together, single] = companyOf(prompts, model);
    const longer = [...prompts[0], ...prompts[0].slice(0, 3)];
    expect(together.prompts).toEqual([longer, prompts[3], prompts[2]]);
    expect(single.prompts).toEqual([prompts[1]]);
    // Passes pad with token 0 unless told.
    expect([0, undefined]).not.toContain(together.fill);
  });
});

describe('isUnmoved', () => {
  it('hears every row of the prompts in other company', () => {
    expect(isUnmoved(bare, beside, prompts)).toBe(true);
    const unheard = rowsOf(beside).filter((row) => isUnmoved(bare, moved(beside, row), prompts));
    // Only what goes on after the first prompt has nothing to be held against.
    expect(unheard).toEqual([0, 1, 2].map((more) => lengths[0] + more));
    const unseen = rowsOf(bare).filter((row) => isUnmoved(moved(bare, row), beside, prompts));
    expect(unseen).toEqual([]);
  });
});

describe('checkPadding', () => {
  const check = (of: readonly Sites[]) => checkPadding(bare, of, model, prompts);

  it('holds where rows are the same in company and alone, and hears each that is not', () => {
    expect(check([beside, alone])).toMatchObject({ outcome: 'holds', worst: 0 });
    const heard = rowsOf(beside).filter(
      (row) => check([moved(beside, row), alone]).outcome === 'fails',
    );
    expect(heard).toHaveLength(rowsOf(beside).length - 3);
    for (const row of rowsOf(alone)) {
      expect(check([beside, moved(alone, row)])).toMatchObject({
        outcome: 'fails',
        detail: expect.stringMatching(/ at resid_post\.0, prompt 1 alone$/),
      });
    }
  });
});

describe('checkPrefix', () => {
  it('holds beginnings against each other, whatever comes after them', () => {
    const known = sharedTokens(prompts[0]);
    expect(checkPrefix(bare, model, prompts)).toMatchObject({ outcome: 'holds', worst: 0 });
    const heard = rowsOf(bare).filter(
      (row) => checkPrefix(moved(bare, row), model, prompts).outcome === 'fails',
    );
    const beginnings = begin
      .slice(0, 3)
      .flatMap((start) => rowsOf(bare).slice(start, start + known));
    expect(heard).toEqual(beginnings);
    const [prefix, other] = [begin[1], begin[2]].map((row) =>
      checkPrefix(moved(bare, row), model, prompts),
    );
    expect(prefix.detail).toMatch(/, no future$/);
    expect(other.detail).toMatch(/, another future$/);
  });
});
