/**
 * Reads an adapter as peft saves it: adapter_config.json, and low-rank matrices in
 * adapter_model.safetensors.
 *
 * Only headers are read; the numbers stay in their file, where onnxruntime finds them. What the base
 * makes of the tensors is for models/adapters.ts to say.
 */

import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isErrno, UserError } from '../base/errors.ts';
import { canonicalJson, isJsonObject, type JsonObject, parseJson } from '../base/json.ts';
import { explainFileError, sha256OfStream } from './atomic.ts';
import { readAdapterSettings, type AdapterSettings } from './peftSettings.ts';
import { readSafetensorsHeader, type StoredTensor } from './safetensors.ts';
import { readText } from './whole.ts';

export interface Adapter {
  /** Absolute path. */
  readonly folder: string;
  /** Path of the tensors' file. */
  readonly file: string;
  /** The folder's own name. */
  readonly name: string;
  readonly config: JsonObject;
  readonly settings: AdapterSettings;
  /** Every tensor by its name in the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Whether the folder has a tokenizer of its own. */
  readonly hasTokenizer: boolean;
}

const configName = 'adapter_config.json';
const weightsName = 'adapter_model.safetensors';

/**
 * Opens an adapter's folder.
 *
 * @param ignoredKeys Keys of its config that the user declares harmless.
 * @throws {UserError} `CHECKPOINT_MISSING`, `CHECKPOINT_CORRUPT`, `CONFIG_INVALID` or `CONFIG_UNSUPPORTED`.
 */
export async function openAdapter(
  folder: string,
  ignoredKeys: readonly string[] = [],
): Promise<Adapter> {
  const path = resolve(folder);
  const files = await listFolder(path);
  if (!files.has(configName)) throw noConfig(path, files);
  const where = join(path, configName);
  const config = parseJson(await readText(where, 'CONFIG_INVALID'), where);
  if (!isJsonObject(config)) {
    const fix = 'Download the adapter again, every file of it.';
    throw new UserError('CONFIG_INVALID', 'this is JSON, but not an object', { where, fix });
  }
  const settings = readAdapterSettings(config, where, new Set(ignoredKeys));
  if (!files.has(weightsName)) throw noWeights(path, files);
  const file = join(path, weightsName);
  const { tensors } = await readSafetensorsHeader(file);
  const hasTokenizer = files.has('tokenizer.json');
  return { folder: path, file, name: basename(path), config, settings, tensors, hasTokenizer };
}

/** Keys that say nothing of what the adapter does, and differ between copies of it. */
const ofNoAccount: ReadonlySet<string> = new Set(['base_model_name_or_path', 'inference_mode']);

/**
 * SHA-256 of what the adapter is: of its config without the base's path, spelt with sorted keys and no
 * white space, then a line feed, then the bytes of adapter_model.safetensors.
 *
 * @returns 64 hexadecimal digits.
 */
export async function hashAdapter({ file, config }: Adapter): Promise<string> {
  const kept = Object.fromEntries(Object.entries(config).filter(([key]) => !ofNoAccount.has(key)));
  return await sha256OfStream([`${canonicalJson(kept)}\n`], [file], 'CHECKPOINT_MISSING');
}

async function listFolder(path: string): Promise<ReadonlySet<string>> {
  try {
    return new Set(await readdir(path));
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT') && !isErrno(cause, 'ENOTDIR')) {
      throw explainFileError(cause, path, 'CHECKPOINT_MISSING');
    }
    throw new UserError('CHECKPOINT_MISSING', 'there is no such adapter folder', {
      where: path,
      fix: `Name the folder that holds ${configName}.`,
      cause,
    });
  }
}

function noConfig(path: string, files: ReadonlySet<string>): UserError {
  const fix = files.has('config.json')
    ? 'This folder holds a whole checkpoint: name it as a model, without --adapter.'
    : `Name the folder that holds ${configName}.`;
  return new UserError('CHECKPOINT_MISSING', `${configName} is absent`, { where: path, fix });
}

function noWeights(path: string, files: ReadonlySet<string>): UserError {
  const pickle = [...files].toSorted().find((name) => /\.(?:bin|pt|pth|ckpt|pkl)$/.test(name));
  if (pickle === undefined) {
    const fix = 'Download it into the folder.';
    return new UserError('CHECKPOINT_MISSING', `${weightsName} is absent`, { where: path, fix });
  }
  return new UserError(
    'CHECKPOINT_MISSING',
    `the adapter is a pickle ("${pickle}"), which can run code when it is opened, and no ${weightsName} is there`,
    { where: path, fix: 'Save it as safetensors, in peft: model.save_pretrained(folder).' },
  );
}
