import { describe, expect, it } from 'vitest';
import { bar, sparkline, table } from '../../src/cli/tables.ts';

describe('table', () => {
  it('aligns columns by what characters take in a terminal', () => {
    const rows = [
      { name: 'base', n: 5 },
      { name: '日本', n: 4096 },
      { name: 'bad\u001b[2J\nname', n: 1 },
    ];
    expect(
      table(rows, [
        { title: 'run', cell: ({ name }) => name },
        { title: 'prompts', cell: ({ n }) => String(n), align: 'right' },
        { title: '', cell: () => '' },
      ]),
    ).toEqual(['run       prompts', 'base            5', '日本         4096', 'bad name        1']);
  });
});

describe('sparkline', () => {
  it('spans its range, clamps beyond it and leaves gaps for what is not finite', () => {
    expect(sparkline([0.5, 0.75, 1], { low: 0.5, high: 1 })).toBe('▁▅█');
    expect(sparkline([-9, Number.NaN, 9], { low: 0, high: 1 })).toBe('▁ █');
    expect(sparkline([3, 3], { low: 3, high: 3 })).toBe('▁▁');
  });
});

describe('bar', () => {
  it('is as long as the value, to an eighth', () => {
    expect(bar(1, 4, { low: 0, high: 1 })).toBe('████');
    expect(bar(0.5, 4, { low: 0, high: 1 })).toBe('██');
    expect(bar(0.75, 4, { low: 0.5, high: 1 })).toBe('██');
    expect(bar(9 / 32, 4, { low: 0, high: 1 })).toBe('█▏');
    expect(bar(-1, 4, { low: 0, high: 1 })).toBe('');
    expect(bar(Number.NaN, 4, { low: 0, high: 1 })).toBe('');
  });
});
