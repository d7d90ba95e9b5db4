/**
 * Do the logits follow from the last site of the stream?
 *
 * The head is worked out a second time, in float64 and from the checkpoint's own bytes. Which norm it
 * has is told by the tensors that the family asks for: a gain (root mean square), a gain and a bias, or
 * neither (layer norm); what stands after it is read off the family's own graph. Each number carries
 * along what float32 may make of it, so that the verdict does not depend on the size of the model.
 */

import { bfloat16ToFloat32, float16ToFloat32 } from '../base/dtype.ts';
import { invariant } from '../base/invariant.ts';
import { Random } from '../base/random.ts';
import { itemSize, readFloats, readTensorBytes, type StoredTensor } from '../files/safetensors.ts';
import { Builder } from '../graph/builder.ts';
import type { Graph, GraphNode, Value } from '../graph/onnx.ts';
import { parametersOf, type Model } from '../../models/model.ts';
import { unembed } from '../../models/parts.ts';
import { leftOut, rounding, Worst, type Check } from './examination.ts';
import { lastStream, type Prompts, type Sites } from './passes.ts';

const [id, title] = ['head', 'the head reads the last site'];
/** Words whose logits are worked out again; a fault of the head moves all of them. */
const sampledWords = 96;
const allowedFloors = 4;

/** A row of numbers, and how much of each float32 may get wrong. */
export interface Estimate {
  readonly values: Float64Array;
  readonly floors: Float64Array;
}

/** @param at A pass over these prompts with the last `resid_post` and `logits` among its sites. */
export async function checkHead(at: Sites, model: Model, prompts: Prompts): Promise<Check> {
  const { width, vocabulary } = model.settings;
  const random = new Random(0).fork('head');
  const words = Array.from({ length: sampledWords }, () => random.below(vocabulary));
  const head = await readHead(model, words);
  if (typeof head === 'string') return leftOut(id, title, head);
  const worst = new Worst();
  let end = 0;
  for (const prompt of prompts) {
    const row = (end += prompt.length) - 1;
    const stream = at[lastStream(model)].data.subarray(row * width, (row + 1) * width);
    const { values, floors } = head(Float64Array.from(stream));
    words.forEach((word, j) => {
      const error = Math.abs(at['logits'].data[row * vocabulary + word] - values[j]);
      worst.take(error === 0 ? 0 : error / floors[j], `logit ${word} of token ${row}`);
    });
  }
  return worst.judged(id, title, allowedFloors, 'to the last bit');
}

/** One row of the last site → logits of the words; or why that cannot be worked out here. */
async function readHead(
  model: Model,
  words: readonly number[],
): Promise<((row: Float64Array) => Estimate) | string> {
  const { architecture, settings } = model;
  const shapes = new Map(parametersOf(architecture, settings).map((p) => [p.name, p.shape]));
  const g = new Builder('head');
  const asked = new Map<string, Value>();
  const params = (name: string): Value => {
    const value = asked.get(name) ?? g.input(name, 'float32', shapes.get(name) ?? []);
    asked.set(name, value);
    return value;
  };
  const x = g.input('x', 'float32', ['rows', settings.width]);
  const behindNorm = architecture.finalNorm(g, params, settings, x);
  const normNames = [...asked.keys()];
  const matrix = settings.isTied ? architecture.embedding : 'lm_head.weight';
  const unembedding = params(matrix);
  const logits =
    architecture.logits?.(g, params, settings, behindNorm, unembedding) ??
    unembed(g, behindNorm, unembedding);
  const graph = g.finish([logits]);
  const steps = stepsFrom(graph, behindNorm.name);
  const unknown = steps.find(({ op }) => !known.has(op));
  if (unknown !== undefined) return `this head has an operator "${unknown.op}" of its own`;
  const tensors = new Map<string, Estimate>();
  for (const name of asked.keys()) {
    const tensor = model.weights.get(name);
    invariant(tensor !== undefined, `the head asks for "${name}", which it did not declare`);
    tensors.set(name, await readWords(tensor, name === matrix, settings.vocabulary, words));
  }
  for (const { name, data } of graph.initializers) {
    invariant(data.kind === 'inline', `"${name}" of a head lies in a file`);
    if (data.bytes.length % 4 === 0) tensors.set(name, exact(floatsIn(data.bytes)));
  }
  const norm = normOf(model, normNames, tensors, behindNorm !== x);
  return (row) => {
    const made = new Map(tensors).set(behindNorm.name, norm(row));
    for (const node of steps) made.set(node.outputs[0], evaluate(node, made));
    const result = made.get(logits.name);
    invariant(result !== undefined, 'a head without logits');
    return result;
  };
}

function floatsIn(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

/** The nodes after the norm, in their order. */
function stepsFrom({ nodes }: Graph, norm: string): GraphNode[] {
  const start = nodes.findIndex(({ outputs }) => outputs.includes(norm));
  return nodes.slice(start + 1);
}

function exact(values: ArrayLike<number>): Estimate {
  return { values: Float64Array.from(values), floors: new Float64Array(values.length) };
}

/** A tensor, of those that have a row for each word only the wanted rows. */
async function readWords(
  tensor: StoredTensor,
  isMatrix: boolean,
  vocabulary: number,
  words: readonly number[],
): Promise<Estimate> {
  if (!isMatrix) {
    const all = await readFloats(tensor);
    const isByWord = tensor.shape.length === 1 && tensor.shape[0] === vocabulary;
    return exact(isByWord ? words.map((word) => all[word]) : all);
  }
  const width = tensor.shape[1];
  const rows = new Float64Array(words.length * width);
  const bytes = width * itemSize(tensor.dtype);
  for (const [j, word] of words.entries()) {
    rows.set(widened(await readTensorBytes(tensor, word * bytes, bytes), tensor), j * width);
  }
  return exact(rows);
}

function widened(bytes: Uint8Array<ArrayBuffer>, { dtype }: StoredTensor): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer);
  const bits = new Uint16Array(bytes.buffer);
  return dtype === 'F16' ? float16ToFloat32(bits) : bfloat16ToFloat32(bits);
}

type Norm = (row: Float64Array) => Estimate;

/** The norm that these tensors are of. */
function normOf(
  { architecture, settings }: Model,
  names: readonly string[],
  tensors: ReadonlyMap<string, Estimate>,
  hasNorm: boolean,
): Norm {
  const valuesOf = (ending: string): Float64Array | undefined =>
    tensors.get(names.find((name) => name.endsWith(ending)) ?? '')?.values;
  const gain = valuesOf('weight')?.map((w) => w + (architecture.gainOffset ?? 0));
  const bias = valuesOf('bias');
  if (!hasNorm) return exact;
  if (gain === undefined) {
    const [ones, zeros] = [1, 0].map((value) => new Float64Array(settings.width).fill(value));
    return (row) => normed(row, ones, zeros, usualEpsilon);
  }
  const epsilon = 'epsilon' in settings ? Number(settings.epsilon) : usualEpsilon;
  return (row) => normed(row, gain, bias, epsilon);
}

/** ε of norms whose config does not name it. */
export const usualEpsilon = 1e-5;

/** The layer norm of a row in float64; the root-mean-square norm where there is no bias. */
export function normed(
  row: Float64Array,
  gain: Float64Array,
  bias: Float64Array | undefined,
  epsilon: number,
): Estimate {
  const mean = bias === undefined ? 0 : row.reduce((sum, v) => sum + v, 0) / row.length;
  const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
  const size = Math.sqrt(variance + epsilon);
  const values = row.map((v, i) => ((v - mean) / size) * gain[i] + (bias?.[i] ?? 0));
  const typical = row.reduce((sum, v) => sum + Math.abs(v), 0) / row.length;
  // The row itself is rounded, so is its mean, and both may be larger than what is left of them.
  const floors = values.map((v, i) => {
    const subtracted = 2 * Math.abs(row[i]) + Math.abs(mean) + typical;
    return rounding * ((subtracted / size) * Math.abs(gain[i]) + 3 * Math.abs(v));
  });
  return { values, floors };
}

const known: ReadonlySet<string> = new Set(['Gemm', 'Add', 'Mul', 'Div', 'Tanh', 'Cast']);

function evaluate(
  { op, inputs, attributes }: GraphNode,
  made: ReadonlyMap<string, Estimate>,
): Estimate {
  const [a, b, c] = inputs.map((name) => {
    const value = made.get(name);
    invariant(value !== undefined, `"${name}" of a head is not known`);
    return value;
  });
  if (op === 'Cast') return a;
  if (op === 'Gemm') return product(a, b, c, attributes['transB']?.value === 1);
  if (op === 'Tanh') return each(a, a, Math.tanh, (_, floor) => floor);
  if (op === 'Add')
    return each(
      a,
      b,
      (x, y) => x + y,
      (_x, e, _y, f) => e + f,
    );
  if (op === 'Mul')
    return each(
      a,
      b,
      (x, y) => x * y,
      (x, e, y, f) => e * Math.abs(y) + f * Math.abs(x),
    );
  return each(
    a,
    b,
    (x, y) => x / y,
    (_x, e, y) => e / Math.abs(y),
  );
}

/** Element by element, where a single number stands for all. */
function each(
  a: Estimate,
  b: Estimate,
  value: (x: number, y: number) => number,
  floor: (x: number, e: number, y: number, f: number) => number,
): Estimate {
  const at = (list: Float64Array, i: number): number => list[list.length === 1 ? 0 : i];
  const values = a.values.map((x, i) => value(x, at(b.values, i)));
  const floors = values.map(
    (v, i) =>
      floor(a.values[i], a.floors[i], at(b.values, i), at(b.floors, i)) + rounding * Math.abs(v),
  );
  return { values, floors };
}

/** x · W or x · Wᵀ, plus a bias. */
function product(
  x: Estimate,
  weight: Estimate,
  bias: Estimate | undefined,
  isTransposed: boolean,
): Estimate {
  const inputs = x.values.length;
  const outputs = weight.values.length / inputs;
  const values = new Float64Array(outputs);
  const floors = new Float64Array(outputs);
  for (let j = 0; j < outputs; j++) {
    values[j] = bias?.values[j] ?? 0;
    for (let i = 0; i < inputs; i++) {
      const w = weight.values[isTransposed ? j * inputs + i : i * outputs + j];
      values[j] += x.values[i] * w;
      floors[j] += (rounding * Math.abs(x.values[i]) + x.floors[i]) * Math.abs(w);
    }
    floors[j] += rounding * Math.abs(values[j]);
  }
  return { values, floors };
}
