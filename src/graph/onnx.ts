/**
 * The part of ONNX that we write, as plain values.
 *
 * A `Graph` is data: building, pruning, checking, printing and differentiating it touch no file and
 * run nothing. Weights are not in it; an initializer says where its bytes lie, most often a byte
 * range of a `.safetensors` file.
 *
 * @see https://onnx.ai/onnx/repo-docs/IR.html
 */

/** Element types that occur in our graphs, by ONNX's own codes. */
export const dataTypes = {
  float32: 1,
  uint16: 4,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
} as const;

export type DataType = keyof typeof dataTypes;

/** A size, or the name of one that is known only when the graph runs (`batch`, `position`, `tokens`, `rows`). */
export type Axis = number | string;

/** An edge of the graph. */
export interface Value {
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: readonly Axis[];
}

export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] };

export interface GraphNode {
  readonly op: string;
  /** Names of values; '' stands for an optional input or output that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A tensor that is there before the graph runs. */
export interface Initializer extends Value {
  readonly shape: readonly number[];
  readonly data: InlineData | ExternalData;
}

/** Little-endian bytes inside the model. */
export interface InlineData {
  readonly kind: 'inline';
  readonly bytes: Uint8Array;
}

/** A byte range of a file, read in place. */
export interface ExternalData {
  readonly kind: 'external';
  /** Absolute path without symbolic links in it. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly initializers: readonly Initializer[];
  readonly nodes: readonly GraphNode[];
}
