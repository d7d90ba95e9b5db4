import { mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
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

const bad = fileURLToPath(new URL('../golden/bad', import.meta.url));
const seed = 20261121;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const damaged =
  'Download or copy the file again: it is damaged, cut off, or written by a faulty tool.';
const q = 'tensor "model.layers.0.self_attn.q_proj.weight"';
const k = 'tensor "model.layers.0.self_attn.k_proj.weight"';
const norm = 'tensor "model.norm.weight"';

/** Writes a file of the test's own, and gives its path. */
async function put(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

/** A file with this header text and this many bytes of data. */
function raw(header: string, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

async function refusal(path: string): Promise<UserError> {
  try {
    await readSafetensorsHeader(path);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error(`accepted: ${path}`);
}

function tensorOf(tensors: ReadonlyMap<string, StoredTensor>, name: string): StoredTensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`no tensor ${name}`);
  return tensor;
}

describe('readSafetensorsHeader', () => {
  it('reads the sound control', async () => {
    const path = `${bad}/control/model.safetensors`;
    const file = await readSafetensorsHeader(path);
    const bytes = await readFile(path);
    expect(file.size).toBe(bytes.length);
    expect(file.dataOffset).toBe(8 + Number(bytes.readBigUInt64LE()));
    expect(file.tensors.size).toBe(12);
    const head = tensorOf(file.tensors, 'lm_head.weight');
    expect(head).toMatchObject({ dtype: 'F32', shape: [11, 8], length: 352, file: path });
    const ends = [...file.tensors.values()].map((tensor) => tensor.offset + tensor.length);
    expect(Math.max(...ends)).toBe(bytes.length);
  });

  it.each([
    ['header_beyond_file', 'the header claims 1000000 bytes in a file of 3640'],
    ['header_200mb', 'the header claims 200000000 bytes; the format allows 100000000'],
    [
      'header_length_overflow',
      'the header claims 18446744073709551615 bytes; the format allows 100000000',
    ],
    ['header_not_object', 'the header is not a JSON object'],
    ['header_bad_utf8', 'the header is not UTF-8'],
    ['offsets_overlap', `${k} overlaps ${q} by 16 bytes`],
    ['offsets_hole', `64 bytes between ${q} and ${k} belong to none`],
    [
      'offsets_negative',
      'tensor "model.embed_tokens.weight" has the data_offsets [-352,0]; two whole numbers were due',
    ],
    ['offsets_reversed', `${norm} ends at byte 2144, before it begins at 2176`],
    [
      'offsets_fractional',
      `${norm} has the data_offsets [2144.5,2176]; two whole numbers were due`,
    ],
    ['data_truncated', 'the data are cut off: tensor "lm_head.weight" ends 40 bytes past the file'],
    ['data_trailing', '40 bytes follow tensor "lm_head.weight", the last of the file'],
    ['shape_offsets_mismatch', `${q} of F32 [8, 9] needs 288 bytes but has 256`],
    [
      'shape_overflow',
      `${q} of F32 [8589934592, 8589934592, 8589934592] needs 2535301200456458802993406410752 bytes but has 256`,
    ],
    ['shape_negative', `${q} has the shape [-8,-8]; whole numbers from 0 on were due`],
    ['file_empty', 'the file is empty'],
    ['file_5_bytes', 'the file has 5 bytes, fewer than the header length itself'],
  ])('refuses %s', async (name, what) => {
    const path = `${bad}/${name}/model.safetensors`;
    const error = await refusal(path);
    expect(error).toMatchObject({ code: 'CHECKPOINT_CORRUPT', what, where: path, fix: damaged });
  });

  it.each([
    ['header_not_json', 'at line 1, column 40: a key in quotes is missing'],
    ['key_duplicate', 'the key "model.norm.weight" stands twice'],
  ])('refuses %s, saying where in the header', async (name, why) => {
    const path = `${bad}/${name}/model.safetensors`;
    const error = await refusal(path);
    expect(error).toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      where: `header of ${path}`,
      fix: damaged,
    });
    expect(error.what).toMatch(/^not valid JSON at /);
    expect(error.what).toContain(why);
  });

  it.each([
    [
      'dtype_unknown',
      `${q} has the unknown dtype "F12"`,
      'Save the model in one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, U16, U32, U64, BOOL.',
    ],
    [
      'file_is_html',
      'this is a web page, not a safetensors file',
      'Download the file again; check its address and whether it asks you to sign in.',
    ],
    [
      'file_is_lfs_pointer',
      'this is a git-lfs pointer, not the file it points to',
      'Run `git lfs install && git lfs pull` in the folder of the checkpoint.',
    ],
  ])('refuses %s, and says how to mend it', async (name, what, fix) => {
    const path = `${bad}/${name}/model.safetensors`;
    expect(await refusal(path)).toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      what,
      where: path,
      fix,
    });
  });

  it.each([
    ['[]', 0, 'the header is not a JSON object'],
    ['{"a":[]}', 0, 'tensor "a" is not described by an object'],
    ['{"a":null}', 0, 'tensor "a" is not described by an object'],
    ['{"a":{}}', 0, 'tensor "a" has the unknown dtype undefined'],
    [
      '{"a":{"dtype":"constructor","shape":[],"data_offsets":[0,1]}}',
      1,
      'tensor "a" has the unknown dtype "constructor"',
    ],
    [
      '{"a":{"dtype":"U8","data_offsets":[0,1]}}',
      1,
      'tensor "a" has the shape undefined; whole numbers from 0 on were due',
    ],
    [
      '{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}',
      1,
      'tensor "a" has the shape [1.5]; whole numbers from 0 on were due',
    ],
    [
      '{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}',
      1,
      'tensor "a" has the shape [9007199254740992]; whole numbers from 0 on were due',
    ],
    [
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}',
      1,
      'tensor "a" has the data_offsets [0,1,2]; two whole numbers were due',
    ],
    [
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":["0",1]}}',
      1,
      'tensor "a" has the data_offsets ["0",1]; two whole numbers were due',
    ],
    [
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"scale":2}}',
      1,
      'tensor "a" has an unknown field "scale"',
    ],
    [
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
      2,
      '1 bytes between the header and tensor "a" belong to none',
    ],
    ['{"__metadata__":{"a":1}}', 0, '"__metadata__" in the header is not an object of strings'],
    ['{}', 3, '3 bytes follow the header, the last of the file'],
  ])('refuses %s with %i bytes of data', async (header, dataBytes, what) => {
    const path = await put('raw.safetensors', raw(header, dataBytes));
    expect(await refusal(path)).toMatchObject({ code: 'CHECKPOINT_CORRUPT', what, where: path });
  });

  it('refuses what torch.save writes', async () => {
    const path = await put('zip.safetensors', 'PK\u0003\u0004 and then some more bytes');
    expect((await refusal(path)).what).toBe(
      'this is a zip archive such as torch.save writes, not safetensors',
    );
  });

  it('refuses a folder and a file that is not there', async () => {
    expect(await refusal(folder)).toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      what: 'this is a folder or a device, not a file',
      where: folder,
    });
    const path = join(folder, 'absent.safetensors');
    expect(await refusal(path)).toMatchObject({
      code: 'CHECKPOINT_MISSING',
      what: 'there is no such file or folder',
      where: path,
    });
  });

  it('follows links and names the real file', async () => {
    const blob = await put(
      'blob',
      encodeSafetensors([{ name: 'a', dtype: 'U8', shape: [2], data: Uint8Array.of(7, 8) }]),
    );
    const link = join(folder, 'link.safetensors');
    await symlink(blob, link);
    const { path, tensors } = await readSafetensorsHeader(link);
    expect(path).toBe(blob);
    expect([...(await readTensorBytes(tensorOf(tensors, 'a')))]).toEqual([7, 8]);
  });

  it('takes tensors without elements and scalars', async () => {
    const header =
      '{"b":{"dtype":"F32","shape":[0,4],"data_offsets":[8,8]},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"c":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}';
    const { tensors } = await readSafetensorsHeader(await put('empty.safetensors', raw(header, 8)));
    expect([...tensors.keys()]).toEqual(['c', 'a', 'b']);
    expect([...(await readIntegers(tensorOf(tensors, 'a')))]).toEqual([0n]);
    expect([...(await readFloats(tensorOf(tensors, 'b')))]).toEqual([]);
  });

  it('reads a spoiled file rightly or refuses it, and does nothing else', async () => {
    const sound = new Uint8Array(await readFile(`${bad}/control/model.safetensors`));
    const random = new Random(seed);
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const path = await put('mutant.safetensors', mutate(sound, random));
      try {
        const { size, tensors } = await readSafetensorsHeader(path);
        for (const tensor of tensors.values()) {
          const elements = tensor.shape.reduce((product, extent) => product * extent, 1);
          expect(elements * itemSize(tensor.dtype)).toBe(tensor.length);
          expect(tensor.offset + tensor.length).toBeLessThanOrEqual(size);
          expect((await readTensorBytes(tensor)).length).toBe(tensor.length);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect(error).toMatchObject({ code: 'CHECKPOINT_CORRUPT', fix: expect.any(String) });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(150); // a byte changed in the data, or in a name, is no fault to see
  });
});

/** Cuts the file short (one time in four) or changes up to three of its bytes, mostly in the header. */
function mutate(sound: Uint8Array, random: Random): Uint8Array {
  if (random.below(4) === 0) return sound.slice(0, random.below(sound.length));
  const mutant = sound.slice();
  const range = random.below(8) === 0 ? sound.length : 1100;
  for (let n = 1 + random.below(3); n > 0; n--) mutant[random.below(range)] = random.below(256);
  return mutant;
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
