import { beforeAll, describe, expect, it } from 'vitest';
import { accountFor, accountLines, type TokenAccount } from '../../src/text/accounting.ts';
import { parsePositions } from '../../src/text/positions.ts';
import { preparePrompts } from '../../src/text/prepare.ts';
import type { PromptBody } from '../../src/text/prompts.ts';
import { openTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { copyOf, folders, promptSet, refusal } from './support.ts';

const options = { positions: parsePositions('last') };
let bytelevel: Tokenizer;
let organism: Tokenizer;

beforeAll(async () => {
  bytelevel = await openTokenizer(folders.bytelevel);
  organism = await openTokenizer(folders.organism);
});

function account(
  tokenizer: Tokenizer | null,
  bodies: readonly PromptBody[],
  limit?: number,
): TokenAccount {
  const set = promptSet(...bodies.map((body) => ({ body })));
  return accountFor(preparePrompts(set, tokenizer, options), set.prompts, tokenizer, limit ?? null);
}

const text = (words: string): PromptBody => ({ kind: 'text', text: words });
const ids = (...list: number[]): PromptBody => ({ kind: 'ids', ids: list });
const chat = (content: string): PromptBody => ({
  kind: 'messages',
  messages: [{ role: 'user', content }],
});

describe('accountFor', () => {
  it('says who put the BOS in front', () => {
    const bos = bytelevel.bosId ?? -1;
    const found = account(bytelevel, [
      chat('hi'),
      chat('ho'),
      text('hi'),
      ids(bos, 5),
      ids(5, 6, 7),
    ]);
    expect(found.bos).toEqual({
      token: '<|bos|>',
      template: 2,
      tokenizer: 1,
      prompt: 1,
      none: 1,
      repeated: 0,
    });
    expect(accountLines(found)).toEqual([
      'BOS "<|bos|>": 2 by the chat template, 1 by the tokenizer, 1 in the prompt itself, 1 without',
      expect.stringMatching(/^0 tokens cut off: prompts are never cut; the longest has \d+$/),
      '1 prompt goes in as plain text, though the model has a chat template; give them as messages to have it applied',
    ]);
  });

  it('names a BOS that prompts given as ids repeat, and one within a text', () => {
    const bos = bytelevel.bosId ?? -1;
    expect(account(bytelevel, [ids(bos, bos, 5), chat('a <|bos|> b')]).remarks).toEqual([
      '2 prompts hold "<|bos|>" more than once',
    ]);
  });

  it('says where the chat template writes none and the tokenizer would', async () => {
    const template = "{{ messages[0]['content'] }}";
    const silent = await openTokenizer(
      await copyOf(folders.bytelevel, { 'chat_template.jinja': template }),
    );
    const { bos, remarks } = account(silent, [chat('hi')]);
    expect(bos).toMatchObject({ none: 1, template: 0 });
    expect(remarks).toEqual([
      'the chat template writes no "<|bos|>", though the tokenizer puts one before plain text; the template is followed',
    ]);
  });

  it('has nothing to say of ids without a tokenizer', () => {
    expect(account(null, [ids(1, 2, 3)], 9)).toEqual({
      bos: null,
      dropped: 0,
      longest: 3,
      limit: 9,
      remarks: [],
    });
    expect(accountLines(account(null, [ids(1, 2, 3)], 9))).toEqual([
      '0 tokens cut off: prompts are never cut, --token-limit 9 refuses longer ones; the longest has 3',
    ]);
  });

  it('counts the template of the organism, whose tokenizer adds none', () => {
    expect(account(organism, [chat('How are you ?'), text('How')]).bos).toMatchObject({
      template: 1,
      none: 1,
    });
  });
});

describe('a BOS that is put in twice', () => {
  it('is refused where a template writes it twice', async () => {
    const template = "<|bos|>{{ bos_token }}{{ messages[0]['content'] }}";
    const twice = await openTokenizer(
      await copyOf(folders.bytelevel, { 'chat_template.jinja': template }),
    );
    expect(await refusal(() => account(twice, [chat('hi')]))).toBe(
      'PROMPTS_INVALID: the prompt would begin with "<|bos|>" twice — row "p0", line 1 of prompts.jsonl (Remove "<|bos|>" from the message, or from the chat template if that writes it twice.)',
    );
  });
});
