import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import {
  compilePattern,
  matchesStart,
  matchesWhole,
  usualEffort,
  type Pattern,
} from '../../src/base/pattern.ts';

interface Oracle {
  readonly names: readonly string[];
  /** An expression; a digit for each name, or null where Python refuses the expression. */
  readonly fullmatch_and_ending: readonly (readonly [string, string | null, string | null])[];
}

const path = join(import.meta.dirname, '..', 'golden', 'adapters', 'patterns.json');
const oracle: Oracle = JSON.parse(readFileSync(path, 'utf8'));

function pattern(source: string): Pattern {
  return compilePattern(source, 'here', { left: usualEffort });
}

/** What we say of every name, spelt as the oracle spells it; null if we refuse the expression. */
function verdicts(source: string, matches: typeof matchesWhole): string | null {
  try {
    const compiled = pattern(source);
    return oracle.names.map((name) => (matches(compiled, name) ? '1' : '0')).join('');
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

describe('matchesWhole and matchesStart', () => {
  it.each(oracle.fullmatch_and_ending)('say of "%s" what Python says', (source, whole, ending) => {
    expect(verdicts(source, matchesWhole)).toBe(whole);
    expect(verdicts(`(.*\\.)?(${source})$`, matchesStart)).toBe(ending);
  });

  it('are held against enough expressions, of which many match some names and not others', () => {
    const mixed = oracle.fullmatch_and_ending.filter(([, whole]) => /01|10/.test(whole ?? ''));
    expect(oracle.fullmatch_and_ending.length).toBeGreaterThan(300);
    expect(mixed.length).toBeGreaterThan(60);
  });

  it('match a beginning, or the whole', () => {
    expect(matchesStart(pattern('ab'), 'abc')).toBe(true);
    expect(matchesWhole(pattern('ab'), 'abc')).toBe(false);
    expect(matchesStart(pattern('bc'), 'abc')).toBe(false);
  });
});

describe('compilePattern', () => {
  it.each([
    ['(a)\\1', '"\\1" is not supported'],
    ['(?<=a)b', '"(?<=" is not supported'],
    ['(?i)a', '"(?i)" is not supported'],
    ['a*+', 'possessive repeats are not supported'],
    ['(?>a)', '"(?>a" is not supported'],
    ['(', 'a "(" is not closed'],
    ['a)', 'a ")" closes nothing'],
    ['[a', 'a "[" is not closed'],
    ['a{9999}', 'it repeats more than 1000 times'],
    ['('.repeat(60), 'its groups are nested too deeply'],
    ['a'.repeat(4001), 'it has 4001 characters'],
  ])('refuses "%s"', (source, why) => {
    expect(() => pattern(source)).toThrowError(
      expect.objectContaining({ code: 'CONFIG_UNSUPPORTED', what: expect.stringContaining(why) }),
    );
  });

  it.each(['(a{900}){900}', '(?=(?=(?=a{900}){900}){900}){900}', '((((a{9}){9}){9}){9}){9}'])(
    'refuses "%s" before it is unrolled',
    (source) => {
      expect(() => pattern(source)).toThrowError(/takes too long to match/);
    },
  );

  it.each([
    '(a+)+$',
    '((a*)*)*$',
    '(a|a)*$',
    '(a|aa)+$',
    '(.*a){12}$',
    '(?=(a+)+$)a',
    '(?!.*(a|a)*c)(a?){60}a{60}$',
  ])('is done with "%s" where a backtracking matcher would never be', (source) => {
    const effort = { left: 3_000_000 };
    const compiled = compilePattern(source, 'here', effort);
    expect(matchesStart(compiled, `${'a'.repeat(58)}b`)).toBe(false);
    expect(effort.left).toBeGreaterThan(0);
  });

  it('gives up, by name, when the effort is spent', () => {
    const compiled = compilePattern('(.*a)*', 'rank_pattern', { left: 20 });
    expect(() => matchesWhole(compiled, 'b'.repeat(50))).toThrowError(
      'the expression "(.*a)*" takes too long to match — rank_pattern',
    );
  });
});
