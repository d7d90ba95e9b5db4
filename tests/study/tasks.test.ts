import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inOrder } from '../../src/study/tasks.ts';

describe('inOrder', () => {
  it('hands over every result in the order of the tasks, whichever is done first', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 3 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (delays, width) => {
          const delivered: number[] = [];
          let [busy, most, delivering] = [0, 0, 0];
          const tasks = delays.map((delay, i) => ({ delay, i }));
          const work = async ({ delay, i }: (typeof tasks)[number]): Promise<number> => {
            most = Math.max(most, ++busy);
            for (let turn = 0; turn < delay; turn++) await Promise.resolve();
            busy--;
            return i;
          };
          await inOrder(tasks, width, work, async (i, task) => {
            expect(++delivering).toBe(1);
            await Promise.resolve();
            delivering--;
            expect(task.i).toBe(i);
            delivered.push(i);
          });
          expect(delivered).toEqual(tasks.map(({ i }) => i));
          expect(most).toBeLessThanOrEqual(width);
        },
      ),
    );
  });

  it('begins nothing after an error, lets the others end, and hands over what came before', async () => {
    const [begun, ended, delivered]: [number[], number[], number[]] = [[], [], []];
    const work = async (i: number): Promise<number> => {
      begun.push(i);
      if (i === 2) throw new Error('two');
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      ended.push(i);
      return i;
    };
    const attempt = inOrder([0, 1, 2, 3, 4, 5], 3, work, async (i) => void delivered.push(i));
    await expect(attempt).rejects.toThrow('two');
    expect(begun).toEqual([0, 1, 2]);
    expect(ended).toEqual([0, 1]);
    expect(delivered).toEqual([0, 1]);
  });

  it('ends with the error of a delivery', async () => {
    const attempt = inOrder(
      [0, 1],
      1,
      async (i) => i,
      () => Promise.reject(new Error('full')),
    );
    await expect(attempt).rejects.toThrow('full');
  });
});
