/**
 * Looks rows up before anything is worked out from them.
 *
 * A table such as an embedding may be an expression over stored tensors: widened, or a base with an
 * adapter's change added to it. A graph that asks for some of its rows would work out all of them
 * first. After this pass it works out the rows that are asked for, and nothing else; a run of rows
 * that is known beforehand is read from the file as a smaller tensor.
 */

import { invariant } from '../base/invariant.ts';
import { checked } from './legal.ts';
import type { Graph, GraphNode, Initializer } from './onnx.ts';
import { prune } from './prune.ts';

/** The same graph with its lookups (`Gather` along the first axis) moved to the stored tensors. */
export function lookUpFirst(graph: Graph): Graph {
  const pass = new Lookups(graph);
  const nodes = graph.nodes.flatMap((node) => pass.rewritten(node));
  return checked(prune({ ...graph, nodes, initializers: [...graph.initializers, ...pass.added] }));
}

/** Operators that give each row of their result from that row of their inputs. */
const byRow: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Div', 'Cast', 'Unsqueeze']);

class Lookups {
  /** Parts of stored tensors that came to be read by themselves. */
  readonly added: Initializer[] = [];
  readonly #stored: ReadonlyMap<string, Initializer>;
  readonly #makers = new Map<string, GraphNode>();
  readonly #shapes = new Map<string, readonly number[] | null>();

  constructor(graph: Graph) {
    this.#stored = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
    for (const node of graph.nodes) for (const name of node.outputs) this.#makers.set(name, node);
  }

  /** The node itself, or nodes that give the same from less. */
  rewritten(node: GraphNode): GraphNode[] {
    const [table, index] = node.inputs;
    if (node.op !== 'Gather' || axisOf(node) !== 0 || this.#shapeOf(table) === null) return [node];
    const made: GraphNode[] = [];
    const rows = this.#rows(table, index, node.outputs[0], made);
    return [...made, { op: 'Identity', inputs: [rows], outputs: node.outputs, attributes: {} }];
  }

  /** Name of the rows `index` of a constant; the nodes that make them are put into `made`. */
  #rows(name: string, index: string, label: string, made: GraphNode[]): string {
    const own = `${label}/rows of ${name}`;
    if (made.some(({ outputs }) => outputs[0] === own)) return own;
    const stored = this.#stored.get(name);
    if (stored !== undefined) {
      const part = this.#part(stored, index, own);
      if (part === null) made.push(gather(name, index, own, 0));
      else if (!this.added.some((tensor) => tensor.name === own)) this.added.push(part);
      return own;
    }
    const node = this.#makers.get(name);
    invariant(node !== undefined, `"${name}" is a constant that nothing makes`);
    const inputs = this.#inputsByRow(node, index, own, made);
    made.push(inputs === null ? gather(name, index, own, 0) : { ...node, inputs, outputs: [own] });
    return own;
  }

  /** Inputs from which the node makes some rows of its result; null where it needs all for each. */
  #inputsByRow(node: GraphNode, index: string, own: string, made: GraphNode[]): string[] | null {
    const height = this.#shapeOf(node.outputs[0])?.[0];
    const rows = (name: string): string => this.#rows(name, index, own, made);
    if (node.op === 'Gemm') {
      const [a, b, c] = node.inputs;
      const isTurned = node.attributes['transA']?.value === 1;
      return [isTurned ? this.#columns(a, index, own, made) : rows(a), b, rows(c)];
    }
    if (node.op === 'ReduceL2') {
      return this.#shapeOf(node.outputs[0])?.[0] === this.#shapeOf(node.inputs[0])?.[0]
        ? [rows(node.inputs[0]), node.inputs[1]]
        : null;
    }
    if (!byRow.has(node.op)) return null;
    const data = node.op === 'Unsqueeze' ? 1 : node.inputs.length;
    return node.inputs.map((name, i) =>
      i < data && this.#shapeOf(name)?.[0] === height ? rows(name) : name,
    );
  }

  /** Columns `index` of a stored matrix, or of one that is widened. */
  #columns(name: string, index: string, label: string, made: GraphNode[]): string {
    const own = `${label}/columns of ${name}`;
    const node = this.#makers.get(name);
    if (node?.op === 'Cast') {
      const inputs = [this.#columns(node.inputs[0], index, label, made)];
      made.push({ ...node, inputs, outputs: [own] });
    } else {
      made.push(gather(name, index, own, 1));
    }
    return own;
  }

  /** A run of rows of a stored tensor as a tensor of its own; null where the rows are no run. */
  #part(tensor: Initializer, index: string, name: string): Initializer | null {
    const range = rangeOf(this.#stored.get(index));
    if (range === null) return null;
    const [height, ...rest] = tensor.shape;
    const shape = [range.count, ...rest];
    const { data } = tensor;
    const whole = data.kind === 'inline' ? data.bytes.length : data.length;
    const [from, length] = [range.from, range.count].map((rows) => (rows * whole) / height);
    return {
      name,
      dtype: tensor.dtype,
      shape,
      data:
        data.kind === 'inline'
          ? { kind: 'inline', bytes: data.bytes.subarray(from, from + length) }
          : { ...data, offset: data.offset + from, length },
    };
  }

  /** The shape of a value that is worked out from stored tensors alone; null for all others. */
  #shapeOf(name: string): readonly number[] | null {
    const known = this.#shapes.get(name);
    if (known !== undefined) return known;
    const shape = this.#stored.get(name)?.shape ?? this.#shapeMade(this.#makers.get(name));
    this.#shapes.set(name, shape);
    return shape;
  }

  #shapeMade(node: GraphNode | undefined): readonly number[] | null {
    if (node === undefined) return null;
    const shapes = node.inputs.map((name) => this.#shapeOf(name));
    if (shapes.some((shape) => shape === null)) return null;
    const [first, second, third] = shapes.map((shape) => shape ?? []);
    switch (node.op) {
      case 'Cast':
        return first;
      case 'Gemm':
        return third ?? null;
      case 'ReduceL2': {
        const axes = integersOf(this.#stored.get(node.inputs[1]));
        return first.map((size, axis) => (axes.includes(axis) ? 1 : size));
      }
      case 'Unsqueeze': {
        const shape = [...first];
        for (const axis of integersOf(this.#stored.get(node.inputs[1]))) shape.splice(axis, 0, 1);
        return shape;
      }
      default:
        return byRow.has(node.op) ? stretched(first, second) : null;
    }
  }
}

function gather(table: string, index: string, output: string, axis: number): GraphNode {
  const attributes = { axis: { kind: 'int', value: axis } } as const;
  return { op: 'Gather', inputs: [table, index], outputs: [output], attributes };
}

function axisOf({ attributes }: GraphNode): number {
  const axis = attributes['axis'];
  return axis?.kind === 'int' ? axis.value : 0;
}

function integersOf(tensor: Initializer | undefined): number[] {
  if (tensor?.dtype !== 'int64' || tensor.data.kind !== 'inline') return [];
  const { bytes } = tensor.data;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)));
}

/** The run of rows that an index names, each once and in order. */
function rangeOf(index: Initializer | undefined): { from: number; count: number } | null {
  const rows = integersOf(index);
  const isRun = rows.length > 0 && rows.every((row, i) => row === rows[0] + i);
  return isRun ? { from: rows[0], count: rows.length } : null;
}

function stretched(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  const sizeOf = (shape: readonly number[], i: number): number =>
    shape[i - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, i) => Math.max(sizeOf(a, i), sizeOf(b, i)));
}
