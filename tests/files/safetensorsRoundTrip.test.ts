import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import {
  encodeSafetensors,
  itemSize,
  layoutSafetensors,
  readFloats,
  readIntegers,
  readSafetensorsHeader,
  readTensorBytes,
  type StoredDtype,
  type StoredTensor,
} from '../../src/files/safetensors.ts';

const seed = 20261121;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tensors-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Writes a file of the test's own, and gives its path. */
async function put(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

function tensorOf(tensors: ReadonlyMap<string, StoredTensor>, name: string): StoredTensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`no tensor ${name}`);
  return tensor;
}

const dtypes: readonly StoredDtype[] = [
  'F64',
  'F32',
  'F16',
  'BF16',
  'I64',
  'I32',
  'I16',
  'I8',
  'U8',
  'U16',
  'U32',
  'U64',
  'BOOL',
];

describe('encodeSafetensors', () => {
  const specs = fc.uniqueArray(
    fc.record({
      name: fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.constantFrom('1', '0', '__proto__', 'a.weight'),
      ),
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
    }),
    { selector: ({ name }) => name, maxLength: 6 },
  );

  it('writes what the reader reads back, bytes and all', async () => {
    await fc.assert(
      fc.asyncProperty(
        specs,
        fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })),
        async (tensors, metadata) => {
          const random = new Random(seed);
          const filled = tensors.map((spec) => {
            const elements = spec.shape.reduce((product, extent) => product * extent, 1);
            const data = Uint8Array.from({ length: elements * itemSize(spec.dtype) }, () =>
              random.below(256),
            );
            return { ...spec, data };
          });
          const path = await put('trip.safetensors', encodeSafetensors(filled, metadata));
          const file = await readSafetensorsHeader(path);
          expect(Object.entries(file.metadata)).toEqual(Object.entries(metadata));
          expect(file.dataOffset % 8).toBe(0);
          expect(file.tensors.size).toBe(filled.length);
          for (const { name, dtype, shape, data } of filled) {
            const tensor = tensorOf(file.tensors, name);
            expect(tensor).toMatchObject({ dtype, shape });
            expect(await readTensorBytes(tensor)).toEqual(data);
          }
        },
      ),
      { seed, numRuns: 100 },
    );
  });

  it('writes the bytes that the format prescribes', () => {
    const file = encodeSafetensors(
      [{ name: 'x', dtype: 'F32', shape: [1], data: Float32Array.of(1) }],
      { by: 'me' },
    );
    const header =
      '{"__metadata__":{"by":"me"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    const padded = header.padEnd(88);
    expect([...file.subarray(0, 8)]).toEqual([88, 0, 0, 0, 0, 0, 0, 0]);
    expect(new TextDecoder().decode(file.subarray(8, 96))).toBe(padded);
    expect([...file.subarray(96)]).toEqual([0, 0, 0x80, 0x3f]);
  });

  it('takes its numbers from a view that does not begin at its buffer', () => {
    const data = Float32Array.of(5, 1).subarray(1);
    const file = encodeSafetensors([{ name: 'x', dtype: 'F32', shape: [1], data }]);
    expect([...file.subarray(-4)]).toEqual([0, 0, 0x80, 0x3f]);
  });

  it('is stopped by data that do not fill the shape, and by a name given twice', () => {
    const tensor = { name: 'x', dtype: 'F32', shape: [2], data: Float32Array.of(1) } as const;
    expect(() => encodeSafetensors([tensor])).toThrow('"x" has 4 bytes, not 8');
    expect(() => layoutSafetensors([tensor, tensor])).toThrow('two tensors named "x"');
    expect(() => layoutSafetensors([{ ...tensor, name: '__metadata__' }])).toThrow(
      'internal error',
    );
    expect(() => layoutSafetensors([{ ...tensor, shape: [2 ** 40, 2 ** 40] }])).toThrow(
      'size of "x"',
    );
  });
});

describe('layoutSafetensors', () => {
  it('places tensors in the given order, data 8-aligned', () => {
    const { header, offsets, size } = layoutSafetensors([
      { name: '9', dtype: 'BF16', shape: [3] },
      { name: '1', dtype: 'F32', shape: [2, 2] },
    ]);
    expect(header.length % 8).toBe(0);
    expect([...offsets]).toEqual([
      ['9', header.length],
      ['1', header.length + 6],
    ]);
    expect(size).toBe(header.length + 22);
    expect(new TextDecoder().decode(header.subarray(8)).trimEnd()).toBe(
      '{"9":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},"1":{"dtype":"F32","shape":[2,2],"data_offsets":[6,22]}}',
    );
  });
});

describe('readFloats', () => {
  it('widens every type that fits a float32', async () => {
    const file = encodeSafetensors([
      { name: 'half', dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 0x0001) },
      { name: 'brain', dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xc000) },
      { name: 'single', dtype: 'F32', shape: [2], data: Float32Array.of(0.1, -2) },
    ]);
    const { tensors } = await readSafetensorsHeader(await put('floats.safetensors', file));
    expect([...(await readFloats(tensorOf(tensors, 'half')))]).toEqual([1, -2, 2 ** -24]);
    expect([...(await readFloats(tensorOf(tensors, 'brain')))]).toEqual([1, -2]);
    expect([...(await readFloats(tensorOf(tensors, 'single')))]).toEqual([Math.fround(0.1), -2]);
  });

  it('refuses types that would lose digits or are no numbers of this kind', async () => {
    const file = encodeSafetensors([
      { name: 'd', dtype: 'F64', shape: [1], data: Float64Array.of(1) },
      { name: 'i', dtype: 'I64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 60n) },
    ]);
    const { tensors } = await readSafetensorsHeader(await put('wide.safetensors', file));
    const [d, i] = [tensorOf(tensors, 'd'), tensorOf(tensors, 'i')];
    await expect(readFloats(d)).rejects.toThrow('tensor "d" is F64; F32, F16 or BF16 was due');
    await expect(readFloats(i)).rejects.toMatchObject({ code: 'TENSOR_UNEXPECTED' });
    await expect(readIntegers(d)).rejects.toThrow('tensor "d" is F64; I64 was due');
    expect([...(await readIntegers(i))]).toEqual([-1n, 2n ** 60n]);
  });
});

describe('readTensorBytes', () => {
  it('reads a part', async () => {
    const data = Uint8Array.of(1, 2, 3, 4, 5);
    const path = await put(
      'part.safetensors',
      encodeSafetensors([{ name: 'a', dtype: 'U8', shape: [5], data }]),
    );
    const tensor = tensorOf((await readSafetensorsHeader(path)).tensors, 'a');
    expect([...(await readTensorBytes(tensor, 1, 3))]).toEqual([2, 3, 4]);
    expect([...(await readTensorBytes(tensor, 3))]).toEqual([4, 5]);
    await expect(readTensorBytes(tensor, 3, 3)).rejects.toThrow('internal error');
  });

  it('says so when the file has been cut off since', async () => {
    const data = new Uint8Array(100);
    const path = await put(
      'cut.safetensors',
      encodeSafetensors([{ name: 'a', dtype: 'U8', shape: [100], data }]),
    );
    const { size, tensors } = await readSafetensorsHeader(path);
    await truncate(path, size - 1);
    await expect(readTensorBytes(tensorOf(tensors, 'a'))).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      what: `the file ends before byte ${size}`,
      where: path,
    });
  });
});
