/**
 * Which files make up a checkpoint folder, and where does each tensor lie?
 *
 * A folder is what `save_pretrained` writes: config.json and safetensors, in one file or in shards
 * with an index. Index and shards must agree on every tensor, a shard must lie in the folder itself
 * (links are followed, as in the cache of the Hugging Face hub), and pickles are never opened, since
 * to open one is to run it. What the keys of the config mean is for `models/` to say, not for here.
 */

import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ErrorCode, isErrno, UserError } from '../base/errors.ts';
import { canonicalJson, isJsonObject, type JsonObject, parseJson } from '../base/json.ts';
import { explainFileError, sha256OfStream } from './atomic.ts';
import { sha256Beside } from './digest.ts';
import { readSafetensorsHeader, type StoredTensor } from './safetensors.ts';

export interface Checkpoint {
  /** Absolute path. */
  readonly folder: string;
  /** config.json as it stands; nobody has looked at its keys yet. */
  readonly config: JsonObject;
  /** Every tensor of every shard, by its name in the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Names of the safetensors files in the folder, sorted by code unit. */
  readonly shards: readonly string[];
}

const singleName = 'model.safetensors';
const indexName = 'model.safetensors.index.json';
const downloadAgain = 'Download the checkpoint again, every file of it.';

/**
 * Opens a checkpoint folder: reads config.json and all headers, no weights.
 *
 * @throws {UserError} `CHECKPOINT_MISSING` if the folder, config.json, the weights or a shard are not
 *   there; `CONFIG_INVALID` if config.json is not a JSON object; `CHECKPOINT_CORRUPT` if a file is
 *   damaged, or index and shards disagree.
 */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  const path = resolve(folder);
  const files = await listFolder(path);
  const config = await readConfig(path, files);
  const single = files.has(singleName);
  const placed = files.has(indexName) ? await readIndex(path) : undefined;
  if (placed !== undefined) {
    if (single && !isOnly(placed, singleName)) throw twoSets(path);
    return { folder: path, config, ...(await readShards(path, placed, files)) };
  }
  if (!single) throw noWeights(path, files);
  const { tensors } = await readSafetensorsHeader(join(path, singleName));
  return { folder: path, config, tensors, shards: [singleName] };
}

/** Bytes whose digest takes as long as a thread takes to begin. */
const worthAThread = 2 ** 25;

/**
 * SHA-256 of what the model is: of the config, spelt with sorted keys and no white space
 * (`canonicalJson`, UTF-8), then a line feed, then the bytes of every shard in the order of
 * `shards`. Neither file times nor paths nor other files of the folder count.
 * Large models are digested beside what this thread does, which need not wait.
 *
 * @returns 64 hexadecimal digits.
 */
export async function hashCheckpoint(checkpoint: Checkpoint): Promise<string> {
  const paths = checkpoint.shards.map((shard) => join(checkpoint.folder, shard));
  const sizes = [...checkpoint.tensors.values()].map(({ length }) => length);
  const isLarge = sizes.reduce((sum, length) => sum + length, 0) > worthAThread;
  const digest = isLarge ? sha256Beside : sha256OfStream;
  return await digest([`${canonicalJson(checkpoint.config)}\n`], paths, 'CHECKPOINT_MISSING');
}

async function listFolder(path: string): Promise<ReadonlySet<string>> {
  try {
    return new Set(await readdir(path));
  } catch (cause) {
    const what = isErrno(cause, 'ENOENT')
      ? 'there is no such checkpoint folder'
      : isErrno(cause, 'ENOTDIR')
        ? 'a checkpoint is a folder, and this is a file'
        : undefined;
    if (what === undefined) throw explainFileError(cause, path, 'CHECKPOINT_MISSING');
    throw new UserError('CHECKPOINT_MISSING', what, {
      where: path,
      fix: 'Name the folder that holds config.json and the .safetensors files.',
      cause,
    });
  }
}

async function readConfig(path: string, files: ReadonlySet<string>): Promise<JsonObject> {
  if (!files.has('config.json')) {
    const fix = files.has('adapter_config.json')
      ? 'This folder holds an adapter: name the base model, and the adapter with --adapter.'
      : 'Name the folder that holds config.json, or download the file that is missing.';
    throw new UserError('CHECKPOINT_MISSING', 'config.json is absent', { where: path, fix });
  }
  return await readObject(join(path, 'config.json'), 'CONFIG_INVALID');
}

/** More than any config or index that a model needs; a JSON file beyond it is something else. */
const maxJsonBytes = 100_000_000;

async function readObject(path: string, code: ErrorCode): Promise<JsonObject> {
  const value = parseJson(await readText(path, code), path, { code, fix: downloadAgain });
  if (isJsonObject(value)) return value;
  throw new UserError(code, 'this is JSON, but not an object', { where: path, fix: downloadAgain });
}

async function readText(path: string, code: ErrorCode): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size <= maxJsonBytes) {
      const bytes = await readFile(path);
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw explainFileError(error, path, 'CHECKPOINT_MISSING');
    throw new UserError(code, 'the file is not UTF-8', { where: path, fix: downloadAgain });
  }
  const what = `the file is larger than ${maxJsonBytes} bytes`;
  throw new UserError(code, what, { where: path, fix: downloadAgain });
}

/** Tensor name → name of its shard, as the index has it. */
type Placement = ReadonlyMap<string, string>;

async function readIndex(folder: string): Promise<Placement> {
  const path = join(folder, indexName);
  const { weight_map: map } = await readObject(path, 'CHECKPOINT_CORRUPT');
  if (!isJsonObject(map)) throw corrupt(path, 'the index has no object "weight_map"');
  const placement = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !isPlainName(shard)) {
      const what = `the index places "${tensor}" in ${JSON.stringify(shard)}, which is not the name of a .safetensors file in this folder`;
      throw corrupt(path, what, 'Do not trust this checkpoint; download it from its authors.');
    }
    placement.set(tensor, shard);
  }
  return placement;
}

/** A file name without any way out of the folder, on Windows either. */
function isPlainName(name: string): boolean {
  return /^[^/\\:\0]+\.safetensors$/.test(name);
}

function isOnly(placement: Placement, shard: string): boolean {
  return [...placement.values()].every((name) => name === shard);
}

async function readShards(
  folder: string,
  placement: Placement,
  files: ReadonlySet<string>,
): Promise<Pick<Checkpoint, 'tensors' | 'shards'>> {
  const index = join(folder, indexName);
  const shards = [...new Set(placement.values())].toSorted();
  if (shards.length === 0) throw corrupt(index, 'the index lists no tensor');
  const absent = shards.find((shard) => !files.has(shard));
  if (absent !== undefined) {
    throw new UserError('CHECKPOINT_MISSING', `the index names "${absent}", which is not there`, {
      where: index,
      fix: `Download ${absent} into the folder.`,
    });
  }
  const tensors = new Map<string, StoredTensor>();
  const found = new Map<string, string>();
  for (const shard of shards) {
    const file = await readSafetensorsHeader(join(folder, shard));
    for (const [name, tensor] of file.tensors) {
      // A tensor in two shards is one place too many, whatever the index says.
      if (placement.get(name) === shard) tensors.set(name, tensor);
      else found.set(name, shard);
    }
  }
  checkPlacement(index, placement, tensors, found);
  return { tensors, shards };
}

/** `held` are the tensors where the index has them, `found` those that lie elsewhere: tensor → shard. */
function checkPlacement(
  index: string,
  placement: Placement,
  held: ReadonlyMap<string, StoredTensor>,
  found: ReadonlyMap<string, string>,
): void {
  for (const [name, shard] of placement) {
    if (held.has(name)) continue;
    const elsewhere = found.get(name);
    const but = elsewhere === undefined ? 'which does not hold it' : `but "${elsewhere}" holds it`;
    throw corrupt(index, `the index places tensor "${name}" in "${shard}", ${but}`);
  }
  for (const [name, shard] of found) {
    const listed = placement.get(name);
    const but =
      listed === undefined
        ? 'which the index does not list'
        : `and so does "${listed}", where the index has it`;
    throw corrupt(index, `"${shard}" holds tensor "${name}", ${but}`);
  }
}

function twoSets(folder: string): UserError {
  return corrupt(
    folder,
    `two sets of weights: ${singleName}, and the shards that ${indexName} names`,
    'Keep the one that you mean and move the other out of the folder.',
  );
}

function noWeights(folder: string, files: ReadonlySet<string>): UserError {
  const pickles = [...files].filter((name) => /\.(?:bin|pt|pth|ckpt|pkl)$/.test(name)).toSorted();
  if (pickles.length > 0) {
    const what = `the weights are a pickle ("${pickles[0]}"), which can run code when it is opened, and no ${singleName} is there`;
    const fix = 'Save the model as safetensors, in transformers: model.save_pretrained(folder).';
    return new UserError('CHECKPOINT_MISSING', what, { where: folder, fix });
  }
  const others = [...files].filter((name) => name.endsWith('.safetensors')).toSorted();
  const seen = others.length === 0 ? '' : `; "${others[0]}" has no index that names it`;
  return new UserError(
    'CHECKPOINT_MISSING',
    `neither ${singleName} nor ${indexName} is there${seen}`,
    {
      where: folder,
      fix: 'Download the weights into the folder.',
    },
  );
}

function corrupt(where: string, what: string, fix: string = downloadAgain): UserError {
  return new UserError('CHECKPOINT_CORRUPT', what, { where, fix });
}
