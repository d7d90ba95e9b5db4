/** Are rows looked up in stored tensors, and is no table worked out as a whole for a few of them? */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openAdapter } from '../../src/files/peft.ts';
import { Builder } from '../../src/graph/builder.ts';
import { lookUpFirst } from '../../src/graph/lookups.ts';
import { weightsFirst } from '../../src/graph/order.ts';
import type { Graph } from '../../src/graph/onnx.ts';
import { composeHead } from '../../models/composeHead.ts';
import { asStored, withAdapter } from '../../models/variants.ts';
import { goldenFolder, modelIn } from '../support/golden.ts';

/** Sizes of all tensors that a graph reads, the largest first axis among them. */
function tallest({ initializers }: Graph): number {
  return Math.max(...initializers.map(({ shape }) => shape[0] ?? 0));
}

describe('lookUpFirst', () => {
  it('looks rows up before it widens and adds', () => {
    const g = new Builder('t');
    const ids = g.input('ids', 'int64', ['tokens']);
    const file = { kind: 'external', file: '/f', offset: 8, length: 80 } as const;
    const table = g.cast(g.external('table', 'float16', [10, 4], file), 'float32');
    const sum = g.add(table, g.floats('more', [10, 4], new Float32Array(40)));
    const { nodes } = lookUpFirst(g.finish([g.named('rows', g.gather(sum, ids))]));
    expect(nodes.map(({ op }) => op)).toEqual([
      'Gather',
      'Cast',
      'Gather',
      'Add',
      'Identity',
      'Identity',
    ]);
    expect(nodes.filter(({ op }) => op === 'Gather').map(({ inputs }) => inputs[0])).toEqual([
      'table',
      'more',
    ]);
  });

  it('reads a known run of rows as a part of the file', () => {
    const g = new Builder('t');
    const file = { kind: 'external', file: '/f', offset: 8, length: 80 } as const;
    const table = g.external('table', 'float16', [10, 4], file);
    const rows = g.gather(table, g.integers('words', [3, 4, 5]));
    const { initializers } = lookUpFirst(g.finish([g.named('rows', g.cast(rows, 'float32'))]));
    // A row has 8 bytes.
    expect(initializers).toEqual([
      {
        name: expect.stringContaining('rows of table'),
        dtype: 'float16',
        shape: [3, 4],
        data: { ...file, offset: 8 + 24, length: 24 },
      },
    ]);
  });

  it.each(['lora_embeddings', 'lora_resized', 'lora_saved_modules', 'lora_tied'])(
    'leaves a slice of the head of %s no taller than the slice',
    async (name) => {
      const adapter = await openAdapter(join(goldenFolder(name), 'adapter'));
      const base = asStored(await modelIn(goldenFolder(name)));
      const { model, bind } = await withAdapter(base, adapter, 1);
      const { architecture, settings } = model;
      const slice = composeHead(architecture, settings, bind(''), { from: 2, to: 5 });
      // The factors of an adapter are as tall as its rank, and a bias or a map is as tall as the stream.
      const { vocabulary, width } = settings;
      expect(vocabulary).toBeGreaterThan(width);
      expect(tallest(slice)).toBeLessThan(vocabulary);
    },
  );
});

describe('weightsFirst', () => {
  it('puts first what no input has a part in', () => {
    const g = new Builder('t');
    const x = g.relu(g.input('x', 'float32', ['tokens', 4]));
    const file = { kind: 'external', file: '/f', offset: 0, length: 32 } as const;
    const weight = g.cast(g.external('w', 'float16', [4, 4], file), 'float32');
    const graph = g.finish([g.linear(x, weight, undefined, 'out-in')]);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Relu', 'Cast', 'Gemm']);
    expect(weightsFirst(graph).nodes.map(({ op }) => op)).toEqual(['Cast', 'Relu', 'Gemm']);
  });
});
