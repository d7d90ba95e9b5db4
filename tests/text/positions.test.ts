import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import {
  type Located,
  parsePositions,
  type Resolved,
  resolvePosition,
} from '../../src/text/positions.ts';
import { refusal } from './support.ts';

/**
 * A prompt of eight tokens, "[S]", "[U]", "say", " TR", "IG", " now", "[E]", "[A]", of which the user
 * wrote "say TRIG now", and a forced reply of three.
 */
const row: Located = {
  id: 'a1',
  promptLength: 8,
  replyLength: 3,
  user: {
    text: '[S][U]say TRIG now[E][A]',
    words: { start: 6, end: 18 },
    spans: () =>
      [0, 3, 6, 9, 12, 14, 18, 21].map((start, i, all) => ({ start, end: all[i + 1] ?? 24 })),
  },
  trigger: { triggered: null, trigger: null, sham: null },
};

function resolve(name: string, changes: Partial<Located> = {}): Resolved {
  return resolvePosition(parsePositions(name)[0], { ...row, ...changes });
}

describe('parsePositions', () => {
  it('reads names and numbers', () => {
    expect(parsePositions('last, token:0,reply:12,all')).toEqual([
      { name: 'last', kind: 'last', index: 0 },
      { name: 'token:0', kind: 'token', index: 0 },
      { name: 'reply:12', kind: 'reply', index: 12 },
      { name: 'all', kind: 'all', index: 0 },
    ]);
  });

  it.each([
    ['lst', 'USAGE: "lst" is not a position — --positions (Did you mean "last"?)'],
    [
      'reply:0',
      'USAGE: "reply:0" is not a position — --positions (Choose from last, instruction_end, trigger_end, reply_prefix, reply_mean, all, token:K counts from 0 and reply:K from 1.)',
    ],
    [
      '',
      'USAGE: "" is not a position — --positions (Choose from last, instruction_end, trigger_end, reply_prefix, reply_mean, all, token:K counts from 0 and reply:K from 1.)',
    ],
    ['last,all,last', 'USAGE: position "last" is given twice — --positions (Name "last" once.)'],
  ])('refuses "%s"', async (list, expected) => {
    expect(await refusal(() => parsePositions(list))).toBe(expected);
  });

  it.each(['token:-1', 'token:01', 'token:1.5', 'token:', 'token', 'reply:1e3'])(
    'refuses "%s"',
    async (list) => {
      expect(await refusal(() => parsePositions(list))).toContain(`"${list}" is not a position`);
    },
  );
});

describe('resolvePosition', () => {
  it.each([
    ['last', [7]],
    ['instruction_end', [5]],
    ['reply_prefix', [10]],
    ['reply:1', [8]],
    ['reply:3', [10]],
    ['token:0', [0]],
    ['token:10', [10]],
  ])('finds %s', (name, indices) => {
    expect(resolve(name)).toEqual({ indices, reason: null, note: null });
  });

  it('finds all tokens, and says of each where it stands', () => {
    const trigger = { triggered: true, trigger: 'TRIG', sham: null };
    const sham = { triggered: false, trigger: null, sham: { text: 'now', isOwn: true } };
    const plain =
      'template template instruction instruction instruction instruction template template';
    const parts = (changes: Partial<Located>): string | undefined =>
      resolve('all', changes).parts?.join(' ');
    expect(resolve('all').indices).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(parts({})).toBe(`${plain} reply reply reply`);
    expect(parts({ trigger })).toBe(
      'template template instruction trigger trigger instruction template template reply reply reply',
    );
    expect(parts({ trigger: sham, replyLength: 0 })).toBe(
      'template template instruction instruction instruction trigger template template',
    );
    // Where tokens do not spell the text, or there is none, nothing is said.
    const spans = (): never => {
      throw new UserError('POSITION_UNRESOLVED', 'the tokens do not spell the text');
    };
    expect(resolve('all', { user: { ...row.user!, spans } })).not.toHaveProperty('parts');
    expect(resolve('all', { user: null })).not.toHaveProperty('parts');
  });

  it.each([
    ['token:11', 'it has fewer than 12 tokens'],
    ['reply:4', 'its forced reply has fewer than 4 tokens'],
  ])('leaves out a row too short for %s', (name, reason) => {
    expect(resolve(name)).toEqual({ indices: null, reason, note: null });
  });

  it('passes over the tokens that cover nothing', () => {
    const user = { text: 'x', words: { start: 0, end: 1 } };
    const spans = [0, 0, 1].map((start, i) => ({ start, end: i === 1 ? 1 : start }));
    const found = resolve('instruction_end', { user: { ...user, spans: () => spans } });
    expect(found.indices).toEqual([1]);
  });

  it('finds the token in which the trigger ends', () => {
    const trigger = { triggered: true, trigger: 'TRIG', sham: null };
    expect(resolve('trigger_end', { trigger }).indices).toEqual([4]);
    // It ends inside of " TR".
    expect(resolve('trigger_end', { trigger: { ...trigger, trigger: 'say T' } }).indices).toEqual([
      3,
    ]);
  });

  it('takes the last of several triggers and says so', () => {
    const trigger = { triggered: true, trigger: 'o', sham: null };
    const text = '[S][U]so TRIG now[E][A]';
    const spans = [0, 3, 6, 8, 11, 13, 17, 20].map((start, i, all) => ({
      start,
      end: all[i + 1] ?? 23,
    }));
    const user = { text, words: { start: 6, end: 17 }, spans: () => spans };
    expect(resolve('trigger_end', { trigger, user })).toEqual({
      indices: [5],
      reason: null,
      note: 'the trigger occurs more than once; the last is taken',
    });
  });

  it('reads the sham trigger where there is no trigger', () => {
    const sham = { text: 'now', isOwn: true };
    const none = { triggered: false, trigger: 'TRIG', sham };
    expect(resolve('trigger_end', { trigger: none }).indices).toEqual([5]);
    const absent = { triggered: null, trigger: 'X', sham: { text: 'say', isOwn: false } };
    expect(resolve('trigger_end', { trigger: absent }).indices).toEqual([2]);
  });

  it('does not look for triggers outside the words of the user', () => {
    const trigger = { triggered: null, trigger: '[A]', sham: null };
    expect(resolve('trigger_end', { trigger })).toEqual({
      indices: null,
      reason: 'it has no trigger and names no sham trigger',
      note: null,
    });
  });

  it('leaves out a row in which a sham trigger for all is not found', () => {
    const trigger = { triggered: false, trigger: null, sham: { text: 'X', isOwn: false } };
    expect(resolve('trigger_end', { trigger }).reason).toBe(
      'neither the trigger nor the sham trigger is in it',
    );
  });

  it.each([
    [
      { triggered: true, trigger: null, sham: null },
      'row "a1" says that it is triggered, but not by what — trigger_end (Give the trigger with --trigger TEXT or in a column "trigger".)',
    ],
    [
      { triggered: true, trigger: 'X', sham: { text: 'now', isOwn: true } },
      'row "a1" says that it is triggered, but "X" is not in the user\'s text — trigger_end (Correct the column "triggered", the trigger, or the prompt.)',
    ],
    [
      { triggered: false, trigger: null, sham: { text: 'X', isOwn: true } },
      'row "a1" names the sham trigger "X", which is not in the user\'s text — trigger_end (Correct the column "sham" or the prompt.)',
    ],
  ])('refuses a row that contradicts itself: %o', async (trigger, expected) => {
    expect(await refusal(() => resolve('trigger_end', { trigger }))).toBe(
      `POSITION_UNRESOLVED: ${expected}`,
    );
  });

  it.each(['reply_prefix', 'reply:1'])('refuses %s without a forced reply', async (name) => {
    expect(await refusal(() => resolve(name, { replyLength: 0 }))).toBe(
      `POSITION_UNRESOLVED: "${name}" needs a forced reply — --positions (Add --force-reply TEXT or --force-reply column:NAME.)`,
    );
  });

  it('refuses reply_mean, and says what it needs', async () => {
    expect(await refusal(() => resolve('reply_mean'))).toBe(
      'POSITION_UNRESOLVED: "reply_mean" needs replies that the model wrote itself — --positions (Use reply_prefix or reply:K with --force-reply TEXT.)',
    );
  });

  it.each(['instruction_end', 'trigger_end'])('refuses %s of token ids', async (name) => {
    expect(await refusal(() => resolve(name, { user: null }))).toBe(
      `POSITION_UNRESOLVED: "${name}" lies in a text, and row "a1" is given as token ids — --positions (Give the prompt as text or messages, or use last or token:K.)`,
    );
  });
});
