import { describe, expect, it } from 'vitest';
import { foldsOf } from '../../src/study/chosen.ts';
import { refuseSplitTopics, straddlingColumns } from '../../src/study/straddle.ts';
import type { Prompt } from '../../src/text/prompts.ts';

/** Six topics of four pairs of two prompts; a wording of two pairs; a split of three sides. */
const prompts = Array.from({ length: 48 }, (_, i): Prompt => {
  const pair = Math.floor(i / 2);
  const topic = `t${Math.floor(i / 8)}`;
  const columns = {
    pair: `p${String(pair).padStart(2, '0')}`,
    wording: `w${Math.floor(pair / 2)}`,
    topic,
    split: 'ABC'[Math.floor(i / 16)],
    harmful: i % 4 < 2,
  };
  return { id: `q${i}`, index: i, line: i + 1, body: { kind: 'text', text: 'x' }, columns };
});
const by = (groups: string) => foldsOf(prompts, { groups, folds: 5 });

describe('refuseSplitTopics', () => {
  it('refuses a planted leak: groups finer than the topic, dealt over the folds', () => {
    const attempt = (): void => refuseSplitTopics(prompts, by('pair'));
    expect(attempt).toThrow('prompts of topic "t0" lie in fold 0 and in fold 1 — --groups pair');
    expect(attempt).toThrow(expect.objectContaining({ code: 'SPLIT_LEAKS', exitCode: 3 }));
  });

  it('lets pass the topic itself, what gathers whole topics, and prompts without topics', () => {
    expect(() => refuseSplitTopics(prompts, by('topic'))).not.toThrow();
    const coarse = prompts.map((prompt) => ({
      ...prompt,
      columns: { ...prompt.columns, field: `f${Number(String(prompt.columns['topic'])[1]) % 5}` },
    }));
    expect(() =>
      refuseSplitTopics(coarse, foldsOf(coarse, { groups: 'field', folds: 5 })),
    ).not.toThrow();
    const bare = prompts.map((prompt) => ({
      ...prompt,
      columns: { pair: prompt.columns['pair'] },
    }));
    const folds = foldsOf(bare, { groups: 'pair', folds: 5 });
    expect(() => refuseSplitTopics(bare, folds)).not.toThrow();
  });
});

describe('straddlingColumns', () => {
  it('names what gathers whole groups under another name, and neither labels nor splits', () => {
    expect(straddlingColumns(prompts, by('pair'))).toEqual(['wording']);
    expect(straddlingColumns(prompts, by('wording'))).toEqual([]);
    expect(straddlingColumns(prompts, by('topic'))).toEqual([]);
    // Of twelve topics, six sides: as many as there are folds, and more.
    const sides = prompts.map((prompt, i) => {
      const topic = Math.floor(i / 4);
      const columns = { topic: `t${String(topic).padStart(2, '0')}`, split: `s${topic % 6}` };
      return { ...prompt, columns };
    });
    expect(straddlingColumns(sides, foldsOf(sides, { groups: 'topic', folds: 5 }))).toEqual([]);
  });
});
