/**
 * Reads safetensors bytes: eight bytes of header length, a JSON header, raw little-endian numbers.
 *
 * Nothing of the header is believed before it is checked: offsets must be in bounds, aligned, and
 * fit the shape. The arrays are views of the bytes, not copies.
 */

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Longest header that the viewer reads; those of projections have four entries. */
const longestHeader = 1 << 20;

/** F32 tensors by name; others are left out. @throws {RangeError} where the bytes do not fit. */
export function decodeTensors(bytes: ArrayBuffer): Map<string, Tensor> {
  if (bytes.byteLength < 8) throw new RangeError('the file is shorter than its first field');
  const length = Number(new DataView(bytes).getBigUint64(0, true));
  if (length > longestHeader || 8 + length > bytes.byteLength) {
    throw new RangeError('the header is longer than the file');
  }
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(parseHeader(bytes, length))) {
    if (name === '__metadata__' || !isEntry(entry) || entry.dtype !== 'F32') continue;
    const [begin, end] = entry.data_offsets;
    const count = entry.shape.reduce((product, extent) => product * extent, 1);
    const at = 8 + length + begin;
    if (begin > end || 8 + length + end > bytes.byteLength || end - begin !== count * 4) {
      throw new RangeError(`tensor "${name}" lies outside the file or does not fit its shape`);
    }
    // The format asks for data that is 8-aligned, but not all writers do as it asks.
    const data =
      at % 4 === 0
        ? new Float32Array(bytes, at, count)
        : new Float32Array(bytes.slice(at, at + count * 4));
    tensors.set(name, { shape: entry.shape, data });
  }
  return tensors;
}

function parseHeader(bytes: ArrayBuffer, length: number): object {
  const text = new TextDecoder('utf-8', { fatal: false }).decode(new Uint8Array(bytes, 8, length));
  try {
    const header: unknown = JSON.parse(text);
    if (typeof header === 'object' && header !== null && !Array.isArray(header)) return header;
  } catch (error) {
    throw new RangeError('the header is not JSON', { cause: error });
  }
  throw new RangeError('the header is not a table of tensors');
}

interface Entry {
  readonly dtype: unknown;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null) return fail();
  const { shape, data_offsets: offsets } = value as Partial<Record<keyof Entry, unknown>>;
  if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) return fail();
  return true;
}

function isCounts(value: unknown): value is number[] {
  return (
    Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && Number(item) >= 0)
  );
}

function fail(): never {
  throw new RangeError('an entry of the header has no shape or no place');
}
