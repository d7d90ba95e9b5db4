import { describe, expect, it } from 'vitest';
import { type AddedToken, alignTokens, spellingOf } from '../../src/text/spans.ts';
import { refusal } from './support.ts';

const added = (...tokens: readonly AddedToken[]): ReadonlyMap<string, AddedToken> =>
  new Map(tokens.map((token) => [token.content, token]));
const plain = { lstrip: false, rstrip: false };
const none = added();

/** The text under each token. */
function under(
  text: string,
  ...rest: Parameters<typeof alignTokens> extends [string, ...infer R] ? R : never
): string[] {
  return alignTokens(text, ...rest).map(({ start, end }) => text.slice(start, end));
}

describe('alignTokens', () => {
  it('gives each byte of a character the whole character', () => {
    expect(alignTokens('a😀b', ['a', 'ðŁ', 'ĺĢ', 'b'], none, 'bytes')).toEqual([
      { start: 0, end: 1 },
      { start: 1, end: 3 },
      { start: 1, end: 3 },
      { start: 3, end: 4 },
    ]);
    expect(alignTokens('é', ['▁', '<0xC3>', '<0xA9>'], none, 'sentencepiece')).toEqual([
      { start: 0, end: 0 },
      { start: 0, end: 1 },
      { start: 0, end: 1 },
    ]);
  });

  it('knows the space that a tokenizer puts first from one that is written', () => {
    expect(under('hi you', ['▁hi', '▁you'], none, 'sentencepiece')).toEqual(['hi', ' you']);
    expect(under(' hi', ['▁hi'], none, 'sentencepiece')).toEqual([' hi']);
    expect(under(' hi', ['▁', '▁hi'], none, 'sentencepiece')).toEqual(['', ' hi']);
    expect(under('hi', ['Ġhi'], none, 'bytes')).toEqual(['hi']);
  });

  it('lets that space stand again after each added token', () => {
    const tokens = added({ content: '</s>', ...plain });
    expect(under('hi</s>hi', ['▁hi', '</s>', '▁hi'], tokens, 'sentencepiece')).toEqual([
      'hi',
      '</s>',
      'hi',
    ]);
    expect(under('hi</s> hi', ['▁hi', '</s>', '▁hi'], tokens, 'sentencepiece')).toEqual([
      'hi',
      '</s>',
      ' hi',
    ]);
  });

  it('gives white space to the added token that swallows it', () => {
    const left = added({ content: '<m>', lstrip: true, rstrip: false });
    expect(under('hi  <m> x', ['hi', '<m>', 'Ġx'], left, 'bytes')).toEqual(['hi', '  <m>', ' x']);
    const right = added({ content: '<m>', lstrip: false, rstrip: true });
    expect(under('hi <m> \nx', ['hi', 'Ġ', '<m>', 'x'], right, 'bytes')).toEqual([
      'hi',
      ' ',
      '<m> \n',
      'x',
    ]);
  });

  it('passes over every white space that Unicode knows', () => {
    expect(under('a\u00a0\u3000\u2028b\ufeff', ['a', 'b'], none, 'words')).toEqual(['a', 'b']);
  });

  it('does not take an added token for a spelling', () => {
    const tokens = added({ content: '<0x41>', ...plain });
    expect(under('<0x41>', ['<0x41>'], tokens, 'sentencepiece')).toEqual(['<0x41>']);
    expect(under('A', ['▁', '<0x41>'], none, 'sentencepiece')).toEqual(['', 'A']);
  });

  it.each([
    ['hello', ['hel'], 'bytes', 'the tokens end before the text does', 'character 3, "lo"'],
    ['hello', ['hel', 'lx'], 'bytes', 'token 1 "lx" does not spell the text', 'character 4, "o"'],
    ['hel', ['hel', 'lo'], 'bytes', 'token 1 "lo" does not spell the text', 'character 3, ""'],
    ['a b', ['a', '[UNK]'], 'words', 'token 1 "[UNK]" does not spell the text', 'character 2, "b"'],
    ['a b', ['a'], 'words', 'the tokens end before the text does', 'character 2, "b"'],
    ['a b', [], 'bytes', 'the tokens end before the text does', 'character 0, "a b"'],
  ] as const)('refuses %s as %o', async (text, tokens, spelling, what, where) => {
    expect(await refusal(() => alignTokens(text, tokens, none, spelling))).toBe(
      `POSITION_UNRESOLVED: ${what}, so no place in it can be told — ${where} (Write the prompt as the tokenizer normalises it (case, Unicode NFC), or ask only for last, all or token:K.)`,
    );
  });
});

describe('spellingOf', () => {
  it('tells byte-level, SentencePiece and whole words apart', () => {
    const bytes = { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'ByteLevel' }] } };
    const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
    expect(spellingOf({ ...bytes, decoder: { type: 'ByteLevel' } })).toBe('bytes');
    expect(spellingOf({ normalizer: { type: 'Sequence', normalizers: [replace] } })).toBe(
      'sentencepiece',
    );
    expect(spellingOf({ decoder: { type: 'Metaspace', replacement: '▁' } })).toBe('sentencepiece');
    expect(spellingOf({ pre_tokenizer: { type: 'WhitespaceSplit' } })).toBe('words');
  });
});
