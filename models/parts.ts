/**
 * The parts that families share, as graph fragments: linear maps, norms, attention, MLPs.
 *
 * Axis names: `tokens` = batch · position; `batch`, `position`; d is the width of the stream, H and KV
 * the numbers of query and key heads, hd the width of a head.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Frame, Parameter, Params, Ports, Settings } from './architecture.ts';

export type Activation = 'silu' | 'gelu' | 'gelu_tanh' | 'relu';

/** Names that configs use; `gelu` is exact (erf), the others of that kind are its tanh form. */
export const activations: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
};

export function activate(g: Builder, activation: Activation, x: Value): Value {
  if (activation === 'silu') return g.mul(x, g.sigmoid(x));
  if (activation === 'relu') return g.relu(x);
  return g.gelu(x, activation === 'gelu' ? 'none' : 'tanh');
}

export interface LinearOptions {
  readonly bias: boolean;
  /** `out-in` as nn.Linear stores it, `in-out` as GPT-2's Conv1D does. */
  readonly layout?: 'out-in' | 'in-out';
}

/** x · Wᵀ + b with the parameters `name.weight` and `name.bias`. Shape: `[tokens, in] → [tokens, out]`. */
export function linear(
  g: Builder,
  params: Params,
  name: string,
  x: Value,
  options: LinearOptions,
): Value {
  const weight = g.cast(params(`${name}.weight`), 'float32');
  const bias = options.bias ? g.cast(params(`${name}.bias`), 'float32') : undefined;
  return g.linear(x, weight, bias, options.layout ?? 'out-in');
}

/** The parameters that `linear` asks for. */
export function linearParameters(
  name: string,
  inputs: number,
  outputs: number,
  options: LinearOptions,
): Parameter[] {
  const shape = options.layout === 'in-out' ? [inputs, outputs] : [outputs, inputs];
  const weight = { name: `${name}.weight`, shape };
  return options.bias ? [weight, { name: `${name}.bias`, shape: [outputs] }] : [weight];
}

/** Root-mean-square norm with the gain `name.weight`. Shape: `[tokens, d] → [tokens, d]`. */
export function rmsNorm(
  g: Builder,
  params: Params,
  name: string,
  x: Value,
  epsilon: number,
): Value {
  return g.rmsNorm(x, g.cast(params(`${name}.weight`), 'float32'), epsilon);
}

/** Layer norm with `name.weight` and `name.bias`. Shape: `[tokens, d] → [tokens, d]`. */
export function layerNorm(
  g: Builder,
  params: Params,
  name: string,
  x: Value,
  epsilon: number,
): Value {
  const weight = g.cast(params(`${name}.weight`), 'float32');
  return g.layerNorm(x, weight, g.cast(params(`${name}.bias`), 'float32'), epsilon);
}

/** Rows of the table `name.weight`; gathered as stored, then widened. Shape: `[tokens] → [tokens, d]`. */
export function embedding(g: Builder, params: Params, name: string, ids: Value): Value {
  return g.cast(g.gather(params(`${name}.weight`), ids), 'float32');
}

export interface AttendOptions {
  readonly scale: number;
  /** Which of the frame's rotary tables turns queries and keys; undefined for none. */
  readonly rotary?: string;
}

/**
 * Causal attention; taps `pattern`.
 *
 * @param q `[tokens, H · hd]`
 * @param k, v `[tokens, KV · hd]`
 * @returns `[tokens, H · hd]`
 */
export function attend(
  g: Builder,
  frame: Frame,
  ports: Ports,
  settings: Settings,
  [q, k, v]: readonly [Value, Value, Value],
  options: AttendOptions,
): Value {
  const table = options.rotary === undefined ? undefined : frame.rotary.get(options.rotary);
  const byHead = (x: Value, heads: number, turns: boolean): Value => {
    const shape = ['batch', 'position', heads * settings.headDim];
    const split = g.reshape(x, frame.byPosition, shape);
    if (!turns || table === undefined) return split;
    return g.rotary(split, table.cos, table.sin, frame.positions, heads);
  };
  const { output, pattern, present } = g.attention(
    byHead(q, settings.heads, true),
    byHead(k, settings.keyHeads, true),
    byHead(v, settings.keyHeads, false),
    {
      queryHeads: settings.heads,
      keyHeads: settings.keyHeads,
      scale: options.scale,
      past: ports.past ?? undefined,
      wantsPattern: ports.wantsPattern,
      wantsPresent: ports.keep !== null,
    },
  );
  if (present !== undefined) ports.keep?.(present);
  if (pattern !== undefined) ports.tap('pattern', pattern);
  return g.reshape(output, frame.byToken, ['tokens', settings.heads * settings.headDim]);
}
