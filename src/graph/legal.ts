/** Is a graph well formed? Asked after each pass, since a runtime's own complaint comes late and names little. */

import { invariant } from '../base/invariant.ts';
import type { Graph } from './onnx.ts';

/**
 * Checks that every value is made once and before it is read, and that every output is made.
 *
 * @returns The graph itself, so that a pass can end with it.
 */
export function checked(graph: Graph): Graph {
  const made = new Set<string>();
  const make = (name: string): void => {
    invariant(name !== '' && !made.has(name), `"${name}" is made twice in graph "${graph.name}"`);
    made.add(name);
  };
  for (const value of [...graph.inputs, ...graph.initializers]) make(value.name);
  for (const node of graph.nodes) {
    for (const name of node.inputs) {
      invariant(name === '' || made.has(name), `${node.op} reads "${name}" before it is made`);
    }
    for (const name of node.outputs) if (name !== '') make(name);
  }
  for (const value of graph.outputs) {
    invariant(made.has(value.name), `nothing makes the output "${value.name}"`);
  }
  return graph;
}
