import { describe, expect, it } from 'vitest';
import {
  adapterPath,
  adapterStack,
  checkCheckpointArgs,
  checkpointRequests,
  numbers,
} from '../../src/cli/adapterArgs.ts';

describe('adapterStack', () => {
  it.each([
    ['s1=base+lora', { name: 's1', base: 'base', adapters: [{ path: 'lora' }] }],
    [
      's2=./a/b+../l1+l2/x@.5',
      { name: 's2', base: './a/b', adapters: [{ path: '../l1' }, { path: 'l2/x', scale: 0.5 }] },
    ],
  ])('reads "%s"', (text, expected) => {
    expect(adapterStack(text)).toEqual(expected);
  });

  it.each([
    ['lora', '"lora" does not say what lies on what'],
    ['s1=base', '"s1=base" does not say what lies on what'],
    ['=base+lora', '"=base+lora" does not say what lies on what'],
    ['s1=+lora', '"s1=+lora" does not say what lies on what'],
    ['s1=base+', '"" names no adapter'],
    ['a b=base+lora', '"a b" cannot be a checkpoint\'s name'],
  ])('refuses "%s"', (text, what) => {
    expect(() => adapterStack(text)).toThrowError(expect.objectContaining({ code: 'USAGE', what }));
  });
});

describe('adapterPath', () => {
  it.each([
    ['lora', { path: 'lora' }],
    ['lora@.25', { path: 'lora', scale: 0.25 }],
    ['lora@-1', { path: 'lora', scale: -1 }],
    ['me@home/lora', { path: 'me@home/lora' }],
    ['lora@v2', { path: 'lora@v2' }],
    ['lora@v2@2', { path: 'lora@v2', scale: 2 }],
  ])('reads "%s"', (text, expected) => {
    expect(adapterPath(text)).toEqual(expected);
  });
});

describe('numbers', () => {
  it('reads numbers of all spellings', () => {
    expect(numbers('0, .25,0.5,1.,-2,1e-3')).toEqual([0, 0.25, 0.5, 1, -2, 0.001]);
  });

  it.each([
    ['', '"" is not a number'],
    ['1,,2', '"" is not a number'],
    ['1,x', '"x" is not a number'],
    ['Infinity', '"Infinity" is not a number'],
    ['1e999', '"1e999" is not a number'],
    ['.5,0.5', '0.5 stands twice in ".5,0.5"'],
  ])('refuses "%s"', (text, what) => {
    expect(() => numbers(text)).toThrowError(expect.objectContaining({ code: 'USAGE', what }));
  });
});

const base = { name: 'base', model: './b' };
const s1 = { name: 's1', base: 'base', adapters: [{ path: 'l1' }] };
const s2 = { name: 's2', base: 's1', adapters: [{ path: 'l2' }, { path: 'l3', scale: 2 }] };

describe('checkpointRequests', () => {
  it('puts stacks on folders, on models and on other stacks', () => {
    const alone = { name: 'x', base: './c', adapters: [{ path: 'l' }] };
    expect(checkpointRequests({ models: [base], adapter: [s1, s2, alone] })).toEqual([
      { name: 'base', folder: './b' },
      { name: 's1', folder: './b', adapters: [{ path: 'l1', scale: 1 }] },
      {
        name: 's2',
        folder: './b',
        adapters: [{ path: 'l1' }, { path: 'l2', scale: 1 }, { path: 'l3', scale: 2 }],
      },
      { name: 'x', folder: './c', adapters: [{ path: 'l', scale: 1 }] },
    ]);
  });

  it('scales what a stack adds, and not what it lies on', () => {
    const requests = checkpointRequests({ models: [base], adapter: [s1, s2], scale: [0, 0.5] });
    expect(requests.map(({ name }) => name)).toEqual(['base', 's1-0', 's1-0.5', 's2-0', 's2-0.5']);
    expect(requests[4].adapters).toEqual([
      { path: 'l1' },
      { path: 'l2', scale: 0.5 },
      { path: 'l3', scale: 2 },
    ]);
  });

  it('keeps the name where there is one scale', () => {
    expect(checkpointRequests({ adapter: [s1], scale: [0.5] })).toEqual([
      { name: 's1', folder: 'base', adapters: [{ path: 'l1', scale: 0.5 }] },
    ]);
  });

  it('makes points on the way between any two', () => {
    const between = { from: 'base', to: 's1' };
    const requests = checkpointRequests({ models: [base], adapter: [s1], between, at: [0, 0.25] });
    expect(requests.slice(2)).toEqual([
      {
        name: 'base-s1-0',
        folder: './b',
        towards: { folder: './b', adapters: [{ path: 'l1' }], at: 0 },
      },
      {
        name: 'base-s1-0.25',
        folder: './b',
        towards: { folder: './b', adapters: [{ path: 'l1' }], at: 0.25 },
      },
    ]);
  });

  it('refuses a way to nowhere, with the nearest name', () => {
    const between = { from: 'base', to: 's3' };
    expect(() =>
      checkpointRequests({ models: [base], adapter: [s1], between, at: [1] }),
    ).toThrowError(
      expect.objectContaining({ what: 'no checkpoint is called "s3"', fix: 'Did you mean "s1"?' }),
    );
  });
});

describe('checkCheckpointArgs', () => {
  it.each([
    [{}, 'no checkpoint is named'],
    [{ models: [base], scale: [1] }, '--scale is for adapters, and there is none'],
    [{ models: [base], at: [1] }, '--at needs --between'],
    [{ models: [base], between: { from: 'a', to: 'b' } }, '--between needs --at'],
  ])('refuses %j', (args, what) => {
    expect(() => checkCheckpointArgs(args)).toThrowError(
      expect.objectContaining({ code: 'USAGE', what }),
    );
  });

  it('takes adapters without models', () => {
    expect(() => checkCheckpointArgs({ adapter: [s1] })).not.toThrow();
  });
});
