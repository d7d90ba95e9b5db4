import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import { canonicalJson, parseJson } from '../../src/base/json.ts';

const seed = 20261121;

/** The message of the refusal of `text`, without the place's name. */
function refusal(text: string): string {
  try {
    parseJson(text, 'x.json');
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    if (error instanceof UserError) {
      expect(error.where).toBe('x.json');
      return error.what;
    }
  }
  throw new Error(`accepted: ${text}`);
}

function accepts(text: string, parse: (text: string) => unknown): unknown {
  try {
    return { value: parse(text) };
  } catch {
    return 'refused';
  }
}

describe('parseJson', () => {
  it('reads what JSON.stringify writes, as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(4), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), null, indent);
        expect(parseJson(spaced, '')).toStrictEqual(JSON.parse(spaced));
      }),
      { seed, numRuns: 300 },
    );
  });

  it('accepts and refuses what JSON.parse does, in texts of one flaw', () => {
    const marks = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '0',
      '-',
      '.',
      'e',
      ' ',
      '\n',
      '\u0001',
      't',
    ];
    const edits = fc.record({
      at: fc.nat(200),
      cut: fc.nat(2),
      put: fc.constantFrom('', ...marks),
    });
    fc.assert(
      fc.property(fc.json(), edits, (text, { at, cut, put }) => {
        const place = at % (text.length + 1);
        const edited = text.slice(0, place) + put + text.slice(place + cut);
        const ours = accepts(edited, (t) => parseJson(t, ''));
        // An edit may also make two keys equal or a number too large, where we mean to differ.
        if (ours === 'refused' && /stands twice|too large/.test(refusal(edited))) return;
        expect(ours).toStrictEqual(accepts(edited, (t) => JSON.parse(t) as unknown));
      }),
      { seed, numRuns: 2000 },
    );
  });

  it('keeps __proto__ an ordinary key', () => {
    const value = parseJson('{"__proto__": {"a": 1}}', '');
    expect(JSON.stringify(value)).toBe('{"__proto__":{"a":1}}');
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it.each([
    { text: '{"a": 1, "b": 2, "a": 3}', why: 'at line 1, column 18: the key "a" stands twice' },
    {
      text: '{"a": {"b": 1, "\\u0062": 2}}',
      why: 'at line 1, column 16: the key "b" stands twice',
    },
    {
      text: '{"__proto__": 1, "__proto__": 2}',
      why: 'at line 1, column 18: the key "__proto__" stands twice',
    },
    { text: '', why: 'at its end: a value was due' },
    { text: '{"a": [1, 2', why: 'at its end: "," or "]" is missing' },
    { text: '{\n  "a": 1,\n}', why: 'at line 3, column 1: a key in quotes is missing' },
    { text: '{"a" 1}', why: 'at line 1, column 6: ":" is missing after the key "a"' },
    { text: '[NaN]', why: 'at line 1, column 2: a value was due' },
    { text: '[nul]', why: 'at line 1, column 2: a value was due' },
    { text: '[1e999]', why: 'at line 1, column 2: a number is too large for a float64' },
    { text: '"abc', why: 'at its end: the text ends inside a string' },
    { text: '"a\tb"', why: 'at line 1, column 3: a control character stands in a string' },
    { text: '"\\x"', why: 'at line 1, column 1: a string holds an escape that JSON does not know' },
    { text: '{} {}', why: 'at line 1, column 4: something follows the end of the value' },
    { text: '\uFEFF{}', why: 'at line 1, column 1: a value was due' },
    { text: '['.repeat(100_000), why: 'at line 1, column 102: nested deeper than 100 levels' },
  ])('refuses, saying where and why: $why', ({ text, why }) => {
    expect(refusal(text)).toBe(`not valid JSON ${why}`);
  });

  it('gives the code and the mend it was told', () => {
    const options = { code: 'PROMPTS_INVALID', fix: 'Mend the row.' } as const;
    expect(() => parseJson('', 'row 3', options)).toThrow(expect.objectContaining(options));
  });
});

describe('canonicalJson', () => {
  it('is the same for every order of keys, and means the same', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const reversed = Object.fromEntries(Object.entries(object).toReversed());
        expect(canonicalJson(object)).toBe(canonicalJson(reversed));
        expect(JSON.parse(canonicalJson(object))).toEqual(JSON.parse(JSON.stringify(object)));
      }),
      { seed, numRuns: 200 },
    );
  });

  it('matches a text spelt by hand', () => {
    expect(canonicalJson({ b: [1, { z: null, y: 'é' }], a: 1e-5 })).toBe(
      '{"a":0.00001,"b":[1,{"y":"é","z":null}]}',
    );
  });
});
