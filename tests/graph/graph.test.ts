/** Builder, prune, legality and print: is a wrong graph stopped before a runtime sees it? */

import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.ts';
import { checked } from '../../src/graph/legal.ts';
import type { Graph } from '../../src/graph/onnx.ts';
import { printGraph } from '../../src/graph/print.ts';
import { prune } from '../../src/graph/prune.ts';
import { parseSite } from '../../src/graph/sites.ts';
import { fromCheckpoint } from '../../models/bindings.ts';
import { composeModel } from '../../models/compose.ts';
import { goldenFolder, modelIn } from '../support/golden.ts';

describe('Builder', () => {
  const fresh = () => {
    const g = new Builder('test');
    const x = g.input('x', 'float32', ['tokens', 6]);
    return { g, x };
  };

  it('works out the shapes of what it adds', () => {
    const { g, x } = fresh();
    const w = g.input('w', 'float32', [8, 6]);
    expect(g.linear(x, w, undefined, 'out-in').shape).toEqual(['tokens', 8]);
    expect(g.split(x, 3).map(({ shape }) => shape)).toEqual([
      ['tokens', 2],
      ['tokens', 2],
      ['tokens', 2],
    ]);
    expect(g.add(x, g.input('b', 'float32', [6])).shape).toEqual(['tokens', 6]);
    expect(g.transpose(x, [1, 0]).shape).toEqual([6, 'tokens']);
    const ids = g.input('ids', 'int64', ['n']);
    expect(g.gather(g.input('t', 'bfloat16', [9, 4]), ids)).toMatchObject({
      dtype: 'bfloat16',
      shape: ['n', 4],
    });
    expect(g.sizes(x, 0, 2)).toMatchObject({ dtype: 'int64', shape: [2] });
  });

  it('refuses a linear map in the wrong layout', () => {
    const { g, x } = fresh();
    const w = g.input('w', 'float32', [8, 6]);
    expect(() => g.linear(x, w, undefined, 'in-out')).toThrow(
      'linear of [tokens, 6] with a weight of [8, 6], in-out',
    );
  });

  it('refuses to stretch what does not fit', () => {
    const { g, x } = fresh();
    expect(() => g.add(x, g.input('y', 'float32', ['tokens', 5]))).toThrow(
      'Add of [tokens, 6] and [tokens, 5]',
    );
    expect(() => g.mul(x, g.input('z', 'float32', ['rows', 6]))).toThrow(
      'Mul of [tokens, 6] and [rows, 6]',
    );
  });

  it('refuses to split unevenly and to use a name twice', () => {
    const { g, x } = fresh();
    expect(() => g.split(x, 4)).toThrow('split of [tokens, 6] into');
    expect(() => g.input('x', 'float32', [1])).toThrow('two values are called "x" in graph "test"');
  });
});

const tensor = (name: string) => ({ name, dtype: 'float32', shape: [1] }) as const;

function graphOf(parts: Partial<Graph>): Graph {
  return { name: 'g', inputs: [], outputs: [], initializers: [], nodes: [], ...parts };
}

const node = (op: string, inputs: string[], outputs: string[]) => ({
  op,
  inputs,
  outputs,
  attributes: {},
});

describe('checked', () => {
  it('gives back a graph in which all is made before it is read', () => {
    const graph = graphOf({
      inputs: [tensor('x')],
      nodes: [node('Relu', ['x', ''], ['y', ''])],
      outputs: [tensor('y')],
    });
    expect(checked(graph)).toBe(graph);
  });

  it.each<[string, Partial<Graph>, string]>([
    [
      'reads too early',
      { nodes: [node('Relu', ['y'], ['z']), node('Relu', ['x'], ['y'])] },
      'Relu reads "y" before it is made',
    ],
    [
      'makes a value twice',
      { nodes: [node('Relu', ['x'], ['x'])] },
      '"x" is made twice in graph "g"',
    ],
    ['promises what nothing makes', { outputs: [tensor('y')] }, 'nothing makes the output "y"'],
  ])('refuses a graph that %s', (_, parts, message) => {
    expect(() => checked(graphOf({ inputs: [tensor('x')], ...parts }))).toThrow(message);
  });
});

describe('prune', () => {
  it('keeps what outputs need, nodes with one wanted output among several included', () => {
    const inline = { kind: 'inline', bytes: new Uint8Array(4) } as const;
    const graph = graphOf({
      inputs: [tensor('x'), tensor('unread')],
      initializers: [
        { ...tensor('w'), data: inline },
        { ...tensor('idle'), data: inline },
      ],
      nodes: [
        node('Split', ['x'], ['a', 'b']),
        node('Mul', ['b', 'w'], ['y']),
        node('Mul', ['a', 'idle'], ['unused']),
      ],
      outputs: [tensor('y')],
    });
    const { inputs, initializers, nodes } = prune(graph);
    expect(inputs.map(({ name }) => name)).toEqual(['x']);
    expect(initializers.map(({ name }) => name)).toEqual(['w']);
    expect(nodes.map(({ outputs }) => outputs[0])).toEqual(['a', 'y']);
  });
});

describe('printGraph', () => {
  async function blockOf(name: string): Promise<string> {
    const model = await modelIn(goldenFolder(name));
    const graph = composeModel(model.architecture, model.settings, fromCheckpoint(model), {
      sites: [parseSite('resid_post.0')],
      length: 8,
    });
    return printGraph(graph)
      .split('\n')
      .filter((line) => line.includes('blocks.0/'))
      .join('\n');
  }

  it('shows a Llama block as its equation', async () => {
    expect(await blockOf('llama_linear_bias')).toMatchInlineSnapshot(`
      "  blocks.0/RMSNormalization = RMSNormalization(embed/Gather, layers.0.input_layernorm.weight, axis=-1, epsilon=0.00001)
        blocks.0/Gemm = Gemm(blocks.0/RMSNormalization, layers.0.self_attn.q_proj.weight, layers.0.self_attn.q_proj.bias, transB=1)
        blocks.0/Gemm_1 = Gemm(blocks.0/RMSNormalization, layers.0.self_attn.k_proj.weight, layers.0.self_attn.k_proj.bias, transB=1)
        blocks.0/Gemm_2 = Gemm(blocks.0/RMSNormalization, layers.0.self_attn.v_proj.weight, layers.0.self_attn.v_proj.bias, transB=1)
        blocks.0/Reshape = Reshape(blocks.0/Gemm, frame/Concat)
        blocks.0/RotaryEmbedding = RotaryEmbedding(blocks.0/Reshape, rotary.all.cos, rotary.all.sin, position_ids, num_heads=4)
        blocks.0/Reshape_1 = Reshape(blocks.0/Gemm_1, frame/Concat)
        blocks.0/RotaryEmbedding_1 = RotaryEmbedding(blocks.0/Reshape_1, rotary.all.cos, rotary.all.sin, position_ids, num_heads=2)
        blocks.0/Reshape_2 = Reshape(blocks.0/Gemm_2, frame/Concat)
        blocks.0/Attention = Attention(blocks.0/RotaryEmbedding, blocks.0/RotaryEmbedding_1, blocks.0/Reshape_2, is_causal=1, q_num_heads=4, kv_num_heads=2, scale=0.2886751345948129)
        blocks.0/Reshape_3 = Reshape(blocks.0/Attention, frame/Concat_1)
        blocks.0/Reshape_3/rows = Gather(blocks.0/Reshape_3, rows, axis=0)
        blocks.0/Gemm_3 = Gemm(blocks.0/Reshape_3/rows, layers.0.self_attn.o_proj.weight, layers.0.self_attn.o_proj.bias, transB=1)
        blocks.0/Add = Add(embed/Gather/rows, blocks.0/Gemm_3)
        blocks.0/RMSNormalization_1 = RMSNormalization(blocks.0/Add, layers.0.post_attention_layernorm.weight, axis=-1, epsilon=0.00001)
        blocks.0/Gemm_4 = Gemm(blocks.0/RMSNormalization_1, layers.0.mlp.gate_proj.weight, layers.0.mlp.gate_proj.bias, transB=1)
        blocks.0/Sigmoid = Sigmoid(blocks.0/Gemm_4)
        blocks.0/Mul = Mul(blocks.0/Gemm_4, blocks.0/Sigmoid)
        blocks.0/Gemm_5 = Gemm(blocks.0/RMSNormalization_1, layers.0.mlp.up_proj.weight, layers.0.mlp.up_proj.bias, transB=1)
        blocks.0/Mul_1 = Mul(blocks.0/Mul, blocks.0/Gemm_5)
        blocks.0/Gemm_6 = Gemm(blocks.0/Mul_1, layers.0.mlp.down_proj.weight, layers.0.mlp.down_proj.bias, transB=1)
        blocks.0/Add_1 = Add(blocks.0/Add, blocks.0/Gemm_6)
        resid_post.0 = Identity(blocks.0/Add_1)"
    `);
  });

  it('shows a GPT-2 block as its equation', async () => {
    expect(await blockOf('gpt2_inverse_layer')).toMatchInlineSnapshot(`
      "  blocks.0/Cast = Cast(h.0.ln_1.weight, to=1)
        blocks.0/Cast_1 = Cast(h.0.ln_1.bias, to=1)
        blocks.0/LayerNormalization = LayerNormalization(embed/Add, blocks.0/Cast, blocks.0/Cast_1, axis=-1, epsilon=0.00001)
        blocks.0/Cast_2 = Cast(h.0.attn.c_attn.weight, to=1)
        blocks.0/Cast_3 = Cast(h.0.attn.c_attn.bias, to=1)
        blocks.0/Gemm = Gemm(blocks.0/LayerNormalization, blocks.0/Cast_2, blocks.0/Cast_3, transB=0)
        blocks.0/Split, blocks.0/Split_1, blocks.0/Split_2 = Split(blocks.0/Gemm, axis=-1, num_outputs=3)
        blocks.0/Reshape = Reshape(blocks.0/Split, frame/Concat)
        blocks.0/Reshape_1 = Reshape(blocks.0/Split_1, frame/Concat)
        blocks.0/Reshape_2 = Reshape(blocks.0/Split_2, frame/Concat)
        blocks.0/Attention = Attention(blocks.0/Reshape, blocks.0/Reshape_1, blocks.0/Reshape_2, is_causal=1, q_num_heads=4, kv_num_heads=4, scale=0.2886751345948129)
        blocks.0/Reshape_3 = Reshape(blocks.0/Attention, frame/Concat_1)
        blocks.0/Cast_4 = Cast(h.0.attn.c_proj.weight, to=1)
        blocks.0/Cast_5 = Cast(h.0.attn.c_proj.bias, to=1)
        blocks.0/Reshape_3/rows = Gather(blocks.0/Reshape_3, rows, axis=0)
        blocks.0/Gemm_1 = Gemm(blocks.0/Reshape_3/rows, blocks.0/Cast_4, blocks.0/Cast_5, transB=0)
        blocks.0/Add = Add(embed/Add/rows, blocks.0/Gemm_1)
        blocks.0/Cast_6 = Cast(h.0.ln_2.weight, to=1)
        blocks.0/Cast_7 = Cast(h.0.ln_2.bias, to=1)
        blocks.0/LayerNormalization_1 = LayerNormalization(blocks.0/Add, blocks.0/Cast_6, blocks.0/Cast_7, axis=-1, epsilon=0.00001)
        blocks.0/Cast_8 = Cast(h.0.mlp.c_fc.weight, to=1)
        blocks.0/Cast_9 = Cast(h.0.mlp.c_fc.bias, to=1)
        blocks.0/Gemm_2 = Gemm(blocks.0/LayerNormalization_1, blocks.0/Cast_8, blocks.0/Cast_9, transB=0)
        blocks.0/Gelu = Gelu(blocks.0/Gemm_2, approximate=tanh)
        blocks.0/Cast_10 = Cast(h.0.mlp.c_proj.weight, to=1)
        blocks.0/Cast_11 = Cast(h.0.mlp.c_proj.bias, to=1)
        blocks.0/Gemm_3 = Gemm(blocks.0/Gelu, blocks.0/Cast_10, blocks.0/Cast_11, transB=0)
        blocks.0/Add_1 = Add(blocks.0/Add, blocks.0/Gemm_3)
        resid_post.0 = Identity(blocks.0/Add_1)"
    `);
  });
});
