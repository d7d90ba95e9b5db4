/** With how many threads does onnxruntime keep the order of a sum? The claim is held against it. */

import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { Builder } from '../../src/graph/builder.ts';
import { openSession } from '../../src/runtime/session.ts';
import { steadyThreads } from '../../src/runtime/steady.ts';

const [rows, most] = [40, 4];

/** Whether the first rows of x · W have the same bits whatever else is there, with so many threads. */
async function isSteady(inner: number, columns: number, threads: number): Promise<boolean> {
  const random = new Random('steady').fork(`${inner} ${columns}`);
  const draw = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const g = new Builder('product');
  const x = g.input('x', 'float32', ['rows', inner]);
  const weight = g.floats('w', [columns, inner], draw(inner * columns));
  const graph = g.finish([g.named('y', g.linear(x, weight, undefined, 'out-in'))]);
  const data = draw(rows * inner);
  const run = async (count: number, used: number): Promise<Float32Array> => {
    const session = await openSession(graph, { threads: used, mapped: true });
    const feeds = { x: { data: data.subarray(0, count * inner), shape: [count, inner] } };
    const { y } = await session.run(feeds);
    await session.close();
    return y.data;
  };
  const all = await run(rows, 1);
  for (const count of [2, 3, 7, rows]) {
    const some = await run(count, threads);
    if (some.some((value, i) => !Object.is(value, all[i]))) return false;
  }
  return true;
}

describe('steadyThreads', () => {
  it.each([
    [96, 96],
    [256, 96],
    [768, 128],
    [320, 80],
    [768, 768],
    [300, 250],
  ])('of sums of %i terms in %i columns keep their bits', async (inner, columns) => {
    const threads = steadyThreads([{ inner, columns }], most);
    for (let used = 1; used <= threads; used++) {
      expect(await isSteady(inner, columns, used), `${used} threads`).toBe(true);
    }
  });

  it('are few for a reason', async () => {
    expect(steadyThreads([{ inner: 256, columns: 96 }], most)).toBe(1);
    expect(await isSteady(256, 96, 2)).toBe(false);
    expect(steadyThreads([{ inner: 768, columns: 768 }], most)).toBe(most);
  });
});
