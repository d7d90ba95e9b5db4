import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainLine, plainText, shortened, widthOf } from '../../src/cli/text.ts';

describe('plainText', () => {
  it('lets no control character through, whatever the text', () => {
    const nasty = fc.constantFrom('\u001b', '[', ']', '\u0007', '\u009b', '\u009d', '\\', ';', '\r', '\n', '\t', '\u202e', 'm', 'é'); // prettier-ignore
    fc.assert(
      fc.property(fc.string({ unit: nasty, maxLength: 12 }), (text) => {
        expect(plainText(text)).not.toMatch(/(?![\n\t])[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
        expect(plainLine(text)).not.toMatch(/\p{Cc}/u);
      }),
    );
  });

  it('takes sequences away whole', () => {
    expect(plainText('a\u001b[31mred\u001b[0m b')).toBe('ared b');
    expect(plainText('\u001b]0;title\u0007x\u009b2Jy')).toBe('xy');
    expect(plainText('\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\')).toBe('link');
  });

  it('leaves ordinary text of all kinds alone', () => {
    const text = 'naïve “quotes” 日本語\n\t[1m] 🙂‍↕️ €';
    expect(plainText(text)).toBe(text);
  });
});

describe('widthOf', () => {
  it.each([
    ['resid_post', 10],
    ['Ġnaïve', 6],
    ['nai\u0308ve', 5],
    ['日本', 4],
    ['🙂', 2],
    ['👩‍👩‍👧', 2],
    ['▁▃█', 3],
    ['', 0],
  ])('measures %s', (text, width) => {
    expect(widthOf(text)).toBe(width);
  });
});

describe('shortened', () => {
  it('never exceeds the width and keeps what fits', () => {
    expect(shortened('abcdef', 6)).toBe('abcdef');
    expect(shortened('abcdef', 4)).toBe('abc…');
    expect(shortened('日本語', 4)).toBe('日…');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, width) => {
        expect(widthOf(shortened(text, width))).toBeLessThanOrEqual(width);
      }),
    );
  });
});
