/**
 * Weights that are not stored as they are used: a base with adapters on it, or a point on the way from
 * one checkpoint to another.
 *
 * Nothing is merged on disk. A variant binds the ports of the same equation to expressions over
 * tensors that stay in their files, and onnxruntime works each expression out once, as it loads the
 * graph. Several variants of one base read one file.
 */

import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../src/base/errors.ts';
import { invariant } from '../src/base/invariant.ts';
import type { Adapter } from '../src/files/peft.ts';
import type { StoredTensor } from '../src/files/safetensors.ts';
import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import { matchAdapter, type Change, type LowRank } from './adapters.ts';
import { fromCheckpoint, storedValue, type Binding } from './bindings.ts';
import type { Model } from './model.ts';

export interface Variant {
  /** Settings as the variant has them; its weights are those of the base, before any change. */
  readonly model: Model;
  /** Binds the ports; `label` keeps the names of two variants in one graph apart. */
  readonly bind: (label: string) => Binding;
  /** Where its tokenizer lies. */
  readonly tokenizerFolder: string;
  /** How many adapters lie on the base. */
  readonly depth: number;
  /** Floats that are there for a moment while the graph is loaded, beside the weights themselves. */
  readonly passingFloats: number;
}

/** A checkpoint as it is stored. */
export function asStored(model: Model): Variant {
  return {
    model,
    bind: (label) => fromCheckpoint(model, label),
    tokenizerFolder: model.folder,
    depth: 0,
    passingFloats: 0,
  };
}

/**
 * W + t · (W′ − W), where W′ is what the adapter makes of each weight W of the base.
 *
 * For low-rank matrices that is W + t · s · B · A. At t = 0 the base itself comes back, at t = 1 what
 * peft computes from base and adapter.
 *
 * @throws {UserError} `TENSOR_MISSING`, `TENSOR_UNEXPECTED` or `SHAPE_MISMATCH` if base and adapter do
 *   not fit, and `USAGE` for a part of the way to another vocabulary.
 */
export async function withAdapter(base: Variant, adapter: Adapter, t: number): Promise<Variant> {
  const { model, changes, untied } = await matchAdapter(base.model, adapter);
  if (t === 0) return base;
  const isResized = model.settings.vocabulary !== base.model.settings.vocabulary;
  if (isResized && t !== 1) {
    throw new UserError('USAGE', `no part of the way, such as ${t}, leads to another vocabulary`, {
      where: adapter.folder,
      fix: `Leave out --scale: the adapter has ${model.settings.vocabulary} tokens, its base ${base.model.settings.vocabulary}.`,
    });
  }
  const depth = base.depth + 1;
  return {
    model,
    depth,
    passingFloats: base.passingFloats + passingFloats(changes, model, t),
    tokenizerFolder: isResized && adapter.hasTokenizer ? adapter.folder : base.tokenizerFolder,
    bind(label) {
      // A head that was tied begins where the embedding does, and both are read once.
      const before = remembered(base.bind(label));
      const tensorOf = remembered((g, name) => {
        const tensor = adapter.tensors.get(name);
        invariant(tensor !== undefined, `a change by "${name}", which the adapter does not hold`);
        return storedValue(g, `${label}adapter.${depth}/${name}`, tensor);
      });
      return (g, name) => {
        const original = (): Value => before(g, untied.get(name) ?? name);
        const list = changes.get(name) ?? [];
        const stored = (tensor: StoredTensor): Value => tensorOf(g, tensor.name);
        return list.reduce((value, change) => changed(g, value, change, t, stored), original)();
      };
    },
  };
}

/**
 * A + t · (B − A), weight by weight; A itself at t = 0 and B itself at t = 1.
 *
 * @throws {UserError} `SHAPE_MISMATCH` if the two are not of one architecture with one config.
 */
export function between(a: Variant, b: Variant, t: number): Variant {
  const isSame =
    a.model.architecture === b.model.architecture &&
    isDeepStrictEqual(a.model.settings, b.model.settings);
  if (!isSame) {
    throw new UserError(
      'SHAPE_MISMATCH',
      'no path leads between checkpoints of different configs',
      {
        where: `${a.model.folder} and ${b.model.folder}`,
        fix: 'Name two checkpoints of one architecture with the same sizes and settings.',
      },
    );
  }
  if (t === 0) return a;
  if (t === 1) return b;
  const floats = [...a.model.weights.values()].reduce((sum, { shape }) => sum + product(shape), 0);
  return {
    ...a,
    passingFloats: a.passingFloats + b.passingFloats + 4 * floats,
    bind(label) {
      const [from, to] = [a.bind(`${label}from/`), b.bind(`${label}to/`)];
      return (g, name) => walked(g, from(g, name), to(g, name), t);
    },
  };
}

/** What widening, adding and scaling leave behind until onnxruntime has worked out all of the graph. */
function passingFloats(
  changes: ReadonlyMap<string, readonly Change[]>,
  { weights }: Model,
  t: number,
): number {
  let floats = 0;
  for (const [name, list] of changes) {
    for (const change of list) {
      const isPlain = change.kind === 'low-rank' && change.magnitude === null;
      const steps = isPlain ? 1 : t === 1 ? 2 : 4;
      floats += steps * product(weights.get(name)?.shape ?? []);
    }
  }
  return floats;
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, axis) => size * axis, 1);
}

/** Applies one change to a weight that is only read if it is needed. */
function changed(
  g: Builder,
  original: () => Value,
  change: Change,
  t: number,
  stored: (tensor: StoredTensor) => Value,
): () => Value {
  if (change.kind === 'replace') {
    const full = stored(change.tensor);
    return () => (t === 1 ? full : walked(g, original(), full, t));
  }
  return () => adapted(g, original(), change, t, stored);
}

/** W + t·(W′ − W) for W′ = W + s·B·A, or m ⊙ (W + s·B·A) / ‖W + s·B·A‖ over each output's inputs. */
function adapted(
  g: Builder,
  original: Value,
  { a, b, scale, layout, magnitude }: LowRank,
  t: number,
  stored: (tensor: StoredTensor) => Value,
): Value {
  const wide = (value: Value): Value => g.cast(value, 'float32');
  const [w, left, right] = [wide(original), wide(stored(a)), wide(stored(b))];
  const factor = magnitude === null ? scale * t : scale;
  const isTransposed = layout === 'in-out';
  const transposed = { kind: 'int', value: isTransposed ? 1 : 0 } as const;
  const sum = g.node('Gemm', isTransposed ? [left, right, w] : [right, left, w], w.shape, {
    alpha: { kind: 'float', value: factor },
    transA: transposed,
    transB: transposed,
  });
  if (magnitude === null) return sum;
  const inputs = isTransposed ? 0 : 1;
  const norms = g.node(
    'ReduceL2',
    [sum, g.integers('axes', [inputs])],
    w.shape.map((size, axis) => (axis === inputs ? 1 : size)),
  );
  const lengths = wide(stored(magnitude));
  const target = g.mul(sum, g.div(g.unsqueeze(lengths, inputs), norms));
  return t === 1 ? target : walked(g, w, target, t);
}

function walked(g: Builder, from: Value, to: Value, t: number): Value {
  const start = g.cast(from, 'float32');
  const way = g.node('Sub', [g.cast(to, 'float32'), start], start.shape);
  return g.add(start, g.mul(way, g.constant('t', [t])));
}

/** The same binding, which adds a parameter to a graph once and then gives the value that is there. */
function remembered(bind: Binding): Binding {
  const graphs = new WeakMap<Builder, Map<string, Value>>();
  return (g, name) => {
    const values = graphs.get(g) ?? new Map<string, Value>();
    graphs.set(g, values);
    const value = values.get(name) ?? bind(g, name);
    values.set(name, value);
    return value;
  };
}
