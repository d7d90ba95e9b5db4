/** Are weights widened to the numbers that they are, once, and never taken for another graph's? */

import { truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bfloat16ToFloat32, float16ToFloat32 } from '../../src/base/dtype.ts';
import { readWidened } from '../../src/files/widened.ts';
import { Builder } from '../../src/graph/builder.ts';
import type { Graph } from '../../src/graph/onnx.ts';
import { takeWidenings } from '../../src/graph/widenings.ts';
import { openSession } from '../../src/runtime/session.ts';
import { openWidened, widenedFloats, WidenedWeights } from '../../src/runtime/widened.ts';
import { scratchPath } from '../support/scratch.ts';

/** Every pattern of 16 bits, twice and a little more, behind some bytes that are not read. */
const patterns = Uint16Array.from({ length: 2 ** 17 + 37 }, (_, i) => (i * 40503) & 0xffff);
const start = 6;

function fileOf(bits: Uint16Array): string {
  const path = scratchPath('weights');
  writeFileSync(path, Buffer.concat([Buffer.alloc(start, 0xff), Buffer.from(bits.buffer)]));
  return path;
}

/** x · Wᵀ with W [3, 2] from a file, in half precision; or the sum of such products with several files. */
function productWith(file: string, offset: number, ...others: readonly string[]): Graph {
  const g = new Builder('t');
  const x = g.input('x', 'float32', ['rows', 2]);
  const products = [file, ...others].map((from, i) => {
    const data = { kind: 'external', file: from, offset, length: 12 } as const;
    const weight = g.cast(g.external(`w${i}`, 'bfloat16', [3, 2], data), 'float32');
    return g.linear(x, weight, undefined, 'out-in');
  });
  return g.finish([
    g.named(
      'y',
      products.reduce((sum, one) => g.add(sum, one)),
    ),
  ]);
}

const x = { x: { data: Float32Array.of(1, 0, 0, 1), shape: [2, 2] } };
const small = Uint16Array.of(...[1, 2, 3, 4, 5, 6, 7].map((n) => bitsOf(n)));

function bitsOf(value: number): number {
  return new Uint16Array(Float32Array.of(value).buffer)[1];
}

describe('readWidened', () => {
  it.each([
    ['bfloat16', bfloat16ToFloat32],
    ['float16', float16ToFloat32],
  ] as const)('gives what each %s is, and touches nothing beside', (dtype, widen) => {
    const file = fileOf(patterns);
    // What was there has bits in all of its bytes.
    const before = Math.fround(Math.PI);
    const memory = new Float32Array(patterns.length + 2).fill(before);
    readWidened({ file, offset: start, dtype }, memory.subarray(1, -1));
    expect([memory[0], memory.at(-1)]).toEqual([before, before]);
    const wanted = widen(patterns);
    const wrong = wanted.findIndex((value, i) => !Object.is(memory[i + 1], value));
    expect(wrong).toBe(-1);
  });

  it('says so where the file ends too early', () => {
    const range = { file: fileOf(small), offset: start, dtype: 'bfloat16' } as const;
    expect(() => readWidened(range, new Float32Array(8))).toThrow('the file has become shorter');
  });
});

describe('takeWidenings', () => {
  it.each(['bfloat16', 'float16'] as const)('makes an input of a weight in %s', (dtype) => {
    const g = new Builder('t');
    const data = { kind: 'external', file: '/f', offset: 0, length: 12 } as const;
    const wide = g.cast(g.external('w', dtype, [3, 2], data), 'float32');
    const { graph, widenings } = takeWidenings(g.finish([g.named('y', g.add(wide, wide))]));
    expect(widenings).toEqual([{ input: wide.name, shape: [3, 2], dtype, data }]);
    expect(graph.inputs).toEqual([{ name: wide.name, dtype: 'float32', shape: [3, 2] }]);
    expect(graph.initializers).toEqual([]);
  });

  it('leaves what is no stored weight, and weights that leave the graph', () => {
    const g = new Builder('t');
    const ids = g.input('ids', 'int64', ['rows']);
    const data = { kind: 'external', file: '/f', offset: 0, length: 12 } as const;
    const table = g.external('table', 'float16', [3, 2], data);
    const looked = g.cast(g.gather(table, ids), 'float32');
    const leaves = g.cast(g.external('a', 'float16', [3, 2], data), 'float32');
    const { graph, widenings } = takeWidenings(g.finish([g.named('rows', looked), leaves]));
    expect(widenings).toEqual([]);
    expect(graph.nodes.filter(({ op }) => op === 'Cast')).toHaveLength(2);
  });
});

describe('a session with widened weights', () => {
  it('gives the bits of one that widens in each run, whatever other graphs ran between', async () => {
    const file = fileOf(small);
    const weights = new WidenedWeights();
    const graphs = [productWith(file, start), productWith(file, start + 2)];
    expect(widenedFloats(graphs[0])).toBe(16);
    const mapped = [];
    for (const graph of graphs) {
      const session = await openSession(graph, { threads: 1, mapped: true });
      mapped.push((await session.run(x))['y'].data);
      await session.close();
    }
    expect([...mapped[0]]).toEqual([1, 3, 5, 2, 4, 6]);
    const sessions = [];
    for (const graph of graphs) sessions.push(await openWidened(graph, { threads: 1 }, weights));
    for (const i of [0, 1, 1, 0]) expect((await sessions[i].run(x))['y'].data).toEqual(mapped[i]);
    for (const session of sessions) await session.close();
  });

  it('reads all weights of a graph anew where one of them is not held', async () => {
    const [file, other] = [fileOf(small), fileOf(small.toReversed())];
    const weights = new WidenedWeights();
    const one = await openWidened(productWith(file, start), { threads: 1 }, weights);
    const two = await openWidened(productWith(file, start, other), { threads: 1 }, weights);
    expect([...(await one.run(x))['y'].data]).toEqual([1, 3, 5, 2, 4, 6]);
    // Of the other file, at the same offset: 7, 6, 5, 4, 3, 2.
    expect([...(await two.run(x))['y'].data]).toEqual([8, 8, 8, 8, 8, 8]);
    await one.close();
    await two.close();
  });

  it('takes nothing of a file that became too short for numbers', async () => {
    const files = [small, small, small.toReversed(), small].map(fileOf);
    const weights = new WidenedWeights();
    const one = await openWidened(productWith(files[0], start, files[1]), { threads: 1 }, weights);
    const two = await openWidened(productWith(files[2], start, files[3]), { threads: 1 }, weights);
    truncateSync(files[3], start + 4);
    for (let i = 0; i < 2; i++) {
      expect([...(await one.run(x))['y'].data]).toEqual([2, 6, 10, 4, 8, 12]);
      // By then the first half of what that has read is written over.
      await expect(two.run(x)).rejects.toThrow('the file has become shorter');
    }
    await one.close();
    await two.close();
  });

  it('reads the file once for as many runs and sessions as read the same', async () => {
    const file = fileOf(small);
    const weights = new WidenedWeights();
    const first = await openWidened(productWith(file, start), { threads: 1 }, weights);
    const before = (await first.run(x))['y'].data;
    writeFileSync(file, Buffer.alloc(start + 2 * small.length));
    const second = await openWidened(productWith(file, start), { threads: 1 }, weights);
    expect((await second.run(x))['y'].data).toEqual(before);
    await first.close();
    await second.close();
  });
});
