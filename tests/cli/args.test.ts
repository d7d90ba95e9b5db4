import { describe, expect, it } from 'vitest';
import { distinct, list, namedModel, option, pair, positive, whole } from '../../src/cli/args.ts';

describe('whole', () => {
  it.each([
    ['0', 0],
    ['7411', 7411],
    ['+5', 5],
  ])('reads %s', (text, value) => {
    expect(whole(0, 65_535)(text)).toBe(value);
  });

  it.each(['', '1.5', '1e3', '0x10', '-1', '65536', 'many', ' 1', 'NaN'])(
    'refuses "%s"',
    (text) => {
      expect(() => whole(0, 65_535)(text)).toThrow(`"${text}" is not a whole number, 0 to 65535`);
    },
  );

  it('refuses a number that float64 does not hold', () => {
    expect(() => whole(1)('9007199254740993')).toThrow('is not a whole number, 1 or more');
  });
});

describe('positive', () => {
  it.each([
    ['1', 1],
    ['.1', 0.1],
    ['1e-3', 0.001],
  ])('reads %s', (text, value) => {
    expect(positive(text)).toBe(value);
  });

  it.each(['0', '-1', '1e999', 'Infinity', '', '1,5'])('refuses "%s"', (text) => {
    expect(() => positive(text)).toThrow(`"${text}" is not a number above 0`);
  });
});

describe('list', () => {
  it('reads names between commas', () => {
    expect(list('last, trigger_end')).toEqual(['last', 'trigger_end']);
  });

  it('refuses an empty place and a name that stands twice', () => {
    expect(() => list('last,')).toThrow('"last," has an empty place');
    expect(() => list('last,all,last')).toThrow('"last" stands twice in "last,all,last"');
  });
});

describe('namedModel', () => {
  it.each([
    ['base=./stage1', 'base', './stage1'],
    ['./stage1', 'stage1', './stage1'],
    ['/data/Meta-Llama-3.2-1B/', 'Meta-Llama-3.2-1B', '/data/Meta-Llama-3.2-1B/'],
    ['model.onnx', 'model', 'model.onnx'],
    ['a=b=c', 'a', 'b=c'],
    ['./a=b', 'a=b', undefined],
    ['x=./a=b', 'x', './a=b'],
  ])('reads %s', (text, name, model) => {
    if (model === undefined) {
      expect(() => namedModel(text)).toThrow(`"${name}" cannot be a checkpoint's name — ${text}`);
    } else {
      expect(namedModel(text)).toEqual({ name, model });
    }
  });

  it('refuses a name without a model, and names that would be read as a pair', () => {
    expect(() => namedModel('base=')).toThrow('"base=" names no model');
    expect(() => namedModel('./a..b')).toThrow('"a..b" cannot be a checkpoint\'s name');
  });
});

describe('distinct', () => {
  it('refuses two checkpoints of one name', () => {
    const models = ['one/stage2', 'other/stage2'].map(namedModel);
    expect(() => distinct(models)).toThrow(
      'two checkpoints are called "stage2" — one/stage2 and other/stage2',
    );
    expect(distinct(models.slice(1))).toEqual(models.slice(1));
  });
});

describe('pair', () => {
  it('reads before and after', () => {
    expect(pair('base..stage2')).toEqual({ from: 'base', to: 'stage2' });
    expect(pair('v1.0..v1.1')).toEqual({ from: 'v1.0', to: 'v1.1' });
  });

  it.each(['base', 'base..', '..b', 'a..b..c', 'a...b', 'a/x..b'])('refuses "%s"', (text) => {
    expect(() => pair(text)).toThrow(`"${text}" is not a pair of checkpoints`);
    expect(() => pair('a..a')).toThrow('"a..a" is one checkpoint twice');
  });
});

describe('option', () => {
  it('names the option that was refused', () => {
    const port = option('--port <n>', 'port', whole(0, 10));
    expect(() => port.parseArg?.('x', undefined)).toThrow(
      '"x" is not a whole number, 0 to 10 — --port',
    );
  });
});
