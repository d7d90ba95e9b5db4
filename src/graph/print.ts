/** A graph as text that a person can read: one line a node, values named by where they come from. */

import type { Attribute, Graph, Initializer, Value } from './onnx.ts';

/** For example `blocks.0/Gemm = Gemm(blocks.0/RMSNormalization, …q_proj.weight, transB=1)`. */
export function printGraph(graph: Graph): string {
  return [
    `graph ${graph.name}`,
    ...graph.inputs.map((value) => `  input   ${describe(value)}`),
    ...graph.initializers.map((tensor) => `  weight  ${describe(tensor)}${placeOf(tensor)}`),
    ...graph.nodes.map((node) => {
      const inputs = node.inputs.map((name) => (name === '' ? '–' : name));
      const attributes = Object.entries(node.attributes).map(([k, a]) => `${k}=${valueOf(a)}`);
      const outputs = node.outputs.filter((name) => name !== '').join(', ');
      return `  ${outputs} = ${node.op}(${[...inputs, ...attributes].join(', ')})`;
    }),
    ...graph.outputs.map((value) => `  output  ${describe(value)}`),
    '',
  ].join('\n');
}

function describe(value: Value): string {
  return `${value.name}: ${value.dtype} [${value.shape.join(', ')}]`;
}

function placeOf(tensor: Initializer): string {
  if (tensor.data.kind === 'inline') return ` (${tensor.data.bytes.length} bytes inline)`;
  const file = tensor.data.file.split(/[\\/]/).at(-1);
  return ` @ ${file}+${tensor.data.offset}`;
}

function valueOf(attribute: Attribute): string {
  return attribute.kind === 'ints' ? `[${attribute.value.join(', ')}]` : String(attribute.value);
}
