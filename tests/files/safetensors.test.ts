import { mkdtemp, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import { Random } from '../../src/base/random.ts';
import {
  encodeSafetensors,
  itemSize,
  readFloats,
  readIntegers,
  readSafetensorsHeader,
  readTensorBytes,
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

/** The header of one tensor that claims this shape and has no bytes. */
function entry(shape: readonly number[]): string {
  return `{"a":${JSON.stringify({ dtype: 'F32', shape, data_offsets: [0, 0] })}}`;
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

  it('refuses a header beyond 100 MB even where the file is large enough', async () => {
    const path = await put('large.safetensors', raw('', 0));
    await truncate(path, 8 + 150_000_000); // a sparse file: its holes take no disk
    const handle = await open(path, 'r+');
    await handle.write(new Uint8Array(new BigUint64Array([150_000_000n]).buffer), 0, 8, 0);
    await handle.close();
    const what = 'the header claims 150000000 bytes; the format allows 100000000';
    expect(await refusal(path)).toMatchObject({ code: 'CHECKPOINT_CORRUPT', what, where: path });
  });

  it('refuses a shape whose bytes wrap to the right number, and one of countless axes', async () => {
    const wrapping = await put('wrap.safetensors', raw(entry([2 ** 33, 2 ** 33]), 0));
    expect((await refusal(wrapping)).what).toBe(
      'tensor "a" of F32 [8589934592, 8589934592] needs 295147905179352825856 bytes but has 0',
    );
    const axes = await put('axes.safetensors', raw(entry(Array<number>(100_000).fill(9e15)), 0));
    expect((await refusal(axes)).what).toBe('tensor "a" has 100000 axes; 64 are the most');
    const wrong = await put('long.safetensors', raw(entry(Array<number>(100_000).fill(-1)), 0));
    expect((await refusal(wrong)).what.length).toBeLessThan(200);
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
