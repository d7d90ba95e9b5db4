/**
 * Do we compute what transformers computes in float64? Asked twice: by `compareWithGolden`, which
 * users run, and by the few lines below, which share no reader and no comparison with it.
 */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseSite } from '../../src/graph/sites.ts';
import type { Fetch } from '../../src/runtime/session.ts';
import { readGolden, readNoiseFloor } from '../../src/record/golden.ts';
import { compareWithGolden, type Comparison } from '../../src/record/parity.ts';
import type { Model } from '../../models/model.ts';
import { parametersOf } from '../../models/model.ts';
import {
  floatsOf,
  forward,
  goldenFacts,
  goldenFolder,
  integersOf,
  modelIn,
  organismFolder,
  readJson,
  readTensors,
  tinyCases,
  withConfig,
  writeTensors,
  type Floor,
  type Tensor,
} from '../support/golden.ts';
import { scratchPath } from '../support/scratch.ts';

/** See tests/golden/how.md. */
const allowedFloors = 4;

const sitePattern = /^(?:resid|attn|mlp)_\w+\.\d+$|^pattern\.\d+$|^final_norm$|^logits$/;

/** Errors beyond what is allowed, in words; none if all is well. */
function beyond(name: string, ours: Float32Array, reference: Float32Array, floor: Floor): string[] {
  if (ours.length !== reference.length) return [`${name}: ${ours.length} ≠ ${reference.length}`];
  let largest = 0;
  let squares = 0;
  let errors = 0;
  let worst = 0;
  for (let i = 0; i < ours.length; i++) {
    const error = ours[i] - reference[i];
    if (Number.isNaN(error)) return [`${name}: NaN at ${i}`];
    worst = Math.max(worst, Math.abs(error));
    largest = Math.max(largest, Math.abs(reference[i]));
    errors += error * error;
    squares += reference[i] * reference[i];
  }
  const isLookup = name === 'resid_pre.0';
  const mostAbs = isLookup ? 2 ** -22 * largest : allowedFloors * floor.max_abs;
  const mostRms = isLookup ? 2 ** -22 : allowedFloors * floor.rms_rel;
  return [
    ...(worst <= mostAbs ? [] : [`${name}: max ${worst}, allowed ${mostAbs}`]),
    ...(Math.sqrt(errors) <= mostRms * Math.sqrt(squares) ? [] : [`${name}: rms`]),
  ];
}

/** Spreads our rows, one for each token of the padded batch, over the shape that references have. */
function asReference(name: string, { data }: Fetch, tensor: Tensor): Float32Array {
  const placed = new Float32Array(tensor.shape.reduce((size, axis) => size * axis, 1));
  const [batch, , last] = tensor.shape;
  if (!name.startsWith('pattern')) {
    placed.set(data);
    return placed;
  }
  const heads = tensor.shape[1];
  let from = 0;
  for (let b = 0; b < batch; b++) {
    for (let query = 0; query < last; query++) {
      for (let head = 0; head < heads; head++) {
        for (let key = 0; key < last; key++) {
          placed[((b * heads + head) * last + query) * last + key] = data[from++];
        }
      }
    }
  }
  return placed;
}

/** Zeroes what stands at padded tokens (queries and keys in patterns), as the references do. */
function cleared(name: string, values: Float32Array, shape: readonly number[], mask: number[]) {
  const length = mask.length / shape[0];
  const isReal = (b: number, t: number): boolean => mask[b * length + t] === 1;
  return values.map((value, i) => {
    const last = shape.at(-1) ?? 1;
    if (name.startsWith('pattern')) {
      const [key, query] = [i % length, Math.floor(i / length) % length];
      const b = Math.floor(i / (length * length * shape[1]));
      return isReal(b, query) && isReal(b, key) ? value : 0;
    }
    const token = Math.floor(i / last);
    return isReal(Math.floor(token / length), token % length) ? value : 0;
  });
}

async function independentFaults(model: Model, name: string): Promise<string[]> {
  const tensors = readTensors(join(goldenFolder(name), 'golden.safetensors'));
  const { noise_floor: floors } = goldenFacts(name);
  const mask = integersOf(tensors.get('attention_mask')!);
  const ids = integersOf(tensors.get('input_ids')!);
  const [batch, length] = tensors.get('input_ids')!.shape;
  const prompts = Array.from({ length: batch }, (_, b) => ids.slice(b * length, (b + 1) * length));
  const keys = [...tensors.keys()].filter((key) => sitePattern.test(key));
  const layers = model.settings.layers;
  // Streams, branches and patterns of all blocks must be there, or nothing below says anything.
  expect(keys.length).toBeGreaterThanOrEqual(4 * layers + 4);
  const fetched = await forward(model, { prompts, sites: keys.map(parseSite) });
  return keys.flatMap((key) => {
    const tensor = tensors.get(key)!;
    const ours = cleared(key, asReference(key, fetched[key], tensor), tensor.shape, mask);
    return beyond(key, ours, floatsOf(tensor), floors[key]);
  });
}

async function compared(model: Model, golden: string, floors: string): Promise<Comparison[]> {
  const { comparisons } = await compareWithGolden(model, await readGolden(golden), {
    floors: await readNoiseFloor(floors),
    threads: 1,
  });
  return [...comparisons];
}

function failures(comparisons: readonly Comparison[]): string[] {
  return comparisons.filter(({ ofAllowed }) => !(ofAllowed <= 1)).map(({ name }) => name);
}

/** Alters the last element, which belongs to a token that is no padding. */
function alteringOne(change: (value: number) => number): (tensor: Tensor) => Tensor {
  return (tensor) => {
    const bytes = Buffer.from(tensor.bytes);
    const last = bytes.length - 4;
    bytes.writeFloatLE(change(bytes.readFloatLE(last)), last);
    return { ...tensor, bytes };
  };
}

function nanFirst(tensor: Tensor): Tensor {
  const bytes = Buffer.from(tensor.bytes);
  bytes.writeFloatLE(NaN, 0);
  return { ...tensor, bytes };
}

describe.each([...tinyCases, 'stories260K'])('%s', (name) => {
  const folder = goldenFolder(name);
  const spellings = name === 'stories260K' ? ['config.json'] : ['config.json', 'config.v4.json'];

  it.each(spellings)('agrees with the reference in every tensor, read through %s', async (file) => {
    const config = readJson(join(folder, file));
    const model = await modelIn(file === 'config.json' ? folder : withConfig(folder, config));
    const files = [join(folder, 'golden.safetensors'), join(folder, 'golden.json')] as const;
    const comparisons = await compared(model, ...files);
    expect(failures(comparisons)).toEqual([]);
    expect(comparisons.map((one) => one.name).sort()).toEqual(
      [...readTensors(files[0]).keys()]
        .filter((key) => sitePattern.test(key) || key === 'loss')
        .sort(),
    );
    expect(await independentFaults(model, name)).toEqual([]);
  });

  it('has as many parameters as the reference counted', async () => {
    const { n_params: expected } = goldenFacts(name);
    const { architecture, settings } = await modelIn(folder);
    const sizes = parametersOf(architecture, settings).map(({ shape }) =>
      shape.reduce((size, axis) => size * axis, 1),
    );
    const sum = sizes.reduce((total, size) => total + size, 0);
    // stories260K's count is llama2.c's own: 260 032, tied.
    expect(sum).toBe(name === 'stories260K' ? 260_032 : expected);
  });
});

describe.each(['base', 'stage1', 'standard', 'planb'])('organism %s', (name) => {
  it('agrees with the reference at the last prompt token', async () => {
    const base = join(goldenFolder('organism'), `organism-${name}`);
    const model = await modelIn(organismFolder(name));
    const comparisons = await compared(model, `${base}.safetensors`, `${base}.json`);
    expect(failures(comparisons)).toEqual([]);
    // Stream before and after 4 blocks, final norm, and five summaries of the logits.
    expect(comparisons.map((one) => one.name).sort()).toEqual(
      [
        'entropy',
        'last.final_norm',
        'last.resid_post.0',
        'last.resid_post.1',
        'last.resid_post.2',
        'last.resid_post.3',
        'last.resid_pre.0',
        'logits_mean',
        'logits_std',
        'top5_ids',
        'top5_logits',
      ].sort(),
    );
  });

  it('is told from the other checkpoints', async () => {
    const other = name === 'base' ? 'stage1' : 'base';
    const base = join(goldenFolder('organism'), `organism-${other}`);
    const model = await modelIn(organismFolder(name));
    expect(failures(await compared(model, `${base}.safetensors`, `${base}.json`))).toContain(
      'last.resid_post.3',
    );
  });
});

describe('compareWithGolden', () => {
  const folder = goldenFolder('llama_mha');
  const original = readTensors(join(folder, 'golden.safetensors'));
  const floors = goldenFacts('llama_mha').noise_floor;
  let model: Model;

  beforeAll(async () => {
    model = await modelIn(folder);
  });

  /** Which tensors fail once `change` has been made to one tensor of the reference. */
  async function failuresAfter(key: string, change: (tensor: Tensor) => Tensor): Promise<string[]> {
    const path = scratchPath('golden.safetensors');
    writeTensors(path, new Map(original).set(key, change(original.get(key)!)));
    return failures(await compared(model, path, join(folder, 'golden.json')));
  }

  const keys = [...original.keys()].filter((key) => sitePattern.test(key) && key !== 'resid_pre.0');

  it('accepts the file as this test writes it', async () => {
    expect(await failuresAfter('logits', (tensor) => tensor)).toEqual([]);
  });

  it.each(keys)('fails when one element of %s is off by ten floors', async (key) => {
    const step = 10 * floors[key].max_abs;
    expect(
      await failuresAfter(
        key,
        alteringOne((value) => value + step),
      ),
    ).toEqual([key]);
  });

  it('fails when the first stream is off by 2⁻²⁰ of its largest element', async () => {
    const largest = floatsOf(original.get('resid_pre.0')!).reduce(
      (m, v) => Math.max(m, Math.abs(v)),
      0,
    );
    const changed = alteringOne((value) => value + 2 ** -20 * largest);
    expect(await failuresAfter('resid_pre.0', changed)).toEqual(['resid_pre.0']);
  });

  it('fails when the loss is off by 1e-5', async () => {
    expect(
      await failuresAfter(
        'loss',
        alteringOne((value) => value + 1e-5),
      ),
    ).toEqual(['loss']);
  });

  it.each(['resid_pre.0', 'resid_post.1', 'pattern.0', 'logits', 'loss'])(
    'fails when %s holds a NaN or an infinity',
    async (key) => {
      expect(
        await failuresAfter(
          key,
          alteringOne(() => NaN),
        ),
      ).toEqual([key]);
      expect(
        await failuresAfter(
          key,
          alteringOne(() => Infinity),
        ),
      ).toEqual([key]);
    },
  );

  it('fails when a NaN is followed by elements that agree exactly', async () => {
    // Streams before block 0 are looked up, so that all errors but the NaN's are 0.
    expect(await failuresAfter('resid_pre.0', nanFirst)).toEqual(['resid_pre.0']);
  });

  it('fails when a tensor is longer or shorter than ours', async () => {
    const [batch, length, width] = original.get('resid_post.0')!.shape;
    const resized = (to: number) => (tensor: Tensor) => ({
      ...tensor,
      shape: [batch, length, to],
      bytes: Buffer.alloc(batch * length * to * 4),
    });
    expect(await failuresAfter('resid_post.0', resized(width + 1))).toEqual(['resid_post.0']);
    expect(await failuresAfter('resid_post.0', resized(width - 1))).toEqual(['resid_post.0']);
  });

  it('fails when our own activations are NaN', async () => {
    const weights = new Map(model.weights);
    const path = scratchPath('model.safetensors');
    const stored = readTensors(join(folder, 'model.safetensors'));
    const norm = stored.get('model.norm.weight')!;
    const bytes = Buffer.from(norm.bytes);
    bytes.writeFloatLE(NaN, 0);
    writeTensors(path, new Map([['model.norm.weight', { ...norm, bytes }]]));
    const offset = statSync(path).size - bytes.length; // the only tensor ends the file
    weights.set('norm.weight', { ...weights.get('norm.weight')!, file: path, offset });
    const golden = join(folder, 'golden.safetensors');
    const comparisons = await compared({ ...model, weights }, golden, join(folder, 'golden.json'));
    expect(failures(comparisons).sort()).toEqual(['final_norm', 'logits', 'loss']);
  });

  it('refuses a reference of another model in words', async () => {
    const refused = async (name: string, reference: string): Promise<void> => {
      const golden = join(goldenFolder(reference), 'golden.safetensors');
      await compared(await modelIn(goldenFolder(name)), golden, join(folder, 'golden.json'));
    };
    await expect(refused('gpt2_hub_names', 'gpt2')).rejects.toThrow(
      /^the reference is of another model: it holds \w+\.2, which this model of 2 blocks lacks — /,
    );
    await expect(refused('llama_mha', 'gpt2')).rejects.toThrow(
      /^the reference is of another model: it holds token \d+; the vocabulary has 131 — /,
    );
  });

  it('says which tensors it did not compare', async () => {
    const golden = await readGolden(join(folder, 'golden.safetensors'));
    const { notCompared } = await compareWithGolden(model, golden, { threads: 1 });
    expect(notCompared.length).toBeGreaterThan(0);
    expect(notCompared.filter((key) => !key.startsWith('grad.'))).toEqual([]);
  });
});
