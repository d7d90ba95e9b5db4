/**
 * What does a safetensors file hold, and where?
 *
 * A file is eight bytes of header length, a JSON header, and the tensors' bytes without a gap. We
 * trust none of it: every offset, shape and length is held against the size of the file before a
 * byte is allocated for it, and whatever disagrees is refused by name. Reading a header touches no
 * tensor; `offset` is the absolute place that onnxruntime maps as external data. Numbers are
 * little-endian in the file and on every machine that onnxruntime-node runs on.
 *
 * @see https://github.com/huggingface/safetensors#format
 */

import { bfloat16ToFloat32, float16ToFloat32 } from '../base/dtype.ts';
import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { isJsonObject, isWhole, parseJson } from '../base/json.ts';
import { readRange, withFile } from './range.ts';

/** Bytes for each element of the types we read. */
const itemSizes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  U16: 2,
  U32: 4,
  U64: 8,
  BOOL: 1,
} as const;

/** The element type of a stored tensor, as the format spells it. */
export type StoredDtype = keyof typeof itemSizes;

/** One tensor's place; its bytes are still on disk. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  /** Extent of each axis, outermost first; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** The real path of the file, all links followed. */
  readonly file: string;
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export interface SafetensorsFile {
  /** The real path, all links followed. */
  readonly path: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Where the tensors' bytes begin. */
  readonly dataOffset: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** What a tensor is called and looks like, before it has a place. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
}

export interface SafetensorsLayout {
  /** The bytes the file begins with: length and header, padded so that the data is 8-aligned. */
  readonly header: Uint8Array<ArrayBuffer>;
  /** Where in the file each tensor's bytes go. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Bytes of the whole file. */
  readonly size: number;
}

/** More axes than this no library has; a header that lists thousands wants to keep us busy. */
const maxAxes = 64;
/** The format's own limit on the header. */
const maxHeaderBytes = 100_000_000;
const damaged =
  'Download or copy the file again: it is damaged, cut off, or written by a faulty tool.';

/** Bytes of one element. */
export function itemSize(dtype: StoredDtype): number {
  return itemSizes[dtype];
}

/**
 * Reads and checks the header of a safetensors file.
 *
 * @throws {UserError} `CHECKPOINT_MISSING` if there is no such file, `CHECKPOINT_CORRUPT` for every
 *   way in which header and file fail to agree.
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsFile> {
  return await withFile(path, async (handle, real, size) => {
    const start = await readRange(handle, real, 0, Math.min(size, 512));
    const headerBytes = checkedHeaderLength(start, size, path);
    const header = parseHeader(await readRange(handle, real, 8, headerBytes), path);
    const dataOffset = 8 + headerBytes;
    const metadata = checkedMetadata(header, path);
    const tensors = Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, entry]) => checkedEntry(name, entry, { file: real, dataOffset, path }))
      .sort((a, b) => a.offset - b.offset || a.length - b.length);
    checkContiguous(tensors, dataOffset, size, path);
    return {
      path: real,
      size,
      dataOffset,
      metadata,
      tensors: new Map(tensors.map((t) => [t.name, t])),
    };
  });
}

/**
 * The bytes of a tensor, or `length` of them from its byte `begin` on, in a buffer of their own.
 *
 * @throws {UserError} `CHECKPOINT_CORRUPT` if the file has become shorter since its header was read.
 */
export async function readTensorBytes(
  tensor: StoredTensor,
  begin: number = 0,
  length: number = tensor.length - begin,
): Promise<Uint8Array<ArrayBuffer>> {
  invariant(
    begin >= 0 && length >= 0 && begin + length <= tensor.length,
    `range of ${tensor.name}`,
  );
  return await withFile(tensor.file, (handle, real) =>
    readRange(handle, real, tensor.offset + begin, length),
  );
}

/**
 * A tensor's numbers as float32: F32 as stored, F16 and BF16 widened exactly.
 *
 * @param first The first element wanted, row-major, and `count` how many; all unless told.
 * @throws {UserError} `TENSOR_UNEXPECTED` for every other type, F64 included, which would not fit.
 */
export async function readFloats(
  tensor: StoredTensor,
  first: number = 0,
  count: number = tensor.length / itemSize(tensor.dtype) - first,
): Promise<Float32Array<ArrayBuffer>> {
  const item = itemSize(tensor.dtype);
  const read = async (): Promise<ArrayBuffer> =>
    (await readTensorBytes(tensor, first * item, count * item)).buffer;
  switch (tensor.dtype) {
    case 'F32':
      return new Float32Array(await read());
    case 'F16':
      return float16ToFloat32(new Uint16Array(await read()));
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(await read()));
    default:
      throw wrongDtype(tensor, 'F32, F16 or BF16');
  }
}

/** A tensor of I64 numbers, such as token ids. @throws {UserError} `TENSOR_UNEXPECTED` for other types. */
export async function readIntegers(tensor: StoredTensor): Promise<BigInt64Array<ArrayBuffer>> {
  if (tensor.dtype !== 'I64') throw wrongDtype(tensor, 'I64');
  return new BigInt64Array((await readTensorBytes(tensor)).buffer);
}

/**
 * Where each tensor goes in a new file, in the given order, so that a writer can fill the file in
 * any order. The header depends on nothing but the arguments.
 */
export function layoutSafetensors(
  tensors: readonly TensorSpec[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsLayout {
  const fields =
    Object.keys(metadata).length === 0 ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  const begins = new Map<string, number>();
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    invariant(name !== '__metadata__' && !begins.has(name), `two tensors named "${name}"`);
    invariant(shape.every(isWhole), `shape of "${name}": [${shape.join(', ')}]`);
    begins.set(name, end);
    const begin = end;
    end += shape.reduce((product, extent) => product * extent, itemSize(dtype));
    invariant(Number.isSafeInteger(end), `size of "${name}": [${shape.join(', ')}]`);
    // Spelt by hand: an object would move keys that look like numbers to the front.
    const entry = JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
    fields.push(`${JSON.stringify(name)}:${entry}`);
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const dataOffset = Math.ceil((8 + json.length) / 8) * 8;
  invariant(dataOffset - 8 <= maxHeaderBytes, `a header of ${json.length} bytes`);
  const header = new Uint8Array(dataOffset).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(dataOffset - 8), true);
  header.set(json, 8);
  const offsets = new Map([...begins].map(([name, begin]) => [name, dataOffset + begin]));
  return { header, offsets, size: dataOffset + end };
}

/** A whole safetensors file in memory; `data` holds a tensor's numbers in the type that `dtype` names. */
export function encodeSafetensors(
  tensors: readonly (TensorSpec & { readonly data: ArrayBufferView })[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const { header, offsets, size } = layoutSafetensors(tensors, metadata);
  const file = new Uint8Array(size);
  file.set(header);
  for (const { name, dtype, shape, data } of tensors) {
    const length = shape.reduce((product, extent) => product * extent, itemSize(dtype));
    invariant(data.byteLength === length, `"${name}" has ${data.byteLength} bytes, not ${length}`);
    const begin = offsets.get(name) ?? NaN;
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), begin);
  }
  return file;
}

function checkedHeaderLength(start: Uint8Array, size: number, path: string): number {
  if (size === 0) throw corrupt(path, 'the file is empty');
  if (size < 8)
    throw corrupt(path, `the file has ${size} bytes, fewer than the header length itself`);
  const declared = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (declared <= BigInt(Math.min(maxHeaderBytes, size - 8))) return Number(declared);
  throw foreign(start, path) ?? headerTooLong(declared, size, path);
}

function headerTooLong(declared: bigint, size: number, path: string): UserError {
  return declared > maxHeaderBytes
    ? corrupt(path, `the header claims ${declared} bytes; the format allows ${maxHeaderBytes}`)
    : corrupt(path, `the header claims ${declared} bytes in a file of ${size}`);
}

/** Files that are often found in a checkpoint's place, told by how they begin. */
function foreign(start: Uint8Array, path: string): UserError | undefined {
  const text = new TextDecoder('latin1').decode(start);
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(text)) {
    const fix = 'Download the file again; check its address and whether it asks you to sign in.';
    return corrupt(path, 'this is a web page, not a safetensors file', fix);
  }
  if (text.startsWith('version https://git-lfs')) {
    const fix = 'Run `git lfs install && git lfs pull` in the folder of the checkpoint.';
    return corrupt(path, 'this is a git-lfs pointer, not the file it points to', fix);
  }
  if (text.startsWith('PK\u0003\u0004')) {
    const fix = 'Save the model as safetensors: model.save_pretrained(folder) in transformers.';
    return corrupt(path, 'this is a zip archive such as torch.save writes, not safetensors', fix);
  }
  return undefined;
}

function parseHeader(bytes: Uint8Array, path: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw corrupt(path, 'the header is not UTF-8');
  }
  const where = `header of ${path}`;
  const header = parseJson(text, where, { code: 'CHECKPOINT_CORRUPT', fix: damaged });
  if (!isJsonObject(header)) throw corrupt(path, 'the header is not a JSON object');
  return header;
}

function checkedMetadata(
  header: Readonly<Record<string, unknown>>,
  path: string,
): Record<string, string> {
  const metadata = header['__metadata__'] ?? {};
  if (
    !isJsonObject(metadata) ||
    !Object.values(metadata).every((value) => typeof value === 'string')
  ) {
    throw corrupt(path, '"__metadata__" in the header is not an object of strings');
  }
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, String(value)]));
}

function isStoredDtype(value: unknown): value is StoredDtype {
  return typeof value === 'string' && Object.hasOwn(itemSizes, value);
}

/** `path` is as the user wrote it, for messages; `file` the real one. */
interface Place {
  readonly path: string;
  readonly file: string;
  readonly dataOffset: number;
}

function checkedEntry(
  name: string,
  entry: unknown,
  { path, file, dataOffset }: Place,
): StoredTensor {
  const bad = (what: string): UserError => corrupt(path, `tensor "${name}" ${what}`);
  if (!isJsonObject(entry)) throw bad('is not described by an object');
  const { dtype, shape, data_offsets: offsets, ...rest } = entry;
  const surplus = Object.keys(rest)[0];
  if (surplus !== undefined) throw bad(`has an unknown field "${surplus}"`);
  if (!isStoredDtype(dtype)) {
    const fix = `Save the model in one of ${Object.keys(itemSizes).join(', ')}.`;
    throw corrupt(path, `tensor "${name}" has the unknown dtype ${shown(dtype)}`, fix);
  }
  if (!Array.isArray(shape) || !shape.every(isWhole)) {
    throw bad(`has the shape ${shown(shape)}; whole numbers from 0 on were due`);
  }
  if (shape.length > maxAxes) throw bad(`has ${shape.length} axes; ${maxAxes} are the most`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isWhole)) {
    throw bad(`has the data_offsets ${shown(offsets)}; two whole numbers were due`);
  }
  const [begin, end] = offsets;
  if (end < begin) throw bad(`ends at byte ${end}, before it begins at ${begin}`);
  // In BigInt, so that no product of a lying header's extents wraps, rounds off or becomes NaN.
  const needed = shape.reduce((n, extent) => n * BigInt(extent), BigInt(itemSize(dtype)));
  if (needed !== BigInt(end - begin)) {
    throw bad(`of ${dtype} [${shape.join(', ')}] needs ${needed} bytes but has ${end - begin}`);
  }
  const length = end - begin;
  return { name, dtype, shape, file, offset: dataOffset + begin, length };
}

/** A value as it stands in the header, cut so that the message stays readable. */
function shown(value: unknown): string {
  const text = value === undefined ? 'undefined' : JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}

function checkContiguous(
  tensors: readonly StoredTensor[],
  dataOffset: number,
  size: number,
  path: string,
): void {
  let due = dataOffset;
  let before = 'the header';
  for (const { name, offset, length } of tensors) {
    if (offset < due) {
      throw corrupt(path, `tensor "${name}" overlaps ${before} by ${due - offset} bytes`);
    }
    if (offset > due) {
      throw corrupt(
        path,
        `${offset - due} bytes between ${before} and tensor "${name}" belong to none`,
      );
    }
    due = offset + length;
    before = `tensor "${name}"`;
  }
  if (due > size)
    throw corrupt(path, `the data are cut off: ${before} ends ${due - size} bytes past the file`);
  if (due < size) throw corrupt(path, `${size - due} bytes follow ${before}, the last of the file`);
}

function corrupt(where: string, what: string, fix: string = damaged): UserError {
  return new UserError('CHECKPOINT_CORRUPT', what, { where, fix });
}

function wrongDtype(tensor: StoredTensor, due: string): UserError {
  return new UserError(
    'TENSOR_UNEXPECTED',
    `tensor "${tensor.name}" is ${tensor.dtype}; ${due} was due`,
    {
      where: tensor.file,
      fix: `Save the tensor as ${due}.`,
    },
  );
}
