/**
 * Takes the widening of weights out of a graph.
 *
 * A graph whose weights lie in half precision in their files widens them in every run. Where it is run
 * several times, or other graphs read the same weights, they may be widened once: after this pass the
 * widened weights are inputs.
 */

import { checked } from './legal.ts';
import { dataTypes, type ExternalData, type Graph, type Value } from './onnx.ts';
import { prune } from './prune.ts';

/** A weight that is widened to the float32 input of this name and shape. */
export interface Widening {
  readonly input: string;
  readonly shape: readonly number[];
  readonly dtype: 'bfloat16' | 'float16';
  readonly data: ExternalData;
}

export interface Widened {
  readonly graph: Graph;
  readonly widenings: readonly Widening[];
}

/** The same graph with an input in place of each weight of a file that it widens to float32. */
export function takeWidenings(graph: Graph): Widened {
  const stored = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const leaving = new Set(graph.outputs.map(({ name }) => name));
  const widenings: Widening[] = [];
  const nodes = graph.nodes.filter(({ op, inputs, outputs: [output], attributes }) => {
    if (op !== 'Cast' || attributes['to']?.value !== dataTypes.float32) return true;
    const tensor = stored.get(inputs[0]);
    if (tensor?.data.kind !== 'external' || leaving.has(output)) return true;
    const { dtype, shape, data } = tensor;
    if (dtype !== 'bfloat16' && dtype !== 'float16') return true;
    widenings.push({ input: output, shape, dtype, data });
    return false;
  });
  const inputs = widenings.map(({ input, shape }): Value => ({
    name: input,
    dtype: 'float32',
    shape,
  }));
  const taken = prune({ ...graph, nodes, inputs: [...graph.inputs, ...inputs] });
  return { graph: checked(taken), widenings };
}
