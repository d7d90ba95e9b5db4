/**
 * Are weights and tokenizer such as a trained model has?
 *
 * Files can be whole, finite and of the right shapes, and yet hold a layer twice, a matrix that was never
 * filled, or a tokenizer of another model. None of that shows in an identity.
 */

import { createHash } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import { isJsonObject, type JsonObject } from '../base/json.ts';
import { formatCount, plural } from '../base/units.ts';
import { itemSize, readTensorBytes, type StoredTensor } from '../files/safetensors.ts';
import { openTokenizer } from '../text/tokenizer.ts';
import { readTokenizerFiles } from '../text/tokenizerFiles.ts';
import type { Model } from '../../models/model.ts';
import { leftOut, stated, type Check } from './examination.ts';

/** Read at a time; a multiple of every item size. */
const chunkBytes = 2 ** 23;

/** Reads every weight once: finite, no matrix of one number, no two matrices the same. */
export async function checkWeights(
  model: Model,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<Check> {
  const [id, title] = ['weights', 'weights are finite, filled and different'];
  const seen = new Map<string, string>();
  const doubts: string[] = [];
  for (const [name, tensor] of model.weights) {
    const { hash, isFinite, isConstant } = await read(tensor);
    onBytes(tensor.length);
    if (!isFinite) return stated(id, title, 'fails', `${name} holds a NaN or an infinity`);
    if (tensor.shape.length < 2) continue; // biases of 0 and gains of 1 are usual
    const twin = seen.get(hash);
    if (isConstant) doubts.push(`${name} holds one number only`);
    else if (twin !== undefined && name !== 'lm_head.weight') doubts.push(`${name} is ${twin}`);
    seen.set(hash, name);
  }
  const more = doubts.length > 2 ? ` and ${doubts.length - 2} more` : '';
  return doubts.length === 0
    ? stated(id, title, 'holds', plural(model.weights.size, 'tensor'))
    : stated(id, title, 'unclear', doubts.slice(0, 2).join('; ') + more);
}

interface Reading {
  readonly hash: string;
  readonly isFinite: boolean;
  readonly isConstant: boolean;
}

async function read(tensor: StoredTensor): Promise<Reading> {
  const hash = createHash('sha256').update(`${tensor.dtype} ${tensor.shape.join()} `);
  const exponent = { F16: 0x7c00, BF16: 0x7f80 }[tensor.dtype as string] ?? 0x7f800000;
  let first: number | undefined;
  let isFinite = true;
  let isConstant = true;
  for (let begin = 0; begin < tensor.length; begin += chunkBytes) {
    const length = Math.min(chunkBytes, tensor.length - begin);
    const bytes = await readTensorBytes(tensor, begin, length);
    hash.update(bytes);
    const bits =
      itemSize(tensor.dtype) === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
    first ??= bits[0];
    for (const item of bits) {
      isConstant &&= item === first;
      isFinite &&= (item & exponent) !== exponent;
    }
  }
  return { hash: hash.digest('hex'), isFinite, isConstant };
}

const specialTokens = ['bos', 'eos', 'pad'] as const;

/** The vocabulary covers every id that the tokenizer gives, and both name the same special tokens. */
export async function checkTokenizer(model: Model, config: JsonObject): Promise<Check> {
  const [id, title] = ['tokenizer', 'config and tokenizer agree'];
  try {
    await openTokenizer(model.folder);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return leftOut(id, title, error.what);
  }
  const files = await readTokenizerFiles(model.folder);
  const ids = idsOf(files.tokenizer);
  const largest = [...ids.values()].reduce((most, value) => Math.max(most, value), 0);
  const { vocabulary } = model.settings;
  if (largest >= vocabulary) {
    const found = `the tokenizer gives ids up to ${largest}, the embedding has ${formatCount(vocabulary)} rows`;
    return stated(id, title, 'fails', found);
  }
  const doubts = specialTokens.flatMap((kind) => {
    const known = [config[`${kind}_token_id`] ?? []].flat();
    const token = contentOf(files.config[`${kind}_token`]);
    const own = token === null ? undefined : ids.get(token);
    if (known.length === 0 || own === undefined || known.includes(own)) return [];
    return [
      `${kind} is ${known.map((item) => JSON.stringify(item)).join(' or ')} in config.json and ${own} in the tokenizer`,
    ];
  });
  const spare = vocabulary - largest - 1;
  return doubts.length > 0
    ? stated(id, title, 'unclear', doubts.join('; '))
    : stated(
        id,
        title,
        'holds',
        `${formatCount(largest + 1)} ids${spare === 0 ? '' : `, ${plural(spare, 'row')} to spare`}`,
      );
}

/** Every token of tokenizer.json with its id. */
function idsOf(tokenizer: JsonObject): Map<string, number> {
  const ids = new Map<string, number>();
  const model = tokenizer['model'];
  const vocab = isJsonObject(model) ? model['vocab'] : undefined;
  if (Array.isArray(vocab)) {
    vocab.forEach((entry: unknown, i) => ids.set(String(Array.isArray(entry) ? entry[0] : i), i));
  } else if (isJsonObject(vocab)) {
    for (const [token, value] of Object.entries(vocab)) ids.set(token, Number(value));
  }
  const added = tokenizer['added_tokens'];
  for (const token of Array.isArray(added) ? added.filter(isJsonObject) : []) {
    ids.set(String(token['content']), Number(token['id']));
  }
  return ids;
}

/** A special token stands as a text, or as a record with its content. */
function contentOf(token: unknown): string | null {
  if (typeof token === 'string') return token;
  const content = isJsonObject(token) ? token['content'] : null;
  return typeof content === 'string' ? content : null;
}
