/**
 * Reference checkpoints for tests, and a reader of safetensors of a few lines that shares nothing with
 * ours: a fault in ours cannot hide itself.
 */

import { copyFileSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Site } from '../../src/graph/sites.ts';
import { openCheckpoint } from '../../src/files/checkpoint.ts';
import { openSession, type Fetch } from '../../src/runtime/session.ts';
import { fromCheckpoint, type Binding } from '../../models/bindings.ts';
import { composeModel, type Composition } from '../../models/compose.ts';
import { openModel, type Model } from '../../models/model.ts';
import { scratchFolder } from './scratch.ts';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));

/** A folder of tests/golden. */
export function goldenFolder(name: string): string {
  return join(root, 'tests', 'golden', name);
}

export function organismFolder(name: string): string {
  return join(root, 'models', 'organism', name);
}

/** The tiny checkpoints of transformers that we can read. */
export const tinyCases = [
  'gpt2',
  'gpt2_inverse_layer',
  'gpt2_hub_names',
  'llama_mha',
  'llama_gqa_llama3',
  'llama_linear_bias',
  'llama_old_file',
] as const;

export async function modelIn(folder: string): Promise<Model> {
  return await openModel(await openCheckpoint(folder));
}

export type Json = Record<string, unknown>;

export function readJson(path: string): Json {
  const value: Json = JSON.parse(readFileSync(path, 'utf8'));
  return value;
}

/** A checkpoint beside the original, with the same weights and another config.json. */
export function withConfig(folder: string, config: Json | string): string {
  const copy = scratchFolder('model');
  for (const name of readdirSync(folder)) {
    if (/^model.*safetensors$/.test(name)) symlinkSync(join(folder, name), join(copy, name));
    if (/\.index\.json$|^tokenizer/.test(name)) copyFileSync(join(folder, name), join(copy, name));
  }
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  writeFileSync(join(copy, 'config.json'), text);
  return copy;
}

/** The same checkpoint with some keys of its config replaced; `undefined` removes one. */
export function withKeys(folder: string, keys: Json): string {
  return withConfig(folder, { ...readJson(join(folder, 'config.json')), ...keys });
}

export interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

/** Every tensor of a file, by the format's published description and nothing of ours. */
export function readTensors(path: string): Map<string, Tensor> {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(file.toString('utf8', 8, start));
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => [name, { dtype, shape, bytes: file.subarray(start + begin, start + end) }],
      ),
  );
}

export function floatsOf({ dtype, bytes }: Tensor): Float32Array {
  if (dtype !== 'F32') throw new Error(`a tensor of ${dtype}`);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}

export function integersOf({ dtype, bytes }: Tensor): number[] {
  if (dtype !== 'I64') throw new Error(`a tensor of ${dtype}`);
  return Array.from({ length: bytes.length / 8 }, (_, i) => Number(bytes.readBigInt64LE(8 * i)));
}

/** Writes tensors as a safetensors file, again without our own writer. */
export function writeTensors(path: string, tensors: ReadonlyMap<string, Tensor>): void {
  const header: Json = {};
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, (at += bytes.length)] };
  }
  let text = JSON.stringify(header);
  text += ' '.repeat((8 - (text.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const parts = [length, Buffer.from(text), ...[...tensors.values()].map(({ bytes }) => bytes)];
  writeFileSync(path, Buffer.concat(parts));
}

export interface Floor {
  readonly max_abs: number;
  readonly rms_rel: number;
}

export interface GoldenFacts {
  readonly prompts: readonly (readonly number[])[];
  readonly prompt_lengths: readonly number[];
  readonly greedy: readonly (readonly number[])[];
  readonly greedy_from: readonly (readonly number[])[];
  readonly n_params: number;
  readonly loss: number;
  readonly noise_floor: Readonly<Record<string, Floor>>;
}

export function goldenFacts(name: string): GoldenFacts {
  const text = readFileSync(join(goldenFolder(name), 'golden.json'), 'utf8');
  const facts: GoldenFacts = JSON.parse(text);
  return facts;
}

export interface Pass extends Omit<Composition, 'length'> {
  readonly prompts: readonly (readonly number[])[];
  /** Rows of the padded batch that leave the graph; all of them unless told. */
  readonly rows?: readonly number[];
  readonly bind?: Binding;
  readonly threads?: number;
}

/** One forward pass over prompts padded on the right with 0; outputs by site key. */
export async function forward(model: Model, pass: Pass): Promise<Record<string, Fetch>> {
  const { prompts, rows, bind = fromCheckpoint(model), threads = 1, ...composition } = pass;
  const length = Math.max(...prompts.map((ids) => ids.length));
  const graph = composeModel(model.architecture, model.settings, bind, { ...composition, length });
  const session = await openSession(graph, { threads });
  try {
    return await session.run(feedsOf(prompts, rows));
  } finally {
    await session.close();
  }
}

type Feeds = Parameters<Awaited<ReturnType<typeof openSession>>['run']>[0];

export function feedsOf(prompts: readonly (readonly number[])[], rows?: readonly number[]): Feeds {
  const length = Math.max(...prompts.map((ids) => ids.length));
  const cells = prompts.length * length;
  const ids = new BigInt64Array(cells);
  prompts.forEach((prompt, b) => prompt.forEach((id, t) => (ids[b * length + t] = BigInt(id))));
  const chosen = rows ?? Array.from({ length: cells }, (_, i) => i);
  const shape = [prompts.length, length];
  return {
    input_ids: { data: ids, shape },
    position_ids: {
      data: BigInt64Array.from({ length: cells }, (_, i) => BigInt(i % length)),
      shape,
    },
    lengths: {
      data: BigInt64Array.from(prompts, (prompt) => BigInt(prompt.length)),
      shape: [prompts.length],
    },
    rows: { data: BigInt64Array.from(chosen, BigInt), shape: [chosen.length] },
  };
}

/** Every site of a pre-norm model, patterns included. */
export function allSites({ settings }: Model): Site[] {
  const kinds = ['resid_pre', 'resid_mid', 'resid_post', 'attn_out', 'mlp_out', 'pattern'] as const;
  return [
    ...kinds.flatMap((kind) =>
      Array.from({ length: settings.layers }, (_, block) => ({ kind, block })),
    ),
    { kind: 'final_norm', block: null },
    { kind: 'logits', block: null },
  ];
}

/** Bits of a float array, so that −0 and 0 differ and NaN equals itself. */
export function bitsOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
