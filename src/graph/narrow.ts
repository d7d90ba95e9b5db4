/**
 * Which rows does the end of a graph need? The last block's work on all others is left out.
 *
 * What leaves a graph is gathered by `rows` from a stream of all tokens. Where nothing else reads a
 * value, a row-wise operation may as well come after the gathering, on fewer rows: gather(f(x)) =
 * f(gather(x)). Moved up as far as they go, the gatherings of the last block end at its attention,
 * which must see every token. No number changes: each row is worked out as it was.
 */

import type { Graph, GraphNode } from './onnx.ts';

/** Operations whose row i depends on row i of their inputs alone; along other axes they may do as they like. */
const rowWise: ReadonlySet<string> = new Set([
  'Add',
  'Gelu',
  'Gemm',
  'LayerNormalization',
  'Mul',
  'RMSNormalization',
  'Relu',
  'Sigmoid',
]);

/** The same graph with gatherings by the input `rows` moved before row-wise operations. */
export function narrow(graph: Graph, rows = 'rows'): Graph {
  const fixed = fixedValues(graph);
  const narrowed = narrowable(graph, fixed, rows);
  if (narrowed.size === 0) return graph;
  const made = new Set([...narrowed].flatMap(({ outputs }) => outputs));
  const renamed = new Map<string, string>();
  const gathered = new Set<string>();
  const nodes: GraphNode[] = [];
  for (const node of graph.nodes) {
    if (isGathering(node, rows) && made.has(node.inputs[0])) {
      renamed.set(node.outputs[0], node.inputs[0]); // its rows are the wanted ones already
      continue;
    }
    const inputs = node.inputs.map((name) => {
      const own = renamed.get(name) ?? name;
      if (!narrowed.has(node) || own === '' || fixed.has(own) || made.has(own)) return own;
      const some = `${own}/${rows}`;
      if (!gathered.has(some)) {
        gathered.add(some);
        const axis = { kind: 'int', value: 0 } as const;
        nodes.push({ op: 'Gather', inputs: [own, rows], outputs: [some], attributes: { axis } });
      }
      return some;
    });
    nodes.push({ ...node, inputs });
  }
  return { ...graph, nodes };
}

/** Row-wise nodes that are read by gatherings alone, or by others of their kind. */
function narrowable(graph: Graph, fixed: ReadonlySet<string>, rows: string): Set<GraphNode> {
  const readers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const name of node.inputs) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  const leaving = new Set(graph.outputs.map(({ name }) => name));
  const found = new Set<GraphNode>();
  for (const node of graph.nodes.toReversed()) {
    const [x, ...others] = node.inputs;
    if (!rowWise.has(node.op) || fixed.has(node.outputs[0])) continue;
    // Of a product only the left side has rows, and only if it is not turned.
    const isLeft = !fixed.has(x) && others.every((name) => fixed.has(name));
    if (node.op === 'Gemm' && (!isLeft || node.attributes['transA']?.value === 1)) continue;
    const users = node.outputs.flatMap((name) => readers.get(name) ?? []);
    const isFree = node.outputs.length === 1 && !leaving.has(node.outputs[0]) && users.length > 0;
    if (isFree && users.every((user) => found.has(user) || isGathering(user, rows)))
      found.add(node);
  }
  return found;
}

function isGathering({ op, inputs, attributes }: GraphNode, rows: string): boolean {
  return op === 'Gather' && inputs[1] === rows && attributes['axis']?.value === 0;
}

/** Weights, constants, and what is made of them alone: they have no rows. */
function fixedValues({ initializers, nodes }: Graph): Set<string> {
  const fixed = new Set(['', ...initializers.map(({ name }) => name)]);
  for (const { inputs, outputs } of nodes) {
    if (inputs.length > 0 && inputs.every((name) => fixed.has(name))) {
      for (const name of outputs) fixed.add(name);
    }
  }
  return fixed;
}
