/**
 * In which order does a runtime that keeps few values do the work?
 *
 * onnxruntime walks from the outputs back, and of a node's inputs it goes first to the one whose node
 * stands last in the file. Were weights widened where they are used, those of the last map would be
 * widened first and held through the whole graph. Where they stand at the beginning they are widened
 * just before they are used.
 *
 * @see GraphViewer and Graph::ReverseDFSFrom in onnxruntime 1.30, onnxruntime/core/graph/
 */

import { checked } from './legal.ts';
import type { Graph } from './onnx.ts';

/** The same graph with the nodes first that no input has a part in. */
export function weightsFirst(graph: Graph): Graph {
  const fed = new Set(graph.inputs.map(({ name }) => name));
  const isFed = graph.nodes.map(({ inputs, outputs }) => {
    const feeds = inputs.some((name) => fed.has(name));
    if (feeds) for (const name of outputs) fed.add(name);
    return feeds;
  });
  const nodes = [
    ...graph.nodes.filter((_, i) => !isFed[i]),
    ...graph.nodes.filter((_, i) => isFed[i]),
  ];
  return checked({ ...graph, nodes });
}
