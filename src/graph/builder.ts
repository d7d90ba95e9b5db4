/**
 * Builds graphs: one method for each operator, which adds a node and returns the value it makes.
 *
 * Each method works out the result's type and shape, so that a wrong layout stops here, with the
 * operator's name, and not inside the runtime. Operators are those of ONNX opset 24.
 */

import { invariant } from '../base/invariant.ts';
import type { AttentionOptions, AttentionResult, Rotary } from './attention.ts';
import {
  dataTypes,
  type Attribute,
  type Axis,
  type DataType,
  type ExternalData,
  type Graph,
  type GraphNode,
  type Initializer,
  type Value,
} from './onnx.ts';

/** A graph in the making. */
export class Builder {
  readonly #name: string;
  readonly #inputs: Value[] = [];
  readonly #initializers: Initializer[] = [];
  readonly #nodes: GraphNode[] = [];
  readonly #names = new Set<string>();
  #prefix = '';

  constructor(name: string) {
    this.#name = name;
  }

  /** Everything that `build` adds gets names under `scope`, which a printed graph then shows. */
  within<T>(scope: string, build: () => T): T {
    const outer = this.#prefix;
    this.#prefix = `${outer}${scope}/`;
    try {
      return build();
    } finally {
      this.#prefix = outer;
    }
  }

  input(name: string, dtype: DataType, shape: readonly Axis[]): Value {
    const value = { name: this.#claim(name), dtype, shape };
    this.#inputs.push(value);
    return value;
  }

  /** A tensor whose bytes lie in a file. */
  external(name: string, dtype: DataType, shape: readonly number[], data: ExternalData): Value {
    const tensor = { name: this.#claim(name), dtype, shape, data };
    this.#initializers.push(tensor);
    return tensor;
  }

  floats(name: string, shape: readonly number[], values: Float32Array): Value {
    return this.#inline(name, 'float32', shape, values);
  }

  /** A short list of numbers that the equations need. Shape: `[n]`. */
  constant(
    label: string,
    values: readonly number[],
    dtype: 'float32' | 'float64' = 'float32',
  ): Value {
    const data = dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
    return this.#inline(this.#fresh(label), dtype, [values.length], data);
  }

  integers(label: string, values: readonly number[]): Value {
    const data = BigInt64Array.from(values, BigInt);
    return this.#inline(this.#fresh(label), 'int64', [values.length], data);
  }

  add(a: Value, b: Value): Value {
    return this.#elementwise('Add', a, b);
  }

  mul(a: Value, b: Value): Value {
    return this.#elementwise('Mul', a, b);
  }

  div(a: Value, b: Value): Value {
    return this.#elementwise('Div', a, b);
  }

  sigmoid(x: Value): Value {
    return this.node('Sigmoid', [x], x.shape);
  }

  relu(x: Value): Value {
    return this.node('Relu', [x], x.shape);
  }

  /** Gaussian error linear unit; `tanh` is the approximation that configs call gelu_new. */
  gelu(x: Value, form: 'none' | 'tanh'): Value {
    return this.node('Gelu', [x], x.shape, { approximate: { kind: 'string', value: form } });
  }

  /** c · tanh(x / c): nearly x while |x| is small, never beyond ±c. */
  softCap(x: Value, cap: number): Value {
    const limit = this.constant('cap', [cap]);
    return this.mul(this.node('Tanh', [this.div(x, limit)], x.shape), limit);
  }

  cast(x: Value, dtype: 'float32' | 'float64' | 'int64'): Value {
    if (x.dtype === dtype) return x;
    const attributes = { to: { kind: 'int', value: dataTypes[dtype] } } as const;
    return this.node('Cast', [x], x.shape, attributes, dtype);
  }

  /** y = x · W (+ b), or x · Wᵀ for weights stored [out, in]. Shape: `[tokens, in] → [tokens, out]`. */
  linear(x: Value, weight: Value, bias: Value | undefined, layout: 'in-out' | 'out-in'): Value {
    const [rows, width] = layout === 'out-in' ? [1, 0] : [0, 1];
    invariant(
      x.shape.length === 2 && x.shape[1] === weight.shape[rows],
      `linear of [${x.shape.join(', ')}] with a weight of [${weight.shape.join(', ')}], ${layout}`,
    );
    const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
    const shape = [x.shape[0], weight.shape[width]];
    return this.node('Gemm', inputs, shape, {
      transB: { kind: 'int', value: layout === 'out-in' ? 1 : 0 },
    });
  }

  /** Rows of `table` by index along the first axis. Shape: `[v, …], [n] → [n, …]`. */
  gather(table: Value, index: Value): Value {
    return this.node('Gather', [table, index], [...index.shape, ...table.shape.slice(1)], {
      axis: { kind: 'int', value: 0 },
    });
  }

  reshape(x: Value, shape: Value, result: readonly Axis[]): Value {
    return this.node('Reshape', [x, shape], result);
  }

  /** Cuts the last axis into equal parts, or into parts of these widths. Shape: `[tokens, n·w] → n × [tokens, w]`. */
  split(x: Value, parts: number | readonly number[]): Value[] {
    const whole = Number(x.shape.at(-1));
    const widths =
      typeof parts === 'number'
        ? Array.from({ length: parts }, () => whole / parts)
        : Array.from(parts);
    invariant(
      widths.every((width) => Number.isInteger(width)) &&
        widths.reduce((sum, width) => sum + width, 0) === whole,
      `split of [${x.shape.join(', ')}] into ${widths.join(', ')}`,
    );
    const isEqual = typeof parts === 'number';
    return this.nodes(
      'Split',
      isEqual ? [x] : [x, this.integers('widths', widths)],
      widths.map((width) => ({ dtype: x.dtype, shape: [...x.shape.slice(0, -1), width] })),
      {
        axis: { kind: 'int', value: -1 },
        ...(isEqual ? { num_outputs: { kind: 'int', value: parts } as const } : {}),
      },
    );
  }

  /** Elements `from … to − 1` along an axis, as far as there are any; both of shape `[1]`. */
  slice(x: Value, from: Value, to: Value, axis: number, name: string): Value {
    const shape = x.shape.map((size, i) => (i === axis ? name : size));
    return this.node('Slice', [x, from, to, this.integers('axis', [axis])], shape);
  }

  transpose(x: Value, order: readonly number[]): Value {
    const shape = order.map((axis) => x.shape[axis]);
    return this.node('Transpose', [x], shape, { perm: { kind: 'ints', value: order } });
  }

  /** The sizes of `x` along `start … end − 1`, as int64. */
  sizes(x: Value, start: number, end: number): Value {
    const attributes = {
      start: { kind: 'int', value: start },
      end: { kind: 'int', value: end },
    } as const;
    return this.node('Shape', [x], [end - start], attributes, 'int64');
  }

  concat(parts: readonly Value[]): Value {
    const length = parts.reduce((sum, part) => sum + Number(part.shape[0]), 0);
    return this.node('Concat', parts, [length], { axis: { kind: 'int', value: 0 } });
  }

  /** Puts axes of size 1 where the result has them. Shape: `[batch, position] → [batch, 1, position, 1]`. */
  unsqueeze(x: Value, ...axes: readonly number[]): Value {
    const shape = [...x.shape];
    for (const axis of axes) shape.splice(axis, 0, 1);
    return this.node('Unsqueeze', [x, this.integers('axes', axes)], shape);
  }

  /** x / √(mean(x²) + ε) ⊙ w over the last axis. */
  rmsNorm(x: Value, weight: Value, epsilon: number): Value {
    return this.node('RMSNormalization', [x, weight], x.shape, {
      axis: { kind: 'int', value: -1 },
      epsilon: { kind: 'float', value: epsilon },
    });
  }

  /** (x − mean) / √(variance + ε) ⊙ w (+ b) over the last axis, variance biased. */
  layerNorm(x: Value, weight: Value, bias: Value | undefined, epsilon: number): Value {
    const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
    return this.node('LayerNormalization', inputs, x.shape, {
      axis: { kind: 'int', value: -1 },
      epsilon: { kind: 'float', value: epsilon },
    });
  }

  /**
   * Rotates the first features of each head by position: (x₁, x₂) → (x₁cos − x₂sin, x₂cos + x₁sin)
   * on their two halves; the head's other features stay.
   *
   * @param x `[batch, position, heads · headDim]`
   * @param cos, sin `[rows, rotated / 2]`, or `[batch, position, rotated / 2]` where `rows` is null
   */
  rotary(x: Value, { cos, sin, rows }: Rotary, heads: number): Value {
    const rotated = 2 * Number(cos.shape.at(-1));
    const isPartial = rotated < Number(x.shape[2]) / heads;
    return this.node(
      'RotaryEmbedding',
      rows === null ? [x, cos, sin] : [x, cos, sin, rows],
      x.shape,
      {
        num_heads: { kind: 'int', value: heads },
        ...(isPartial ? { rotary_embedding_dim: { kind: 'int', value: rotated } as const } : {}),
      },
    );
  }

  /** Attention, causal unless there is a mask, on `[batch, position, heads · headDim]`; key head j serves its share of query heads. */
  attention(q: Value, k: Value, v: Value, options: AttentionOptions): AttentionResult {
    const [batch, position] = q.shape;
    const headDim = Number(k.shape[2]) / options.keyHeads;
    const { past, mask, softCap, wantsPattern, wantsPresent } = options;
    const keys = past === undefined ? position : 'keys';
    const cacheShape = [batch, options.keyHeads, keys, headDim];
    const present = wantsPresent
      ? {
          key: this.#value('present_key', 'float32', cacheShape),
          value: this.#value('present_value', 'float32', cacheShape),
        }
      : undefined;
    const pattern = wantsPattern
      ? this.#value('pattern', 'float32', [batch, options.queryHeads, position, keys])
      : undefined;
    const output = this.#value('Attention', 'float32', [
      batch,
      position,
      options.queryHeads * headDim,
    ]);
    const inputs = [q, k, v, mask, past?.key, past?.value].map((value) => value?.name ?? '');
    while (inputs.at(-1) === '') inputs.pop();
    const outputs = [
      output.name,
      present?.key.name ?? '',
      present?.value.name ?? '',
      pattern?.name ?? '',
    ];
    while (outputs.at(-1) === '') outputs.pop();
    this.#nodes.push({
      op: 'Attention',
      inputs,
      outputs,
      attributes: {
        is_causal: { kind: 'int', value: mask === undefined ? 1 : 0 },
        q_num_heads: { kind: 'int', value: options.queryHeads },
        kv_num_heads: { kind: 'int', value: options.keyHeads },
        scale: { kind: 'float', value: options.scale },
        ...(softCap === undefined ? {} : { softcap: { kind: 'float', value: softCap } as const }),
        ...(wantsPattern ? { qk_matmul_output_mode: { kind: 'int', value: 3 } as const } : {}),
      },
    });
    return { output, pattern, present };
  }

  /** Gives `x` the name under which it leaves the graph. */
  named(name: string, x: Value): Value {
    const value = { ...x, name: this.#claim(name) };
    this.#nodes.push({ op: 'Identity', inputs: [x.name], outputs: [value.name], attributes: {} });
    return value;
  }

  /** The finished graph with these outputs. */
  finish(outputs: readonly Value[]): Graph {
    return {
      name: this.#name,
      inputs: this.#inputs,
      outputs,
      initializers: this.#initializers,
      nodes: this.#nodes,
    };
  }

  /** Any operator with one output, for what has no method of its own. */
  node(
    op: string,
    inputs: readonly Value[],
    shape: readonly Axis[],
    attributes: Readonly<Record<string, Attribute>> = {},
    dtype: DataType = inputs[0].dtype,
  ): Value {
    return this.nodes(op, inputs, [{ dtype, shape }], attributes)[0];
  }

  /** Any operator with these outputs. */
  nodes(
    op: string,
    inputs: readonly Value[],
    results: readonly Omit<Value, 'name'>[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value[] {
    const outputs = results.map(({ dtype, shape }) => this.#value(op, dtype, shape));
    this.#nodes.push({
      op,
      inputs: inputs.map(({ name }) => name),
      outputs: outputs.map(({ name }) => name),
      attributes,
    });
    return outputs;
  }

  #elementwise(op: string, a: Value, b: Value): Value {
    return this.node(op, [a, b], broadcast(op, a.shape, b.shape));
  }

  #value(label: string, dtype: DataType, shape: readonly Axis[]): Value {
    return { name: this.#claim(this.#fresh(label)), dtype, shape };
  }

  /** The label under this scope, with a number behind it if that name is taken. */
  #fresh(label: string): string {
    const stem = this.#prefix + label;
    let name = stem;
    for (let i = 1; this.#names.has(name); i++) name = `${stem}_${i}`;
    return name;
  }

  #inline(
    name: string,
    dtype: DataType,
    shape: readonly number[],
    data: Float32Array | Float64Array | BigInt64Array,
  ): Value {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const tensor = {
      name: this.#claim(name),
      dtype,
      shape,
      data: { kind: 'inline', bytes },
    } as const;
    this.#initializers.push(tensor);
    return tensor;
  }

  #claim(name: string): string {
    invariant(!this.#names.has(name), `two values are called "${name}" in graph "${this.#name}"`);
    this.#names.add(name);
    return name;
  }
}

/** The shape that two operands are stretched to; symbolic axes match only themselves or 1. */
function broadcast(op: string, a: readonly Axis[], b: readonly Axis[]): Axis[] {
  const rank = Math.max(a.length, b.length);
  const axisOf = (shape: readonly Axis[], i: number): Axis => shape[i - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, i) => {
    const [left, right] = [axisOf(a, i), axisOf(b, i)];
    invariant(
      left === right || left === 1 || right === 1,
      `${op} of [${a.join(', ')}] and [${b.join(', ')}]`,
    );
    return left === 1 ? right : left;
  });
}
