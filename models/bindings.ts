/**
 * Where do a graph's parameters come from? One binding of the ports for each answer.
 *
 * A binding turns a parameter into a value of the graph under construction. The equations never know
 * which one they got.
 */

import { invariant } from '../src/base/invariant.ts';
import { Random } from '../src/base/random.ts';
import type { StoredDtype, StoredTensor } from '../src/files/safetensors.ts';
import type { Builder } from '../src/graph/builder.ts';
import type { DataType, Value } from '../src/graph/onnx.ts';
import { parametersOf, type Model } from './model.ts';

/** Adds the parameter with this canonical name to the graph, in the type it is stored in. */
export type Binding = (g: Builder, name: string) => Value;

const dataTypeOf: Readonly<Partial<Record<StoredDtype, DataType>>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/**
 * Weights as the checkpoint stores them, read in place from its files.
 *
 * @param label Stands before every name, where the weights of two checkpoints meet in one graph.
 */
export function fromCheckpoint(model: Model, label = ''): Binding {
  return (g, name) => {
    const tensor = model.weights.get(name);
    invariant(
      tensor !== undefined,
      `the architecture asks for "${name}", which it did not declare`,
    );
    return storedValue(g, label + name, tensor);
  };
}

/** A tensor of a file as a value of the graph, in the type it is stored in. */
export function storedValue(g: Builder, name: string, tensor: StoredTensor): Value {
  const dtype = dataTypeOf[tensor.dtype];
  invariant(dtype !== undefined, `a weight of type ${tensor.dtype} passed the checks`);
  const { file, offset, length } = tensor;
  return g.external(name, dtype, tensor.shape, { kind: 'external', file, offset, length });
}

/**
 * The untrained twin: the same architecture with the weights that training starts from.
 *
 * Matrices are normal with the config's `initializer_range`, gains act as 1 and biases are 0. What a probe
 * reads here it reads without any learned feature.
 */
export function untrainedTwin(model: Model, seed: number): Binding {
  const draw = twinWeights(model, seed);
  return (g, name) => {
    const { shape, numbers } = draw(name);
    const values = new Float32Array(product(shape));
    let at = 0;
    for (const some of numbers) {
      values.set(some, at);
      at += some.length;
    }
    return g.floats(name, shape, values);
  };
}

/** One of a twin's weights. */
export interface DrawnWeight {
  readonly shape: readonly number[];
  /** Its numbers in order, some at a time. */
  readonly numbers: Iterable<Float32Array>;
}

/** Draws an untrained twin's weights by name, the same ones each time. */
export function twinWeights(model: Model, seed: number): (name: string) => DrawnWeight {
  const shapes = new Map(
    parametersOf(model.architecture, model.settings).map(({ name, shape }) => [name, shape]),
  );
  return (name) => {
    const shape = shapes.get(name);
    invariant(shape !== undefined, `the architecture asks for "${name}", which it did not declare`);
    return { shape, numbers: twinNumbers(model, seed, name, shape) };
  };
}

const drawnAtOnce = 2 ** 20;

function* twinNumbers(
  { architecture, initialiserRange }: Model,
  seed: number,
  name: string,
  shape: readonly number[],
): Generator<Float32Array> {
  const { gainOffset = 0 } = architecture;
  const random = new Random(seed).fork('twin', name);
  for (let left = product(shape); left > 0; left -= drawnAtOnce) {
    const values = new Float32Array(Math.min(left, drawnAtOnce));
    if (shape.length === 1) values.fill(name.endsWith('.bias') ? 0 : 1 - gainOffset);
    else {
      for (let i = 0; i < values.length; i++) values[i] = initialiserRange * random.normal();
    }
    yield values;
  }
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, axis) => size * axis, 1);
}
