/**
 * Is what lies on disk what the model computes, whatever else was in the batch, however it is stored?
 */

import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseSite } from '../../src/graph/sites.ts';
import { extract, type ExtractOptions } from '../../src/record/extract.ts';
import { planFor } from '../../src/record/foresight.ts';
import { planExtraction, type ExtractRequest } from '../../src/record/plan.ts';
import { openRun } from '../../src/record/run.ts';
import { prefixSharing } from '../../src/record/sharing.ts';
import {
  floatsOf,
  forward,
  goldenFacts,
  goldenFolder,
  modelIn,
  organismFolder,
  readTensors,
  withKeys,
  writeTensors,
  type Tensor,
} from '../support/golden.ts';
import { scratchPath } from '../support/scratch.ts';

const tale = goldenFolder('stories260K');

function promptFile(prompts: readonly object[]): string {
  const path = scratchPath('prompts.jsonl');
  writeFileSync(path, prompts.map((prompt) => `${JSON.stringify(prompt)}\n`).join(''));
  return path;
}

function request(parts: Partial<ExtractRequest> & { readonly prompts: string }): ExtractRequest {
  return {
    checkpoints: [{ name: 'model', folder: tale }],
    sites: 'resid_post',
    positions: 'all',
    batchTokens: 1024,
    threads: 1,
    store: 'float32',
    ignoredConfigKeys: [],
    ...parts,
  };
}

/** Extracts into a new folder and gives its path. */
async function run(parts: Parameters<typeof request>[0], options: Partial<ExtractOptions> = {}) {
  const out = scratchPath('run');
  await extract(await planExtraction(request(parts)), { out, ...options });
  return out;
}

function stored(out: string, site: string, name = 'model'): Map<string, Tensor> {
  return readTensors(join(out, 'activations', name, `${site}.safetensors`));
}

/** Rows of a run's tensor by prompt id. */
async function rowsById(out: string, site: string, position = 'all'): Promise<Map<string, Buffer>> {
  const { bytes, shape } = stored(out, site).get(position)!;
  const rowBytes = bytes.length / shape[0];
  const found = new Map<string, Buffer>();
  for (const { id, row } of (await openRun(out)).rowsAt(position)) {
    const one = bytes.subarray(row * rowBytes, (row + 1) * rowBytes);
    found.set(id, Buffer.concat([found.get(id) ?? Buffer.alloc(0), one]));
  }
  return found;
}

function largestDifference(a: Buffer, b: Buffer): number {
  let worst = 0;
  for (let i = 0; i < a.length; i += 4) {
    worst = Math.max(worst, Math.abs(a.readFloatLE(i) - b.readFloatLE(i)));
  }
  return worst;
}

const facts = goldenFacts('stories260K');
const goldenPrompts = facts.prompts.map((ids, i) => ({ id: `g${i}`, ids }));

describe('extract', () => {
  it('stores for every token what the reference has', async () => {
    const sites = 'resid_pre,resid_mid,resid_post,attn_out,mlp_out,final_norm,logits';
    const out = await run({ prompts: promptFile(goldenPrompts), sites, batchTokens: 32 });
    const golden = readTensors(join(tale, 'golden.safetensors'));
    const { sites: keys } = (await openRun(out)).manifest;
    const compared = keys.filter((key) => golden.has(key));
    expect(compared).toEqual(expect.arrayContaining(['resid_post.4', 'final_norm', 'logits']));
    for (const key of compared) {
      const reference = floatsOf(golden.get(key)!);
      const ours = floatsOf(stored(out, key).get('all')!);
      expect(ours).toHaveLength(reference.length); // no prompt is padded: all have 32 tokens
      const worst = ours.reduce((most, v, i) => Math.max(most, Math.abs(v - reference[i])), 0);
      const allowed = key === 'resid_pre.0' ? 0 : 4 * facts.noise_floor[key].max_abs;
      expect(worst, key).toBeLessThanOrEqual(allowed);
    }
  });

  it('stores patterns as [row, head, key], padded with 0 to the longest prompt', async () => {
    const prompts = [
      { id: 'long', ids: [1, 403, 407, 261, 378, 432, 383] },
      { id: 'short', ids: [1, 487, 261] },
    ];
    const out = await run({
      prompts: promptFile(prompts),
      sites: 'pattern.0,pattern.4',
      positions: 'all,last',
      batchTokens: 8,
    });
    const { shape } = stored(out, 'pattern.4').get('all')!;
    expect(shape).toEqual([10, 8, 7]);
    const model = await modelIn(tale);
    const rows = await rowsById(out, 'pattern.4');
    for (const { id, ids } of prompts) {
      const sites = [parseSite('pattern.4')];
      const { data } = (await forward(model, { prompts: [ids], sites }))['pattern.4'];
      const floats = floatsOf({ dtype: 'F32', shape: [], bytes: rows.get(id)! });
      ids.forEach((_, query) => {
        for (let head = 0; head < 8; head++) {
          const row = floats.subarray((query * 8 + head) * 7, (query * 8 + head + 1) * 7);
          const alone = data.subarray((query * 8 + head) * ids.length).subarray(0, ids.length);
          expect(largest(row.subarray(0, ids.length), alone)).toBeLessThan(2 ** -21);
          expect(row.subarray(ids.length).every((p) => p === 0)).toBe(true);
          expect(Math.abs(row.reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(2 ** -20);
        }
      });
    }
    expect(stored(out, 'pattern.0').get('last')!.shape).toEqual([2, 8, 7]);
  });

  it('stores bfloat16 as float32 rounded to nearest, ties to even', async () => {
    const prompts = promptFile(goldenPrompts);
    const sites = 'resid_post.2,logits';
    const wide = await run({ prompts, sites });
    const narrow = await run({ prompts, sites, store: 'bfloat16' });
    for (const site of sites.split(',')) {
      const { dtype, bytes, shape } = stored(narrow, site).get('all')!;
      const floats = floatsOf(stored(wide, site).get('all')!);
      expect([dtype, shape]).toEqual(['BF16', stored(wide, site).get('all')!.shape]);
      floats.forEach((value, i) => {
        if (bytes.readUInt16LE(2 * i) !== roundedToBfloat16(value)) {
          expect.fail(`${site} element ${i}: ${value} became ${bytes.readUInt16LE(2 * i)}`);
        }
      });
    }
  });

  it('takes positions where they are, and leaves out by name the prompts that have none', async () => {
    const prompts = promptFile([
      { id: 'a', ids: [1, 403, 407, 261, 378] },
      { id: 'b', ids: [1, 487] },
      { id: 'c', ids: [1, 449, 471, 432] },
    ]);
    const out = await run({ prompts, positions: 'all,last,token:3', batchTokens: 5 });
    const { positions } = (await openRun(out)).manifest;
    expect(positions).toEqual([
      { name: 'all', rows: 11, left_out: [] },
      { name: 'last', rows: 3, left_out: [] },
      { name: 'token:3', rows: 2, left_out: ['b'] },
    ]);
    const [all, last, third] = await Promise.all(
      ['all', 'last', 'token:3'].map((position) => rowsById(out, 'resid_post.4', position)),
    );
    const width = 64 * 4;
    for (const [id, rows] of all) {
      expect(last.get(id)!.equals(rows.subarray(-width))).toBe(true);
      const wanted = rows.length >= 4 * width ? rows.subarray(3 * width, 4 * width) : undefined;
      expect(third.get(id)?.equals(wanted ?? Buffer.alloc(0))).toBe(wanted && true);
    }
  });

  it('runs a batch in which no prompt has the position', async () => {
    const prompts = promptFile([
      { id: 'long', ids: [1, 403, 407, 261] },
      { id: 'short', ids: [1, 487] },
    ]);
    const out = await run({
      prompts,
      positions: 'token:3',
      batchTokens: 4,
      sites: 'logits,pattern.0',
    });
    expect(stored(out, 'logits').get('token:3')!.shape).toEqual([1, 512]);
  });

  it('writes rows.jsonl so that each row names its prompt and token', async () => {
    const prompts = promptFile([
      { id: 'a', ids: [1, 403] },
      { id: 'b', ids: [1, 487, 261] },
    ]);
    const out = await run({ prompts, positions: 'last,all' });
    const lines = readFileSync(join(out, 'rows.jsonl'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line)).slice(0, 3)).toEqual([
      { position: 'last', row: 0, id: 'a', prompt: 0, token_index: 1, token_id: 403, token: null },
      { position: 'last', row: 1, id: 'b', prompt: 1, token_index: 2, token_id: 261, token: null },
      { position: 'all', row: 0, id: 'a', prompt: 0, token_index: 0, token_id: 1, token: null },
    ]);
    expect(readFileSync(join(out, 'prompts.jsonl'))).toEqual(readFileSync(prompts));
  });
});

function largest(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

/** By arithmetic on the value, not on its bits: the nearest multiple of the step of 8 significant bits. */
function roundedToBfloat16(value: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(value) || 2 ** -126)));
  const step = 2 ** (exponent - 7);
  const scaled = value / step;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE((floor + (up ? 1 : 0)) * step);
  return bytes.readUInt16LE(2);
}

describe.each([
  ['stories260K', tale, 512],
  ['the organism', organismFolder('planb'), 927],
  ['gpt2', goldenFolder('gpt2'), 149],
])('a prompt of %s', (_, folder, vocabulary) => {
  const lengths = [31, 17, 17, 9, 5, 3, 2, 1];
  const prompts = lengths.map((length, i) => ({
    id: `p${i}`,
    ids: Array.from({ length }, (__, t) => (7 + 31 * i + 13 * t * (t + 1)) % vocabulary),
  }));
  const checkpoints = [{ name: 'model', folder }];
  const sites = 'resid_post,final_norm,logits';

  /** Largest error that another order of the same sums may make here: about one noise floor of these sizes. */
  const floor = 1e-5;

  it('gives the same in another order of the set', async () => {
    const shared = { checkpoints, sites, batchTokens: 64 };
    const forwards = await run({ ...shared, prompts: promptFile(prompts) });
    const backwards = await run({ ...shared, prompts: promptFile(prompts.toReversed()) });
    for (const site of (await openRun(forwards)).manifest.sites) {
      const [a, b] = [await rowsById(forwards, site), await rowsById(backwards, site)];
      for (const { id } of prompts) {
        expect(a.get(id)!.equals(b.get(id)!), `${site} ${id}`).toBe(true);
      }
    }
  });

  it('gives alone what it gives in a padded batch', async () => {
    const together = await run({ checkpoints, sites, prompts: promptFile(prompts) });
    const alone = await run({ checkpoints, sites, prompts: promptFile(prompts), batchTokens: 1 });
    const report: string[] = []; // where the bits differ
    for (const site of (await openRun(together)).manifest.sites) {
      const [a, b] = [await rowsById(together, site), await rowsById(alone, site)];
      for (const { id, ids } of prompts) {
        const difference = largestDifference(a.get(id)!, b.get(id)!);
        expect(difference, `${site} ${id}`).toBeLessThanOrEqual(floor);
        if (!a.get(id)!.equals(b.get(id)!)) report.push(`${site} n=${ids.length} ${difference}`);
      }
    }
    // What onnxruntime's kernels for x86-64 do, down to products of one row; nothing promises it elsewhere.
    expect(report).toEqual(process.arch === 'x64' ? [] : expect.any(Array));
  });

  it('gives the same bits with one thread and with two', async () => {
    const one = await run({ checkpoints, sites, prompts: promptFile(prompts) });
    const two = await run({ checkpoints, sites, prompts: promptFile(prompts), threads: 2 });
    for (const site of (await openRun(one)).manifest.sites) {
      expect(stored(two, site).get('all')!.bytes.equals(stored(one, site).get('all')!.bytes)).toBe(
        true,
      );
    }
  });
});

describe('extract --add', () => {
  const prompts = promptFile(goldenPrompts);
  const two = [
    { name: 'a', folder: organismFolder('base') },
    { name: 'b', folder: organismFolder('stage1') },
  ];

  it('ends with the activations of a run that did all at once', async () => {
    const sites = 'resid_post.0,resid_post.3,logits';
    const once = await run({ prompts, checkpoints: two, sites });
    const out = await run({ prompts, checkpoints: [two[0]], sites: 'resid_post.0' });
    const more = request({ prompts, checkpoints: [two[0]], sites: 'resid_post.3,logits' });
    await extract(await planExtraction(more), { out, add: true });
    await extract(await planExtraction(request({ prompts, checkpoints: two, sites })), {
      out,
      add: true,
    });
    for (const name of ['a', 'b']) {
      expect(readdirSync(join(out, 'activations', name)).sort()).toEqual(
        readdirSync(join(once, 'activations', name)).sort(),
      );
      for (const site of sites.split(',')) {
        const path = join('activations', name, `${site}.safetensors`);
        expect(readFileSync(join(out, path)).equals(readFileSync(join(once, path)))).toBe(true);
      }
    }
    const [grown, whole] = [(await openRun(out)).manifest, (await openRun(once)).manifest];
    expect(grown).toEqual(whole);
  });

  it('keeps to the passes of the run, though a model of another shape would share beginnings otherwise', async () => {
    // 8 of 20 tokens in common: worth it where a cached token costs a third of one that is read, not at .6.
    const alike = promptFile(
      Array.from({ length: 200 }, (_, i) => ({
        id: `p${i}`,
        ids: Array.from({ length: 20 }, (_one, t) =>
          t < 8 ? 3 + ((i % 4) * 31 + t) : 3 + ((i * 37 + t * 11 + (i >> 3) * t) % 120),
        ),
      })),
    );
    const [first, second] = ['gpt2', 'llama_mha'].map((name) => ({
      name,
      folder: goldenFolder(name),
    }));
    const asked = (checkpoints: ExtractRequest['checkpoints']): ExtractRequest =>
      request({ prompts: alike, checkpoints, sites: 'resid_post.0', positions: 'last' });
    const allowed = { budgetBytes: 2 ** 30, hasDoctor: false };
    const out = await run(asked([first]));
    const both = await planExtraction(asked([first, second]));
    expect(prefixSharing(await planExtraction(asked([first])))).not.toEqual(prefixSharing(both));
    await extract(await planFor(both, out, allowed), { out, add: true });
    const { manifest } = await openRun(out);
    expect(manifest.checkpoints.map(({ name }) => name)).toEqual(['gpt2', 'llama_mha']);
    // The same numbers to rounding as in a run of its own.
    const own = await run(asked([second]));
    const values = (folder: string): Float32Array =>
      floatsOf(stored(folder, 'resid_post.0', 'llama_mha').get('last')!);
    const [shared, whole] = [values(out), values(own)];
    const floor = goldenFacts('llama_mha').noise_floor['resid_post.0'].max_abs;
    shared.forEach((value, i) => expect(Math.abs(value - whole[i])).toBeLessThanOrEqual(floor));
    // To read beginnings otherwise is another plan, of a checkpoint that the run names.
    const never = { ...asked([first]), prefixSharing: 'never' } as const;
    await expect(extract(await planExtraction(never), { out, add: true })).rejects.toThrow(
      'the folder holds a run of another plan',
    );
    // Alone it cannot know the passes, and says what to do.
    const third = { ...second, name: 'third' };
    const alone = await planFor(await planExtraction(asked([third])), out, allowed);
    await expect(extract(alone, { out, add: true })).rejects.toMatchObject({
      code: 'PLAN_CONFLICT',
      fix: "Name one of the run's own checkpoints in the command as well, so that its passes are taken.",
    });
  });

  it('is asked for by name, and refused to another plan', async () => {
    const out = await run({ prompts, checkpoints: [two[0]] });
    const attempt = async (parts: Partial<ExtractRequest>, add = false): Promise<unknown> => {
      const plan = await planExtraction(request({ prompts, checkpoints: [two[0]], ...parts }));
      return await extract(plan, { out, add });
    };
    expect(await attempt({})).toMatchObject({ ran: false, tokens: 0 });
    await expect(attempt({ sites: 'resid_post,logits' })).rejects.toThrow(
      `the finished run lacks a (1 site) — ${out}`,
    );
    await expect(attempt({ checkpoints: two })).rejects.toThrow(
      'the finished run lacks b (4 sites)',
    );
    const other = 'the folder holds a run of another plan';
    await expect(attempt({ batchTokens: 64 }, true)).rejects.toThrow(other);
    await expect(attempt({ positions: 'last' }, true)).rejects.toThrow(other);
    await expect(attempt({ store: 'bfloat16' }, true)).rejects.toThrow(other);
    await expect(attempt({ prompts: promptFile(goldenPrompts.slice(1)) }, true)).rejects.toThrow(
      other,
    );
    const swapped = [{ name: 'a', folder: organismFolder('planb') }];
    await expect(attempt({ checkpoints: swapped }, true)).rejects.toThrow(
      'the folder holds another checkpoint called "a"',
    );
  });
});

describe('extract refuses', () => {
  it('activations that are not finite, naming checkpoint, site, prompt, token and feature', async () => {
    const tensors = readTensors(join(goldenFolder('llama_mha'), 'model.safetensors'));
    const table = tensors.get('model.embed_tokens.weight')!;
    const bytes = Buffer.from(table.bytes);
    // Feature 5 of token 77; the weights themselves are finite everywhere else.
    bytes.writeFloatLE(NaN, (77 * table.shape[1] + 5) * 4);
    const spoiled = withKeys(goldenFolder('llama_mha'), {});
    unlinkSync(join(spoiled, 'model.safetensors'));
    writeTensors(
      join(spoiled, 'model.safetensors'),
      new Map(tensors).set('model.embed_tokens.weight', { ...table, bytes }),
    );
    const prompts = promptFile([
      { id: 'fine', ids: [3, 4, 5] },
      { id: 'struck', ids: [3, 77, 5] },
    ]);
    const checkpoints = [{ name: 'broken', folder: spoiled }];
    await expect(run({ prompts, checkpoints, sites: 'resid_pre.0' })).rejects.toThrow(
      'activation NaN at feature 5 — broken, resid_pre.0, prompt "struck", token 1',
    );
    const fine = promptFile([{ id: 'fine', ids: [3, 4, 5] }]);
    await run({ prompts: fine, checkpoints, sites: 'resid_pre.0' });
  });

  it('checkpoints that cut text in different ways', async () => {
    const prompts = promptFile([{ id: 'a', text: 'Once upon a time' }]);
    const checkpoints = [
      { name: 'a', folder: tale },
      { name: 'b', folder: organismFolder('base') },
    ];
    await expect(run({ prompts, checkpoints })).rejects.toThrow(
      `checkpoints of one run must cut text the same way — ${tale} and ${organismFolder('base')}`,
    );
  });

  it('more memory than is allowed, before anything is written', async () => {
    const out = scratchPath('run');
    const plan = await planExtraction(request({ prompts: promptFile(goldenPrompts) }));
    await expect(extract(plan, { out, memoryBudgetBytes: 2 ** 20 })).rejects.toThrow(
      /^this run would need about .* of memory; 1 MB are allowed — extract$/,
    );
    expect(existsSync(out)).toBe(false);
  });

  it('prompts that changed while the run was made', async () => {
    const prompts = promptFile(goldenPrompts);
    const out = scratchPath('run');
    const plan = await planExtraction(request({ prompts }));
    writeFileSync(prompts, `${JSON.stringify({ id: 'other', ids: [1] })}\n`);
    await expect(extract(plan, { out })).rejects.toThrow(
      `the prompt set changed while the run was made — ${prompts}`,
    );
    expect(existsSync(join(out, 'manifest.json'))).toBe(false);
  });
});

describe('the untrained twin', () => {
  it('is extracted beside the checkpoint, from its seed', async () => {
    const prompts = promptFile(goldenPrompts);
    const twin = (seed: number) => [
      { name: 'model', folder: tale },
      { name: 'twin', folder: tale, twinSeed: seed },
    ];
    const parts = { prompts, sites: 'resid_post.4', positions: 'last' };
    const [one, same, other] = [
      await run({ ...parts, checkpoints: twin(1) }),
      await run({ ...parts, checkpoints: twin(1) }),
      await run({ ...parts, checkpoints: twin(2) }),
    ];
    const rows = (out: string, name: string): Buffer =>
      stored(out, 'resid_post.4', name).get('last')!.bytes;
    expect(rows(one, 'twin').equals(rows(same, 'twin'))).toBe(true);
    expect(rows(one, 'twin').equals(rows(other, 'twin'))).toBe(false);
    expect(rows(one, 'twin').equals(rows(one, 'model'))).toBe(false);
    expect((await openRun(one)).manifest.checkpoints.map((c) => c.twin_seed)).toEqual([null, 1]);
  });
});
