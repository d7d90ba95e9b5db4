import { createHash } from 'node:crypto';
import {
  cp,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isJsonObject, type JsonObject } from '../../src/base/json.ts';
import { hashCheckpoint, openCheckpoint } from '../../src/files/checkpoint.ts';
import { encodeSafetensors } from '../../src/files/safetensors.ts';

const bad = fileURLToPath(new URL('../golden/bad', import.meta.url));
const control = `${bad}/control`;
let scratch: string;

beforeAll(async () => {
  scratch = await realpath(await mkdtemp(join(tmpdir(), 'checkpoint-')));
});
afterAll(async () => {
  await rm(scratch, { recursive: true });
});

/** A copy of a folder of the golden set, to be changed. */
async function copyOf(name: string, as: string): Promise<string> {
  const folder = join(scratch, as);
  await cp(`${bad}/${name}`, folder, { recursive: true });
  return folder;
}

function objectOf(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw new Error(`not an object: ${text}`);
  return value;
}

const downloadAgain = 'Download the checkpoint again, every file of it.';
const first = 'model-00001-of-00002.safetensors';
const second = 'model-00002-of-00002.safetensors';
const index = 'model.safetensors.index.json';

describe('openCheckpoint', () => {
  it('reads the sound control', async () => {
    const { folder, config, tensors, shards } = await openCheckpoint(control);
    expect(folder).toBe(control);
    expect(config).toMatchObject({
      model_type: 'llama',
      rms_norm_eps: 1e-5,
      tie_word_embeddings: false,
    });
    expect(shards).toEqual(['model.safetensors']);
    expect(tensors.size).toBe(12);
    expect(tensors.get('model.norm.weight')).toMatchObject({
      dtype: 'F32',
      shape: [8],
      length: 32,
    });
  });

  it('reads a sharded checkpoint as the same tensors', async () => {
    const folder = await copyOf('index_missing_shard', 'sharded');
    const text = await readFile(join(folder, index), 'utf8');
    await writeFile(
      join(folder, index),
      text.replace('model-00003-of-00003', 'model-00002-of-00002'),
    );
    const whole = await openCheckpoint(control);
    const { tensors, shards } = await openCheckpoint(folder);
    expect(shards).toEqual([first, second]);
    expect([...tensors.keys()].toSorted()).toEqual([...whole.tensors.keys()].toSorted());
    expect(tensors.get('lm_head.weight')?.file).toBe(join(folder, second));
  });

  it('follows the links of a hub cache to the real files', async () => {
    const folder = join(scratch, 'snapshots');
    await mkdir(folder);
    await cp(control, join(scratch, 'blobs'), { recursive: true });
    for (const name of ['config.json', 'model.safetensors']) {
      await symlink(join('..', 'blobs', name), join(folder, name));
    }
    const { tensors } = await openCheckpoint(folder);
    expect(tensors.get('lm_head.weight')?.file).toBe(join(scratch, 'blobs', 'model.safetensors'));
  });

  it('leaves it to others to judge configs and tensor names', async () => {
    for (const name of [
      'config_unknown_model_type',
      'tensor_missing',
      'dtype_integer',
      'weight_nan',
    ]) {
      await expect(openCheckpoint(`${bad}/${name}`)).resolves.toHaveProperty('config');
    }
  });

  it.each([
    [
      'config_absent',
      '',
      'CHECKPOINT_MISSING',
      'config.json is absent',
      'Name the folder that holds config.json, or download the file that is missing.',
    ],
    [
      'config_not_json',
      '/config.json',
      'CONFIG_INVALID',
      'not valid JSON at its end: the text ends inside a string',
      downloadAgain,
    ],
    [
      'weights_absent',
      '',
      'CHECKPOINT_MISSING',
      `neither model.safetensors nor ${index} is there`,
      'Download the weights into the folder.',
    ],
    [
      'pickled_bin',
      '',
      'CHECKPOINT_MISSING',
      'the weights are a pickle ("pytorch_model.bin"), which can run code when it is opened, and no model.safetensors is there',
      'Save the model as safetensors, in transformers: model.save_pretrained(folder).',
    ],
    [
      'index_missing_shard',
      `/${index}`,
      'CHECKPOINT_MISSING',
      'the index names "model-00003-of-00003.safetensors", which is not there',
      'Download model-00003-of-00003.safetensors into the folder.',
    ],
    [
      'index_tensor_absent',
      `/${index}`,
      'CHECKPOINT_CORRUPT',
      `the index places tensor "lm_head.weight" in "${second}", which does not hold it`,
      downloadAgain,
    ],
    [
      'index_tensor_elsewhere',
      `/${index}`,
      'CHECKPOINT_CORRUPT',
      `the index places tensor "model.layers.0.self_attn.q_proj.weight" in "${second}", but "${first}" holds it`,
      downloadAgain,
    ],
    [
      'index_unlisted_tensor',
      `/${index}`,
      'CHECKPOINT_CORRUPT',
      `"${second}" holds tensor "model.norm.weight", which the index does not list`,
      downloadAgain,
    ],
    [
      'index_path_traversal',
      `/${index}`,
      'CHECKPOINT_CORRUPT',
      'the index places "model.norm.weight" in "../../etc/passwd", which is not the name of a .safetensors file in this folder',
      'Do not trust this checkpoint; download it from its authors.',
    ],
    [
      'index_path_absolute',
      `/${index}`,
      'CHECKPOINT_CORRUPT',
      'the index places "model.norm.weight" in "/nonexistent/model.safetensors", which is not the name of a .safetensors file in this folder',
      'Do not trust this checkpoint; download it from its authors.',
    ],
    [
      'index_not_json',
      `/${index}`,
      'CHECKPOINT_CORRUPT',
      'not valid JSON at its end: the text ends inside a string',
      downloadAgain,
    ],
    [
      'nowhere',
      '',
      'CHECKPOINT_MISSING',
      'there is no such checkpoint folder',
      'Name the folder that holds config.json and the .safetensors files.',
    ],
    [
      'control/config.json',
      '',
      'CHECKPOINT_MISSING',
      'a checkpoint is a folder, and this is a file',
      'Name the folder that holds config.json and the .safetensors files.',
    ],
  ])('refuses %s', async (name, file, code, what, fix) => {
    const where = `${bad}/${name}${file}`;
    await expect(openCheckpoint(`${bad}/${name}`)).rejects.toMatchObject({
      name: 'UserError',
      code,
      what,
      where,
      fix,
    });
  });

  it('refuses a tensor that lies in two shards', async () => {
    const folder = await copyOf('index_unlisted_tensor', 'twice');
    const text = await readFile(join(folder, index), 'utf8');
    const listed = text.replace(
      '"weight_map": {',
      `"weight_map": {"model.norm.weight": "${first}",`,
    );
    await writeFile(join(folder, index), listed);
    const data = Float32Array.of(1);
    const tensor = { name: 'model.norm.weight', dtype: 'F32', shape: [1], data } as const;
    const { weight_map: map } = objectOf(listed);
    const others = Object.entries(objectOf(JSON.stringify(map)))
      .filter(([name, shard]) => shard === first && name !== tensor.name)
      .map(([name]) => name);
    const filler = others.map((name) => ({ name, dtype: tensor.dtype, shape: [1], data }));
    await writeFile(join(folder, first), encodeSafetensors([tensor, ...filler]));
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      what: `"${second}" holds tensor "model.norm.weight", and so does "${first}", where the index has it`,
    });
  });

  it('refuses two sets of weights in one folder', async () => {
    const folder = await copyOf('index_missing_shard', 'two-sets');
    await cp(`${control}/model.safetensors`, join(folder, 'model.safetensors'));
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      what: `two sets of weights: model.safetensors, and the shards that ${index} names`,
      where: folder,
    });
  });

  it.each([
    ['..', '{"weight_map": {"a": ".."}}', 'the index places "a" in "..", which'],
    [
      'a backslash',
      '{"weight_map": {"a": "..\\\\x.safetensors"}}',
      'the index places "a" in "..\\\\x.safetensors", which',
    ],
    ['a number', '{"weight_map": {"a": 1}}', 'the index places "a" in 1, which'],
    ['no map', '{"weights": {}}', 'the index has no object "weight_map"'],
    ['an empty map', '{"weight_map": {}}', 'the index lists no tensor'],
    ['an array', '[]', 'this is JSON, but not an object'],
    [
      'a key twice',
      '{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}',
      'the key "a" stands twice',
    ],
  ])('refuses an index with %s', async (title, text, what) => {
    const folder = join(scratch, `index ${title}`);
    await mkdir(folder);
    await writeFile(join(folder, 'config.json'), '{}');
    await writeFile(join(folder, index), text);
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      what: expect.stringContaining(what),
      where: join(folder, index),
    });
  });

  it('points an adapter folder to its base, and names weights under another name', async () => {
    const adapter = join(scratch, 'adapter');
    await mkdir(adapter);
    await writeFile(join(adapter, 'adapter_config.json'), '{}');
    await expect(openCheckpoint(adapter)).rejects.toMatchObject({
      code: 'CHECKPOINT_MISSING',
      fix: 'This folder holds an adapter: name the base model, and the adapter with --adapter.',
    });
    const renamed = await copyOf('control', 'renamed');
    await rename(join(renamed, 'model.safetensors'), join(renamed, 'consolidated.safetensors'));
    await expect(openCheckpoint(renamed)).rejects.toMatchObject({
      what: `neither model.safetensors nor ${index} is there; "consolidated.safetensors" has no index that names it`,
    });
  });

  it('refuses a config that is no object, or no UTF-8', async () => {
    const folder = await copyOf('control', 'odd-config');
    const path = join(folder, 'config.json');
    await writeFile(path, '[]');
    const refusal = { code: 'CONFIG_INVALID', where: path };
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      ...refusal,
      what: 'this is JSON, but not an object',
    });
    await writeFile(path, Uint8Array.of(0x7b, 0xff, 0x7d));
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      ...refusal,
      what: 'the file is not UTF-8',
    });
  });
});

describe('hashCheckpoint', () => {
  it('is SHA-256 of the sorted config, a line feed and the bytes', async () => {
    const config = objectOf(await readFile(`${control}/config.json`, 'utf8'));
    const sorted = Object.fromEntries(
      Object.entries(config).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
    const expected = createHash('sha256')
      .update(`${JSON.stringify(sorted)}\n`)
      .update(await readFile(`${control}/model.safetensors`))
      .digest('hex');
    expect(await hashCheckpoint(await openCheckpoint(control))).toBe(expected);
  });

  it('does not mind the order or spacing of the config, and does mind one bit of a weight', async () => {
    const original = await hashCheckpoint(await openCheckpoint(control));
    const folder = await copyOf('control', 'hashed');
    const config = objectOf(await readFile(join(folder, 'config.json'), 'utf8'));
    const turned = Object.fromEntries(Object.entries(config).toReversed());
    await writeFile(join(folder, 'config.json'), JSON.stringify(turned));
    expect(await hashCheckpoint(await openCheckpoint(folder))).toBe(original);
    const bytes = await readFile(join(folder, 'model.safetensors'));
    bytes[bytes.length - 1] ^= 1;
    await writeFile(join(folder, 'model.safetensors'), bytes);
    expect(await hashCheckpoint(await openCheckpoint(folder))).not.toBe(original);
  });
});
