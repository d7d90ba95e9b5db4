/**
 * How do we read and write NumPy's .npy files?
 *
 * A file is a magic word, a version, the length of a header, the header (a Python dictionary of three
 * keys, spelt as `repr` spells it) and the numbers of one array. The header is parsed as that literal
 * and nothing is run; arrays of Python objects, which are pickles, are refused by name. As with
 * safetensors, shape and length are held against the size of the file before anything is allocated.
 *
 * @see https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

import { float16ToFloat32 } from '../base/dtype.ts';
import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { isWhole } from '../base/json.ts';
import { readRange, withFile } from './range.ts';

/** Element types, as the header spells them, and their bytes; all little-endian. */
const itemSizes = {
  '<f2': 2,
  '<f4': 4,
  '<f8': 8,
  '|i1': 1,
  '<i2': 2,
  '<i4': 4,
  '<i8': 8,
  '|u1': 1,
  '<u2': 2,
  '<u4': 4,
  '<u8': 8,
  '|b1': 1,
} as const;

export type NpyDtype = keyof typeof itemSizes;

/** What a file holds and where; its numbers are still on disk. */
export interface NpyArray {
  /** The real path of the file, all links followed. */
  readonly file: string;
  readonly dtype: NpyDtype;
  /** Extent of each axis, outermost first; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** First byte of the numbers, and how many bytes they are. */
  readonly offset: number;
  readonly length: number;
}

const magic = '\u0093NUMPY';
/** NumPy itself allows 10 000 unless told otherwise; ours hold one short dictionary. */
const maxHeaderBytes = 65_536;
/** NumPy's own limit. */
const maxAxes = 64;
const damaged = 'Save the array again: numpy.save(path, array).';

/**
 * Reads and checks the header of an .npy file of version 1, 2 or 3.
 *
 * @throws {UserError} `CHECKPOINT_MISSING` if there is no such file; `CHECKPOINT_CORRUPT` if header and
 *   file disagree, or the array is one that we do not read: objects, big-endian, Fortran order.
 */
export async function readNpyHeader(path: string): Promise<NpyArray> {
  return await withFile(path, async (handle, real, size) => {
    const start = await readRange(handle, real, 0, Math.min(size, 12));
    const { begin, length } = headerPlace(start, size, path);
    const text = decode(await readRange(handle, real, begin, length), path);
    const { dtype, shape } = checkedHeader(text, path);
    const offset = begin + length;
    // In BigInt, so that no product of a lying header's extents wraps or rounds off.
    const needed = shape.reduce((n, extent) => n * BigInt(extent), BigInt(itemSizes[dtype]));
    if (needed !== BigInt(size - offset)) {
      const has = `needs ${needed} bytes but has ${size - offset}`;
      throw corrupt(path, `the array of ${dtype} [${shape.join(', ')}] ${has}`);
    }
    return { file: real, dtype, shape, offset, length: size - offset };
  });
}

/**
 * An array's numbers: float16 and float32 as float32 (exactly), float64 as float64.
 *
 * @throws {UserError} `TENSOR_UNEXPECTED` for whole numbers and truth values.
 */
export async function readNpyFloats(
  array: NpyArray,
): Promise<Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>> {
  switch (array.dtype) {
    case '<f2':
      return float16ToFloat32(new Uint16Array(await readBytes(array)));
    case '<f4':
      return new Float32Array(await readBytes(array));
    case '<f8':
      return new Float64Array(await readBytes(array));
    default:
      throw new UserError('TENSOR_UNEXPECTED', `the array is ${array.dtype}; floats were due`, {
        where: array.file,
        fix: "Save it as floats: numpy.save(path, array.astype('float32')).",
      });
  }
}

/**
 * An array's whole numbers, or truth values as 0 and 1.
 *
 * @throws {UserError} `TENSOR_UNEXPECTED` for floats, and for numbers beyond ±(2⁵³ − 1).
 */
export async function readNpyIntegers(array: NpyArray): Promise<number[]> {
  const bytes = await readBytes(array);
  const values = integersOf(array.dtype, bytes);
  if (values === undefined) {
    throw new UserError('TENSOR_UNEXPECTED', `the array is ${array.dtype}; integers were due`, {
      where: array.file,
      fix: "Save it as integers: numpy.save(path, array.astype('int64')).",
    });
  }
  return Array.from<number | bigint, number>(values, (value) => {
    const number = Number(value);
    if (Number.isSafeInteger(number)) return number;
    throw new UserError('TENSOR_UNEXPECTED', `${value} is beyond what can be held exactly`, {
      where: array.file,
      fix: 'Save numbers within 2^53.',
    });
  });
}

/**
 * An .npy file of version 1.0 in C order; its header depends on nothing but type and shape.
 *
 * @param data The numbers, in the type that `dtype` names. Shape: `shape`, row-major.
 */
export function encodeNpy(
  dtype: NpyDtype,
  shape: readonly number[],
  data: ArrayBufferView,
): Uint8Array<ArrayBuffer> {
  const header = npyHeader(dtype, shape);
  const length = shape.reduce((product, extent) => product * extent, itemSizes[dtype]);
  invariant(data.byteLength === length, `${data.byteLength} bytes for [${shape.join(', ')}]`);
  const file = new Uint8Array(header.length + length);
  file.set(header);
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length);
  return file;
}

/** What an .npy file begins with, up to its first number; padded as NumPy pads, to 64 bytes. */
function npyHeader(dtype: NpyDtype, shape: readonly number[]): Uint8Array<ArrayBuffer> {
  invariant(shape.every(isWhole) && shape.length <= maxAxes, `shape [${shape.join(', ')}]`);
  const axes = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': ${axes}, }`;
  const size = Math.ceil((10 + text.length + 1) / 64) * 64;
  const header = new Uint8Array(size).fill(0x20);
  header.set(Buffer.from(magic, 'latin1'));
  header[6] = 1;
  header[7] = 0;
  new DataView(header.buffer).setUint16(8, size - 10, true);
  header.set(Buffer.from(text, 'latin1'), 10);
  header[size - 1] = 0x0a;
  return header;
}

function headerPlace(
  start: Uint8Array,
  size: number,
  path: string,
): { readonly begin: number; readonly length: number } {
  if (size === 0) throw corrupt(path, 'the file is empty');
  const word = Buffer.from(start.subarray(0, 6)).toString('latin1');
  if (word.startsWith('PK')) {
    const fix = 'Save each array by itself: numpy.save(path, array).';
    throw corrupt(path, 'this is a zip archive such as numpy.savez writes, not one array', fix);
  }
  if (word !== magic) throw corrupt(path, 'this is not an .npy file');
  const version = start[6];
  if (![1, 2, 3].includes(version) || start[7] !== 0) {
    throw corrupt(path, `.npy version ${start[6]}.${start[7]} is not known; 1.0 to 3.0 are`);
  }
  const begin = version === 1 ? 10 : 12;
  if (size < begin) throw corrupt(path, `the file ends within its first ${begin} bytes`);
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > maxHeaderBytes) {
    throw corrupt(path, `the header claims ${length} bytes; ${maxHeaderBytes} are the most read`);
  }
  if (begin + length > size) {
    throw corrupt(path, `the header claims ${length} bytes in a file of ${size}`);
  }
  return { begin, length };
}

/**
 * Versions 1 and 2 are Latin-1 and 3 is UTF-8, for the names of fields; where there are none, as in all
 * that we read, the header is ASCII.
 */
function decode(bytes: Uint8Array, path: string): string {
  const text = Buffer.from(bytes).toString('latin1');
  if (/^[\t\n\r -~]*$/.test(text)) return text;
  throw corrupt(path, 'the header holds characters that are not ASCII');
}

/** The dictionary, its keys in any order, each once, with or without a comma at the end. */
function checkedHeader(
  text: string,
  path: string,
): { readonly dtype: NpyDtype; readonly shape: readonly number[] } {
  const fields = new Map<string, string>();
  const body = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  if (body === undefined) throw corrupt(path, 'the header is not a dictionary');
  const field = /\s*(['"])(\w+)\1\s*:\s*('[^'\\]*'|"[^"\\]*"|True|False|\([\d\s,L]*\)|\[)\s*(,|$)/y;
  while (field.lastIndex < body.length) {
    const from = field.lastIndex;
    const match = field.exec(body);
    if (match === null) {
      if (/^\s*$/.test(body.slice(from)) && fields.size > 0) break;
      throw unreadable(body.slice(from), path);
    }
    if (fields.has(match[2])) throw corrupt(path, `the header has two keys "${match[2]}"`);
    fields.set(match[2], match[3]);
  }
  const surplus = [...fields.keys()].find((key) => !headerKeys.includes(key));
  if (surplus !== undefined) throw corrupt(path, `the header has an unknown key "${surplus}"`);
  const absent = headerKeys.find((key) => !fields.has(key));
  if (absent !== undefined) throw corrupt(path, `the header has no "${absent}"`);
  const dtype = checkedDtype(fields.get('descr') ?? '', path);
  checkOrder(fields.get('fortran_order') ?? '', path);
  return { dtype, shape: checkedShape(fields.get('shape') ?? '', path) };
}

const headerKeys: readonly string[] = ['descr', 'fortran_order', 'shape'];

/** Arrays of records have a list for "descr"; that one is told apart. */
function unreadable(rest: string, path: string): UserError {
  if (!/^\s*(['"])descr\1\s*:\s*\[/.test(rest)) {
    return corrupt(path, `the header cannot be read from ${JSON.stringify(rest.slice(0, 40))} on`);
  }
  const fix = 'Save one field of it: numpy.save(path, array["field"]).';
  return corrupt(path, 'the array has records of several fields', fix);
}

function checkedDtype(literal: string, path: string): NpyDtype {
  const descr = literal.slice(1, -1);
  // NumPy writes `|` where order means nothing, and reads `<` there too.
  const spelt = /^<[iub]1$/.test(descr) ? `|${descr.slice(1)}` : descr;
  if (isNpyDtype(spelt)) return spelt;
  if (/^\|?O/.test(descr)) {
    const fix = "Save it as floats: numpy.save(path, numpy.stack(array).astype('float32')).";
    throw corrupt(path, 'the array holds Python objects, a pickle, which is never opened', fix);
  }
  if (descr.startsWith('>')) {
    const fix = `Save it little-endian: numpy.save(path, array.astype('<${descr.slice(1)}')).`;
    throw corrupt(path, `the array is big-endian ("${descr}")`, fix);
  }
  const fix = "Save it as float32: numpy.save(path, array.astype('float32')).";
  throw corrupt(path, `the array has the type ${JSON.stringify(descr)}, which is not read`, fix);
}

function isNpyDtype(text: string): text is NpyDtype {
  return Object.hasOwn(itemSizes, text);
}

function checkOrder(literal: string, path: string): void {
  if (literal === 'False') return;
  if (literal !== 'True') throw corrupt(path, `"fortran_order" is ${literal}, not True or False`);
  const fix = 'Save it row by row: numpy.save(path, numpy.ascontiguousarray(array)).';
  throw corrupt(path, 'the array is stored column by column (Fortran order)', fix);
}

function checkedShape(literal: string, path: string): readonly number[] {
  const axes = literal.slice(1, -1).split(',');
  // (3,) is one axis and () none, but (3) is a number in brackets to Python.
  if (axes.at(-1)?.trim() === '') axes.pop();
  else if (axes.length === 1) axes.push('');
  const shape = axes.map((axis) => (/^\s*\d+L?\s*$/.test(axis) ? Number.parseInt(axis, 10) : NaN));
  if (!literal.startsWith('(') || shape.length > maxAxes || !shape.every(isWhole)) {
    throw corrupt(path, `the header has the shape ${literal.slice(0, 80)}`);
  }
  return shape;
}

async function readBytes({ file, offset, length }: NpyArray): Promise<ArrayBuffer> {
  const bytes = await withFile(file, (handle, real) => readRange(handle, real, offset, length));
  return bytes.buffer;
}

function integersOf(dtype: NpyDtype, bytes: ArrayBuffer): Iterable<number | bigint> | undefined {
  switch (dtype) {
    case '|i1':
      return new Int8Array(bytes);
    case '<i2':
      return new Int16Array(bytes);
    case '<i4':
      return new Int32Array(bytes);
    case '<i8':
      return new BigInt64Array(bytes);
    case '|u1':
    case '|b1':
      return new Uint8Array(bytes);
    case '<u2':
      return new Uint16Array(bytes);
    case '<u4':
      return new Uint32Array(bytes);
    case '<u8':
      return new BigUint64Array(bytes);
    default:
      return undefined;
  }
}

function corrupt(where: string, what: string, fix: string = damaged): UserError {
  return new UserError('CHECKPOINT_CORRUPT', what, { where, fix });
}
