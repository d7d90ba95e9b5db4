/** Is the last block worked out for the wanted rows only, and to the same bits? */

import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.ts';
import { narrow } from '../../src/graph/narrow.ts';
import { parseSite } from '../../src/graph/sites.ts';
import { openSession } from '../../src/runtime/session.ts';
import { fromCheckpoint } from '../../models/bindings.ts';
import { composeModel, type Composition } from '../../models/compose.ts';
import type { Model } from '../../models/model.ts';
import { modelOf, wholeCases } from '../support/families.ts';
import { bitsOf } from '../support/golden.ts';

async function outputs(model: Model, more: Partial<Composition>): Promise<Map<string, Buffer>> {
  const { architecture, settings } = model;
  const last = settings.layers - 1;
  const sites = [`resid_post.${last}`, `mlp_out.${last}`, 'final_norm', 'logits'].map(parseSite);
  const graph = composeModel(architecture, settings, fromCheckpoint(model), {
    sites,
    length: 9,
    ...more,
  });
  const [batch, position] = [5, 9];
  const shape = [batch, position];
  const session = await openSession(graph, { threads: 1 });
  const fetched = await session.run({
    input_ids: {
      data: BigInt64Array.from({ length: 45 }, (_, i) => BigInt((i * 37 + 5) % 30)),
      shape,
    },
    position_ids: { data: BigInt64Array.from({ length: 45 }, (_, i) => BigInt(i % 9)), shape },
    lengths: { data: new BigInt64Array(batch).fill(9n), shape: [batch] },
    rows: { data: BigInt64Array.of(8n, 17n, 20n, 44n), shape: [4] },
  });
  await session.close();
  const wanted = sites.map((site) => (site.block === null ? site.kind : `${site.kind}.${last}`));
  return new Map(wanted.map((key) => [key, bitsOf(fetched[key].data)]));
}

describe('narrow', () => {
  it.each(wholeCases)('changes no bit of %s', async (name) => {
    const model = await modelOf(name);
    const few = await outputs(model, {});
    // A graph that hands its stream on works all rows out.
    const all = await outputs(model, { blocks: { from: 0, to: model.settings.layers } });
    for (const [key, bits] of all) expect(few.get(key)?.equals(bits), key).toBe(true);
  });

  it.each([
    ['a product with its left side turned', 'Gemm', { transA: { kind: 'int', value: 1 } }],
    ['attention, where rows see each other', 'Attention', {}],
  ] as const)('does not gather before %s', (_, op, attributes) => {
    const g = new Builder('test');
    const rows = g.input('rows', 'int64', ['rows']);
    const x = g.input('x', 'float32', ['tokens', 2]);
    const weight = g.floats('weight', [2, 2], Float32Array.of(1, 2, 3, 4));
    const y = g.node(op, [x, weight], ['tokens', 2], attributes);
    const graph = narrow(g.finish([g.named('y', g.gather(y, rows))]));
    expect(graph.nodes.map((node) => node.op)).toEqual([op, 'Gather', 'Identity']);
  });

  it('gathers before what works row by row, up to attention and to what others read', () => {
    const g = new Builder('test');
    const rows = g.input('rows', 'int64', ['rows']);
    const x = g.input('x', 'float32', ['tokens', 2]);
    const weight = g.floats('weight', [2, 2], Float32Array.of(1, 2, 3, 4));
    const shared = g.linear(x, weight, undefined, 'out-in');
    const branch = g.sigmoid(g.linear(shared, weight, undefined, 'out-in'));
    const end = g.gather(g.add(shared, branch), rows);
    const graph = narrow(g.finish([g.named('end', end), g.named('whole', shared)]));
    const ops = graph.nodes.map(({ op, inputs }) => `${op} ${inputs[0]}`);
    expect(ops.map((text) => text.split(' ')[0])).toEqual([
      'Gemm', // read by others as well
      'Gather',
      'Gemm',
      'Sigmoid',
      'Add',
      'Identity',
      'Identity',
    ]);
    expect(graph.nodes[1].inputs).toEqual([graph.nodes[0].outputs[0], 'rows']);
  });

  it('leaves a graph alone whose gatherings are behind nothing that works row by row', () => {
    const g = new Builder('test');
    const rows = g.input('rows', 'int64', ['rows']);
    const x = g.input('x', 'float32', ['tokens', 2]);
    const graph = g.finish([g.named('end', g.gather(x, rows))]);
    expect(narrow(graph)).toBe(graph);
  });
});
