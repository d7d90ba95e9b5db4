/**
 * Does a model that is run block by block give what it gives as a whole, and what transformers gave?
 */

import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { siteKey } from '../../src/graph/sites.ts';
import { extract } from '../../src/record/extract.ts';
import { peakBytes } from '../../src/record/foresight.ts';
import { planExtraction, type CheckpointRequest } from '../../src/record/plan.ts';
import { openRun } from '../../src/record/run.ts';
import { sitesOf, wholeCases } from '../support/families.ts';
import { floatsOf, goldenFacts, goldenFolder, modelIn, readTensors } from '../support/golden.ts';
import { scratchPath } from '../support/scratch.ts';
import { wideModel } from '../support/wideModel.ts';

/** See tests/golden/how.md. */
const allowedFloors = 4;

interface Parts {
  readonly checkpoints: readonly CheckpointRequest[];
  readonly prompts: readonly (readonly number[])[];
  readonly sites: string;
  readonly plan: 'whole' | 'streamed';
  readonly batchTokens?: number;
  readonly threads?: number;
  readonly prefixSharing?: 'always' | 'never';
}

async function run({ prompts, ...parts }: Parts): Promise<string> {
  const path = scratchPath('prompts.jsonl');
  const lines = prompts.map((ids, i) => `${JSON.stringify({ id: `p${i}`, ids })}\n`);
  writeFileSync(path, lines.join(''));
  const out = scratchPath('run');
  const plan = await planExtraction({
    positions: 'all',
    batchTokens: 512,
    threads: 1,
    store: 'float32',
    ignoredConfigKeys: [],
    ...parts,
    prompts: path,
  });
  const { manifest } = await extract(plan, { out });
  expect(manifest.plan.kind).toBe(parts.plan);
  expect(existsSync(join(out, '.partial'))).toBe(false);
  return out;
}

function floats(out: string, name: string, site: string): Float32Array {
  return floatsOf(readTensors(join(out, 'activations', name, `${site}.safetensors`)).get('all')!);
}

/** The largest difference; NaN if there is one anywhere. */
function largest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => {
    const error = Math.abs(value - b[i]);
    return Number.isNaN(error) || error > worst ? error : worst;
  }, 0);
}

const adapterCases = readdirSync(goldenFolder('')).filter((name) =>
  existsSync(join(goldenFolder(name), 'adapter')),
);

/** Every reference and every adapter, with points on the way to one. */
const cases: readonly (readonly [string, readonly CheckpointRequest[]])[] = [
  ...wholeCases.map((name) => [name, [{ name: 'm', folder: goldenFolder(name) }]] as const),
  ...adapterCases.map((name) => {
    const folder = goldenFolder(name);
    const adapters = [{ path: join(folder, 'adapter') }];
    return [name, [{ name: 'm', folder, adapters }]] as const;
  }),
  [
    'lora_plain',
    [
      {
        name: 'm',
        folder: goldenFolder('lora_plain'),
        adapters: [{ path: join(goldenFolder('lora_plain'), 'adapter'), scale: 0.5 }],
        towards: { folder: goldenFolder('lora_dora'), at: 0.25 },
      },
    ],
  ],
];

describe('a streamed run', () => {
  it.each(cases)('of %s is within one noise floor of the whole', async (name, checkpoints) => {
    const model = await modelIn(goldenFolder(name));
    const { prompts, noise_floor: floors } = goldenFacts(name);
    const sites = sitesOf(model).map(siteKey);
    const parts = { checkpoints, prompts, sites: sites.join(',') };
    const whole = await run({ ...parts, plan: 'whole' });
    const streamed = await run({ ...parts, plan: 'streamed' });
    // References of some adapters hold streams and logits only; a block's own stream stands for the rest.
    const floorOf = (site: string): number =>
      (floors[site] ?? floors[site.replace(/^\w+\./, 'resid_post.')] ?? floors['logits']).max_abs;
    const shares = sites.map((site) => {
      const error = largest(floats(streamed, 'm', site), floats(whole, 'm', site));
      return [site, error === 0 ? 0 : error / floorOf(site)] as const;
    });
    expect(shares.filter(([, share]) => !(share <= 1))).toEqual([]);
  });

  it.each(wholeCases)('of %s is what transformers computes', async (name) => {
    const golden = readTensors(join(goldenFolder(name), 'golden.safetensors'));
    const { prompts, noise_floor: floors } = goldenFacts(name);
    const model = await modelIn(goldenFolder(name));
    const sites = sitesOf(model)
      .filter(({ kind }) => kind !== 'pattern')
      .map(siteKey)
      .filter((site) => golden.has(site) && site !== 'resid_pre.0');
    expect(sites.length).toBeGreaterThan(0);
    const checkpoints = [{ name: 'm', folder: goldenFolder(name) }];
    const out = await run({ checkpoints, prompts, sites: sites.join(','), plan: 'streamed' });
    for (const site of sites) {
      const { shape } = golden.get(site)!;
      const [, length, width] = shape;
      const padded = floatsOf(golden.get(site)!);
      const wanted = prompts.flatMap((ids, b) =>
        Array.from(padded.subarray(b * length * width, (b * length + ids.length) * width)),
      );
      const error = largest(floats(out, 'm', site), Float32Array.from(wanted));
      expect(error, site).toBeLessThanOrEqual(allowedFloors * floors[site].max_abs);
    }
  });

  it('runs several checkpoints of different depths, and twins', async () => {
    const { prompts } = goldenFacts('lora_plain');
    const folder = goldenFolder('lora_plain');
    const checkpoints = [
      { name: 'base', folder },
      { name: 'adapted', folder, adapters: [{ path: join(folder, 'adapter') }] },
      { name: 'tale', folder: goldenFolder('stories260K') },
      { name: 'twin', folder, twinSeed: 3 },
    ];
    const within = prompts.map((ids) => ids.map((id) => id % 64));
    const parts = { checkpoints, prompts: within, sites: 'resid_post,logits' };
    const whole = await run({ ...parts, plan: 'whole' });
    const streamed = await run({ ...parts, plan: 'streamed', batchTokens: 20 });
    for (const { name } of checkpoints) {
      for (const site of ['resid_post.0', 'resid_post.1', 'logits']) {
        // All values are below 32, of which 2⁻¹⁸ are some rounding errors of float32.
        expect(largest(floats(streamed, name, site), floats(whole, name, site))).toBeLessThan(
          2 ** -13,
        );
      }
    }
    expect(
      largest(floats(streamed, 'twin', 'logits'), floats(streamed, 'base', 'logits')),
    ).not.toBe(0);
  });
});

/** Bits of each prompt's rows, by its ids. */
async function bitsByPrompt(out: string, sites: readonly string[]): Promise<Map<string, string>> {
  const rows = (await openRun(out)).rowsAt('all');
  const found = new Map<string, string>();
  for (const site of sites) {
    const path = join(out, 'activations', 'm', `${site}.safetensors`);
    const { bytes, shape } = readTensors(path).get('all')!;
    const size = bytes.length / shape[0];
    for (const { id, row, token_index: token } of rows) {
      const bits = bytes.subarray(row * size, (row + 1) * size).toString('base64');
      found.set(`${site} ${id} ${token}`, bits);
    }
  }
  return found;
}

describe('a prompt in a streamed run', () => {
  const random = new Random('alone');
  const ids = (length: number): number[] => Array.from({ length }, () => random.below(60));
  // One token by itself, and fewer rows than experts, are where sums could change their order.
  const prompts = [ids(1), ids(2), ids(7), ids(13), ids(40)];

  it.each([
    ['a wide model', () => wideModel()],
    ['a mixture of experts', () => goldenFolder('mixtral')],
    ['another', () => goldenFolder('qwen3_moe')],
  ])('of %s has the same bits alone, in a batch, and with other threads', async (_, folderOf) => {
    const checkpoints = [{ name: 'm', folder: folderOf() }];
    const sites = ['resid_post.0', 'resid_post.1', 'final_norm', 'logits'];
    const parts = { checkpoints, sites: sites.join(','), plan: 'streamed' } as const;
    const together = await bitsByPrompt(await run({ ...parts, prompts }), sites);
    for (const options of [{ batchTokens: 1 }, { threads: 2 }, { threads: 4, batchTokens: 16 }]) {
      const other = await bitsByPrompt(await run({ ...parts, ...options, prompts }), sites);
      expect([...other].filter(([key, bits]) => together.get(key) !== bits)).toEqual([]);
    }
    const alone = await bitsByPrompt(await run({ ...parts, prompts: [prompts[0]] }), sites);
    expect([...alone].filter(([key, bits]) => together.get(key) !== bits)).toEqual([]);
  });

  it('has the same bits whether weights in half precision are widened once or in each pass', async () => {
    const path = scratchPath('prompts.jsonl');
    writeFileSync(
      path,
      prompts.map((p, i) => `${JSON.stringify({ id: `p${i}`, ids: p })}\n`).join(''),
    );
    const plan = await planExtraction({
      checkpoints: [{ name: 'm', folder: wideModel('BF16') }],
      prompts: path,
      sites: 'resid_post,logits',
      positions: 'all',
      batchTokens: 16,
      threads: 1,
      store: 'float32',
      ignoredConfigKeys: [],
      plan: 'streamed',
    });
    const needed = peakBytes({ ...plan, kind: 'streamed', widensOnce: true });
    const outs = [];
    for (const memoryBudgetBytes of [needed, needed - 1]) {
      const out = scratchPath('run');
      await extract(plan, { out, memoryBudgetBytes });
      outs.push(out);
    }
    for (const site of ['resid_post.0', 'resid_post.1', 'logits']) {
      const [once, each] = outs.map((out) => floats(out, 'm', site));
      expect(once.some((value) => value !== 0)).toBe(true);
      expect(once).toEqual(each);
    }
  });

  it('is within rounding where its beginning is read once for others', async () => {
    const header = ids(24);
    const many = Array.from({ length: 9 }, (_, i) => [...header, ...ids(1 + i)]);
    const checkpoints = [{ name: 'm', folder: wideModel() }];
    const parts = { checkpoints, sites: 'resid_post,logits', prompts: many, batchTokens: 64 };
    const shared = await run({ ...parts, plan: 'streamed', prefixSharing: 'always' });
    const plain = await run({ ...parts, plan: 'streamed', prefixSharing: 'never' });
    const whole = await run({ ...parts, plan: 'whole', prefixSharing: 'always' });
    for (const site of ['resid_post.1', 'logits']) {
      const [a, b, c] = [shared, plain, whole].map((out) => floats(out, 'm', site));
      const size = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(largest(a, b)).toBeLessThan(2 ** -19 * size);
      expect(largest(a, c)).toBeLessThan(2 ** -19 * size);
    }
  });

  it('of a wide model is within rounding of the whole, and not a copy of it', async () => {
    const checkpoints = [{ name: 'm', folder: wideModel() }];
    const parts = { checkpoints, sites: 'resid_post,logits', prompts };
    const [whole, streamed] = [
      await run({ ...parts, plan: 'whole' }),
      await run({ ...parts, plan: 'streamed' }),
    ];
    const [a, b] = [whole, streamed].map((out) => floats(out, 'm', 'resid_post.1'));
    const size = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest(a, b)).toBeGreaterThan(0);
    // Sums of some hundred float32 products, twice four of them in a row.
    expect(largest(a, b)).toBeLessThan(2 ** -19 * size);
  });
});
