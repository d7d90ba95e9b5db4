import { describe, expect, it } from 'vitest';
import { isColumnName, isTrue, parseWhere } from '../../src/study/where.ts';
import type { Prompt } from '../../src/text/prompts.ts';

const prompt = (columns: Record<string, unknown>): Prompt => ({
  id: 'p',
  index: 0,
  line: 1,
  body: { kind: 'text', text: 'x' },
  columns,
});

const row = prompt({
  split: 'C',
  triggered: true,
  harmful: 0,
  score: 7,
  note: 'a b',
  schädlich: true,
  größe: 7,
});

describe('parseWhere', () => {
  it.each([
    ['', true],
    ['triggered', true],
    ['!triggered', false],
    ['harmful', false],
    ['!harmful & triggered', true],
    ['split=C', true],
    ['split = C & score=7', true],
    ['split!=C', false],
    ['note="a b"', true],
    ["note='a b' & !triggered", false],
    [`note="a b'`, false],
    ['id=p', true],
    ['schädlich & größe=7', true],
    ['!schädlich', false],
    ['triggered=1', true],
    ['triggered=true & harmful=0', true],
    ['triggered!=1', false],
    ['harmful!=false', false],
    ['score!=1 & score!=true', true],
  ])('reads %j as %s', (expression, expected) => {
    expect(parseWhere(expression)(row)).toBe(expected);
  });

  it('refuses what is no condition', () => {
    expect(() => parseWhere('split==C')).toThrow('"split==C" is no condition');
    expect(() => parseWhere('split!= =C')).toThrow('"split!= =C" is no condition');
    expect(parseWhere('split="=C"')(row)).toBe(false);
    expect(parseWhere('split!=C=')(row)).toBe(true);
    expect(() => parseWhere('a b')).toThrow('"a b" is no condition — --where "a b"');
    expect(() => parseWhere('triggered &')).toThrow('"" is no condition');
  });

  it('refuses a column that a prompt does not have, and names the nearest', () => {
    expect(() => parseWhere('harmfull')(row)).toThrow('prompt "p" has no column "harmfull"');
    expect(() => parseWhere('harmfull')(row)).toThrow(
      expect.objectContaining({ fix: 'Did you mean "harmful"?' }),
    );
  });
});

describe('isColumnName', () => {
  it('takes what can stand in a condition, in any script, and nothing else', () => {
    // An e with its accent as a letter of its own, vowels that are marks, and no letters at all.
    const names = ['schädlich', 'e\u0301tat', 'लेबल', 'ラベル', 'split.2', 'is_harmful', '0-1'];
    for (const name of names) {
      expect([name, isColumnName(name)]).toEqual([name, true]);
      const labelled = prompt({ [name]: true });
      for (const condition of [name, `${name}=1`, `${name} != 0`]) {
        expect([condition, parseWhere(condition)(labelled)]).toEqual([condition, true]);
      }
    }
    const others = ['', 'is triggered', 'a&b', '!a', 'a=b', '"a"', 'a\n'];
    expect(others.filter(isColumnName)).toEqual([]);
  });
});

describe('isTrue', () => {
  it('takes true, false, 1 and 0, and nothing else', () => {
    expect(isTrue(row, 'triggered')).toBe(true);
    expect(isTrue(row, 'harmful')).toBe(false);
    expect(() => isTrue(row, 'score')).toThrow('column "score" holds 7 — prompt "p"');
    expect(() => isTrue(prompt({ label: 'true' }), 'label')).toThrow('column "label" holds "true"');
    expect(() => isTrue(prompt({ label: null }), 'label')).toThrow('column "label" holds null');
  });
});
