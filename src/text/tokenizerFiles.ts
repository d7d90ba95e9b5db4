/**
 * Is there a tokenizer in a model's folder, and is it of the kind that can be read?
 *
 * Only the form of "fast" tokenizers is: tokenizer.json beside tokenizer_config.json. Everything is
 * checked here, since transformers.js says nothing useful of a file that is absent or broken.
 */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { isJsonObject, isWhole, type JsonObject, parseJson } from '../base/json.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { readIfThere, utf8 } from '../files/whole.ts';

/** A tokenizer's files, parsed. A chat_template.jinja has taken its place in `config`. */
export interface TokenizerFiles {
  readonly tokenizer: JsonObject;
  readonly config: JsonObject;
  readonly sha256: string;
}

/** Reads a model folder's tokenizer. @throws {UserError} `TOKENIZER_UNUSABLE` where it is absent or broken. */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const read = async (name: string): Promise<Uint8Array | null> =>
    await readIfThere(join(folder, name), 'TOKENIZER_UNUSABLE');
  const tokenizer = await read('tokenizer.json');
  const config = await read('tokenizer_config.json');
  const template = await read('chat_template.jinja');
  if (tokenizer === null) throw await noTokenizer(folder);
  if (config === null) {
    const fix = 'Copy it from where the model came from; it names the special tokens.';
    throw unusable(folder, 'there is no tokenizer_config.json', fix);
  }
  const parts = [tokenizer, config, ...(template === null ? [] : [template])];
  const settings = jsonObject(config, join(folder, 'tokenizer_config.json'));
  const parsed = jsonObject(tokenizer, join(folder, 'tokenizer.json'));
  checkIds(parsed, join(folder, 'tokenizer.json'));
  return {
    tokenizer: parsed,
    config:
      template === null
        ? settings
        : {
            ...settings,
            chat_template: utf8(
              template,
              join(folder, 'chat_template.jinja'),
              'TOKENIZER_UNUSABLE',
            ),
          },
    sha256: sha256OfBytes(Buffer.concat(parts)),
  };
}

/** Files of "slow" tokenizers, which need code to be read, and what it takes to convert them; the first that is there counts. */
const slowFiles: readonly SlowFile[] = [
  { name: 'tokenizer.model', packages: 'transformers sentencepiece protobuf' },
  { name: 'spiece.model', packages: 'transformers sentencepiece protobuf' },
  { name: 'vocab.json', packages: 'transformers', needs: 'merges.txt' },
  { name: 'vocab.txt', packages: 'transformers' },
  { name: 'tekken.json', packages: null },
  { name: 'qwen.tiktoken', packages: null },
];

interface SlowFile {
  readonly name: string;
  /** Python packages that convert it; null where none that we know of does. */
  readonly packages: string | null;
  /** The other half of it. */
  readonly needs?: string;
}

async function noTokenizer(folder: string): Promise<UserError> {
  const isThere = async (name: string): Promise<boolean> =>
    (await readIfThere(join(folder, name), 'TOKENIZER_UNUSABLE')) !== null;
  for (const { name, packages, needs } of slowFiles) {
    if (!(await isThere(name))) continue;
    if (needs !== undefined && !(await isThere(needs))) {
      const what = `there is no tokenizer.json, only ${name} without the ${needs} that goes with it`;
      const fix = `Copy tokenizer.json, or ${needs}, from where the model came from.`;
      return unusable(folder, what, fix);
    }
    const found = needs === undefined ? name : `${name} and ${needs}`;
    return unusable(
      folder,
      `there is no tokenizer.json, only the slow form ${found}`,
      packages === null
        ? `Copy tokenizer.json from where the model came from, or another model that shares its vocabulary; ${name} needs code of its own.`
        : `Convert it: pip install ${packages} && ${conversion(folder)}`,
    );
  }
  const fix =
    'Copy tokenizer.json and tokenizer_config.json into the folder, or give the prompts as token ids.';
  return unusable(folder, 'there is no tokenizer.json', fix);
}

/** The command that writes tokenizer.json beside a slow tokenizer. */
function conversion(folder: string): string {
  const place = /^[\w./ @+-]+$/.test(folder) ? `'${folder}'` : 'FOLDER';
  return `python -c "from transformers import AutoTokenizer; AutoTokenizer.from_pretrained(${place}).save_pretrained(${place})"`;
}

function jsonObject(bytes: Uint8Array, path: string): JsonObject {
  const code = 'TOKENIZER_UNUSABLE';
  const fix = 'Copy the file again from where the model came from.';
  const value = parseJson(utf8(bytes, path, code), path, { code, fix });
  if (isJsonObject(value)) return value;
  throw unusable(path, 'the file holds no JSON object', fix);
}

/** transformers.js hands on whatever stands where an id should, and a text would do as well as a number. */
function checkIds({ model, added_tokens: added }: JsonObject, path: string): void {
  const vocabulary = isJsonObject(model) ? model['vocab'] : undefined;
  const ids = [
    ...(isJsonObject(vocabulary) ? Object.entries(vocabulary) : []),
    ...(Array.isArray(added) ? added.filter(isJsonObject).map(idOf) : []),
  ];
  const wrong = ids.find(([, id]) => !isWhole(id));
  if (wrong === undefined) return;
  const fix = 'Copy the file again from where the model came from.';
  throw unusable(path, `the token "${wrong[0]}" has the id ${JSON.stringify(wrong[1])}`, fix);
}

function idOf({ content, id }: JsonObject): [string, unknown] {
  return [String(content), id];
}

/** Why a tokenizer cannot be used, where, and what mends it. */
export function unusable(where: string, what: string, fix: string, cause?: unknown): UserError {
  return new UserError('TOKENIZER_UNUSABLE', what, { where, fix, cause });
}
