/** Which parts of a graph do its outputs need? The rest is cut, and with it the reading of its weights. */

import type { Graph } from './onnx.ts';

/** The same graph without nodes, inputs and initializers that no output depends on. */
export function prune(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map((value) => value.name));
  const nodes = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    for (const name of node.inputs) needed.add(name);
    nodes.push(node);
  }
  return {
    ...graph,
    nodes: nodes.toReversed(),
    inputs: graph.inputs.filter((value) => needed.has(value.name)),
    initializers: graph.initializers.filter((tensor) => needed.has(tensor.name)),
  };
}
