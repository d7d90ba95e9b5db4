import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Checkpoint, openCheckpoint } from '../../src/files/checkpoint.ts';
import { encodeSafetensors, type StoredDtype } from '../../src/files/safetensors.ts';
import { scanWeights } from '../../src/files/scan.ts';

const bad = fileURLToPath(new URL('../golden/bad', import.meta.url));
let scratch: string;
let made = 0;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'scan-'));
});
afterAll(async () => {
  await rm(scratch, { recursive: true });
});

/** A checkpoint of one tensor "w". */
async function checkpointOf(
  dtype: StoredDtype,
  shape: readonly number[],
  data: ArrayBufferView,
): Promise<Checkpoint> {
  const folder = join(scratch, String(made++));
  await mkdir(folder);
  await writeFile(join(folder, 'config.json'), '{}');
  await writeFile(
    join(folder, 'model.safetensors'),
    encodeSafetensors([{ name: 'w', dtype, shape, data }]),
  );
  return await openCheckpoint(folder);
}

describe('scanWeights', () => {
  it.each([
    ['weight_nan', 'tensor "model.layers.0.self_attn.q_proj.weight" is not finite at [3, 5]'],
    ['weight_inf', 'tensor "lm_head.weight" is not finite at [10, 7]'],
  ])('refuses %s', async (name, what) => {
    const checkpoint = await openCheckpoint(`${bad}/${name}`);
    await expect(scanWeights(checkpoint, checkpoint.tensors.keys())).rejects.toMatchObject({
      code: 'NOT_FINITE',
      what,
      where: `${bad}/${name}/model.safetensors`,
      fix: 'Use a checkpoint from before the training diverged, or download this one again.',
    });
  });

  it('passes sound weights, telling of each, and reads only those named', async () => {
    const control = await openCheckpoint(`${bad}/control`);
    const told: string[] = [];
    await scanWeights(control, control.tensors.keys(), (tensor) => told.push(tensor.name));
    expect(told).toEqual([...control.tensors.keys()]);
    const spoiled = await openCheckpoint(`${bad}/weight_nan`);
    await expect(scanWeights(spoiled, ['lm_head.weight'])).resolves.toBeUndefined();
  });

  it.each([
    ['F64', 'NaN', Float64Array.of(0, NaN), 1],
    ['F64', '-Infinity', Float64Array.of(0, -Infinity), 1],
    ['F32', '-Infinity', Float32Array.of(-Infinity, 0), 0],
    ['BF16', 'NaN', Uint16Array.of(0x7f7f, 0xff81), 1],
    ['F16', 'Infinity', Uint16Array.of(0xfbff, 0x7c00), 1],
  ] as const)('finds %s %s', async (dtype, _value, data, at) => {
    const checkpoint = await checkpointOf(dtype, [2], data);
    await expect(scanWeights(checkpoint, ['w'])).rejects.toThrow(
      `tensor "w" is not finite at [${at}]`,
    );
  });

  it('does not mistake large or whole numbers for infinite ones', async () => {
    const largest = Float32Array.of(3.4028234663852886e38, -3.4028234663852886e38, 1e-45, -0);
    await expect(
      scanWeights(await checkpointOf('F32', [4], largest), ['w']),
    ).resolves.toBeUndefined();
    const allOnes = BigInt64Array.of(-1n, 0x7ff0000000000000n);
    await expect(
      scanWeights(await checkpointOf('I64', [2], allOnes), ['w']),
    ).resolves.toBeUndefined();
    await expect(
      scanWeights(await checkpointOf('F32', [], Float32Array.of(NaN)), ['w']),
    ).rejects.toThrow('at []');
  });

  it('counts on across chunks of 8 MB', async () => {
    const data = new Float32Array(3 * 1_000_000);
    data[2_222_222] = NaN; // row 2 222 222 / 3 = 740 740, column 2: beyond the first 2 097 152 elements
    const checkpoint = await checkpointOf('F32', [1_000_000, 3], data);
    await expect(scanWeights(checkpoint, ['w'])).rejects.toThrow('is not finite at [740740, 2]');
  });
});
