/**
 * The parts that families share, as graph fragments: linear maps, norms, MLPs.
 *
 * Axis names: `tokens` = batch · position; `batch`, `position`; d is the width of the stream, H and KV
 * the numbers of query and key heads, hd the width of a head.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Frame, Parameter, Params } from './architecture.ts';

/** Why blocks without post-norms have no raw branches. */
export const noPostNorms = {
  attn_out_raw: 'No norm stands between attention and the stream: attn_out is the raw output.',
  mlp_out_raw: 'No norm stands between the MLP and the stream: mlp_out is the raw output.',
} as const;

/** Why parallel blocks have no middle. */
export const noMiddle = {
  resid_mid: 'Attention and MLP read the same stream: nothing stands between them.',
} as const;

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
  const weight: Parameter =
    options.layout === 'in-out'
      ? { name: `${name}.weight`, shape: [inputs, outputs], layout: 'in-out' }
      : { name: `${name}.weight`, shape: [outputs, inputs] };
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

/** The same with a gain that is stored as w and acts as 1 + w. */
export function offsetRmsNorm(
  g: Builder,
  params: Params,
  name: string,
  x: Value,
  epsilon: number,
): Value {
  const one = g.constant('one', [1]);
  return g.rmsNorm(x, g.add(g.cast(params(`${name}.weight`), 'float32'), one), epsilon);
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

/** `name.weight` and `name.bias` of a layer norm. */
export function layerNormParameters(name: string, width: number): Parameter[] {
  return [
    { name: `${name}.weight`, shape: [width] },
    { name: `${name}.bias`, shape: [width] },
  ];
}

/** Applies a norm to each head by itself. Shape: `[tokens, heads · hd] → [tokens, heads · hd]`. */
export function byHead(
  g: Builder,
  frame: Frame,
  heads: number,
  x: Value,
  norm: (x: Value) => Value,
): Value {
  const width = Number(x.shape[1]);
  const apart = g.reshape(x, g.integers('apart', [-1, width / heads]), [
    'tokens·heads',
    width / heads,
  ]);
  return g.reshape(norm(apart), frame.byToken, ['tokens', width]);
}

/** Rows of the table `name.weight`; gathered as stored, then widened. Shape: `[tokens] → [tokens, d]`. */
export function embedding(g: Builder, params: Params, name: string, ids: Value): Value {
  return g.cast(g.gather(params(`${name}.weight`), ids), 'float32');
}

/** x · Wᵀ + b with the head's matrix as it is stored. Shape: `[tokens, d] → [tokens, vocabulary]`. */
export function unembed(g: Builder, x: Value, unembedding: Value, bias?: Value): Value {
  return g.linear(x, g.cast(unembedding, 'float32'), bias, 'out-in');
}

/** Parameters of several maps, as [name, inputs, outputs]. */
export function linears(
  bias: boolean,
  ...maps: readonly (readonly [string, number, number])[]
): Parameter[] {
  return maps.flatMap(([name, inputs, outputs]) =>
    linearParameters(name, inputs, outputs, { bias }),
  );
}

/** The names of a gated MLP's maps. */
export interface GatedMlp {
  readonly gate: string;
  readonly up: string;
  readonly down: string;
  readonly bias: boolean;
}

/** As most families call them. */
export const usualMlp: GatedMlp = {
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
  bias: false,
};

/** down(act(gate(x)) ⊙ up(x)). Shape: `[tokens, d] → [tokens, d]`. */
export function gatedMlp(
  g: Builder,
  params: Params,
  activation: Activation,
  x: Value,
  { gate, up, down, bias }: GatedMlp = usualMlp,
): Value {
  const map = (name: string, from: Value): Value => linear(g, params, name, from, { bias });
  return map(down, g.mul(activate(g, activation, map(gate, x)), map(up, x)));
}

export function gatedMlpParameters(
  width: number,
  mlpWidth: number,
  { gate, up, down, bias }: GatedMlp = usualMlp,
): Parameter[] {
  return linears(bias, [gate, width, mlpWidth], [up, width, mlpWidth], [down, mlpWidth, width]);
}
