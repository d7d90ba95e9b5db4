/**
 * Which plan is followed, and is what is said of it worked out as it should be?
 */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Model } from '../../models/model.ts';
import { amountsOf, predictSeconds, secondsOf, type Amounts } from '../../src/record/calibrate.ts';
import { extract } from '../../src/record/extract.ts';
import {
  chosenPlan,
  diskOf,
  peakBytes,
  peakWithDoctor,
  scratchOf,
} from '../../src/record/foresight.ts';
import { doctorPeakBytes, samplePrompts } from '../../src/record/passes.ts';
import { planExtraction, type ExtractRequest, type Plan } from '../../src/record/plan.ts';
import { goldenFolder, modelIn, readJson, readTensors, writeTensors } from '../support/golden.ts';
import { hollowCheckpoint } from '../support/hollowCheckpoint.ts';
import { scratchFolder, scratchPath } from '../support/scratch.ts';
import { wideModel } from '../support/wideModel.ts';

const prompts = scratchPath('prompts.jsonl');
const lines = Array.from({ length: 12 }, (_, i) => ({ id: `p${i}`, ids: [1, 2, 3, 4, 5, i + 6] }));
writeFileSync(prompts, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));

async function planned(parts: Partial<ExtractRequest> = {}): Promise<Plan> {
  return await planExtraction({
    checkpoints: [{ name: 'm', folder: wideModel() }],
    prompts,
    sites: 'resid_post',
    positions: 'last',
    batchTokens: 24,
    threads: 1,
    store: 'float32',
    ignoredConfigKeys: [],
    prefixSharing: 'never',
    ...parts,
  });
}

/** Of the whole plan, and of the streamed one. */
function peaksOf(plan: Plan): [number, number] {
  return [peakBytes({ ...plan, kind: 'whole' }), peakBytes({ ...plan, kind: 'streamed' })];
}

const nothing = { hasDoctor: false, earlier: null, unfinished: null };

describe('a plan of more prompts than a call has room for arguments', () => {
  it('is made and foreseen', async () => {
    const many = scratchPath('many.jsonl');
    const count = 130_000;
    const text = Array.from({ length: count }, (_, i) => `{"id":"${i}","ids":[${i % 7}]}\n`);
    writeFileSync(many, text.join(''));
    // One prompt a batch: as many passes as prompts.
    const plan = await planned({ prompts: many, batchTokens: 1 });
    expect([plan.longest, plan.tokens, plan.passes.length]).toEqual([1, count, count]);
    for (const kind of ['whole', 'streamed'] as const) {
      expect(peakBytes({ ...plan, kind })).toBeGreaterThan(0);
    }
  }, 60_000);
});

describe('chosenPlan', () => {
  it('takes the whole where it fits, else the streamed, else says what either needs', async () => {
    const plan = await planned();
    const [whole, streamed] = peaksOf(plan);
    expect(streamed).toBeLessThan(whole);
    const chosen = (budgetBytes: number) => chosenPlan(plan, { budgetBytes, ...nothing }).kind;
    expect(chosen(whole)).toBe('whole');
    expect(chosen(whole - 1)).toBe('streamed');
    expect(chosen(streamed)).toBe('streamed');
    expect(() => chosen(streamed - 1)).toThrow(
      /^this run would need about .* \(whole\) or .* \(streamed\) of memory; .* are allowed — extract$/,
    );
  });

  it('counts the doctor, and says where only he needs too much', async () => {
    const plan = await planned();
    const [whole, streamed] = (['whole', 'streamed'] as const).map((kind) =>
      peakWithDoctor({ ...plan, kind }, true),
    );
    expect(peaksOf(plan)[0]).toBeLessThan(whole);
    const chosen = (budgetBytes: number) =>
      chosenPlan(plan, { ...nothing, budgetBytes, hasDoctor: true }).kind;
    expect(chosen(whole)).toBe('whole');
    expect(chosen(whole - 1)).toBe('streamed');
    expect(chosen(streamed)).toBe('streamed');
    expect(() => chosen(streamed - 1)).toThrow(
      expect.objectContaining({ fix: expect.stringMatching(/^Give --no-doctor, /) }),
    );
    expect(() => chosen(peaksOf(plan)[1] - 1)).toThrow(
      expect.objectContaining({ fix: expect.not.stringContaining('--no-doctor') }),
    );
  });

  it('streams few tokens through weights in half precision, which are widened once where that fits', async () => {
    const checkpoints = [{ name: 'm', folder: wideModel('BF16') }];
    const plan = await planned({ checkpoints });
    const chosen = (budgetBytes: number, of: Plan = plan) => {
      const { kind, widensOnce } = chosenPlan(of, { budgetBytes, ...nothing });
      return [kind, widensOnce];
    };
    expect(chosen(2 ** 40)).toEqual(['streamed', true]);
    const once = peakBytes({ ...plan, kind: 'streamed', widensOnce: true });
    const each = peakBytes({ ...plan, kind: 'streamed', widensOnce: false });
    expect(each).toBeLessThan(once);
    expect(chosen(once)).toEqual(['streamed', true]);
    expect(chosen(once - 1)).toEqual(['streamed', false]);
    expect(() => chosen(each - 1)).toThrow('this run would need about');
    expect(chosen(2 ** 40, await planned({ checkpoints, plan: 'whole' }))[0]).toBe('whole');
    // Threads that would cut sums otherwise are for the whole plan.
    expect(chosen(2 ** 40, await planned({ checkpoints, threads: 64 }))[0]).toBe('whole');
  });

  it('reads more than 4,096 tokens with the whole, which packs its weights once', async () => {
    const checkpoints = [{ name: 'm', folder: wideModel('BF16') }];
    const kindFor = async (lengths: readonly number[]): Promise<string> => {
      const path = scratchPath('many.jsonl');
      const text = lengths.map((length, i) =>
        JSON.stringify({ id: `${i}`, ids: Array.from({ length }, (_, t) => t) }),
      );
      writeFileSync(path, text.join('\n'));
      const plan = await planned({ checkpoints, prompts: path });
      return chosenPlan(plan, { budgetBytes: 2 ** 40, ...nothing }).kind;
    };
    const full = Array.from({ length: 64 }, () => 64);
    expect(await kindFor(full)).toBe('streamed');
    expect(await kindFor([...full, 1])).toBe('whole');
  });

  it('streams first only if all weights of all checkpoints are in half precision', async () => {
    const [half, wide] = [wideModel('BF16'), wideModel()];
    const norm = 'model.norm.weight';
    const mixed = scratchFolder('mixed');
    const tensors = readTensors(join(half, 'model.safetensors'));
    const floats = readTensors(join(wide, 'model.safetensors')).get(norm)!;
    writeTensors(join(mixed, 'model.safetensors'), tensors.set(norm, floats));
    copyFileSync(join(half, 'config.json'), join(mixed, 'config.json'));
    const kindOf = async (...checkpoints: ExtractRequest['checkpoints']): Promise<string> => {
      const plan = await planned({ checkpoints });
      return chosenPlan(plan, { budgetBytes: 2 ** 40, ...nothing }).kind;
    };
    const first = { name: 'm', folder: half };
    expect(await kindOf(first, { name: 'n', folder: half })).toBe('streamed');
    expect(await kindOf({ name: 'm', folder: mixed })).toBe('whole');
    expect(await kindOf(first, { name: 'n', folder: wide })).toBe('whole');
    // A twin's weights are drawn as float32, whatever the checkpoint's are stored as.
    expect(await kindOf(first, { name: 'n', folder: half, twinSeed: 1 })).toBe('whole');
    const elsewhere = await planned({ checkpoints: [first], device: 'webgpu' });
    const { kind } = chosenPlan(elsewhere, { budgetBytes: 2 ** 40, ...nothing });
    expect(kind).toBe('whole');
  });

  it.each(['F32', 'BF16'] as const)(
    'names the largest batches that would fit in %s',
    async (dtype) => {
      const checkpoints = [{ name: 'm', folder: wideModel(dtype) }];
      const plan = await planned({ checkpoints, batchTokens: 48 });
      const smaller = await planned({ checkpoints, batchTokens: 18 });
      const budgetBytes = peakBytes(smaller, { kind: 'streamed', widensOnce: false }) + 1;
      expect(() => chosenPlan(plan, { budgetBytes, ...nothing })).toThrow(
        expect.objectContaining({ fix: expect.stringContaining('--batch-tokens 16,') }),
      );
    },
  );

  it('leaves a run what it began as, whatever is free now', async () => {
    const out = scratchPath('run');
    const plan = await planned({ plan: 'streamed' });
    await extract(plan, { out });
    const again = await extract(await planned(), { out });
    expect(again.ran).toBe(false);
    const text = readFileSync(join(out, 'manifest.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ plan: { kind: 'streamed' } });
    await expect(extract(await planned({ plan: 'whole' }), { out })).rejects.toThrow(
      'the folder holds a run of another plan',
    );
    const more = await planned({ sites: 'resid_post,attn_out' });
    const { manifest } = await extract(more, { out, add: true });
    expect(manifest.plan.kind).toBe('streamed');
    expect(manifest.sites).toContain('attn_out.0');
  });

  it('streams on the CPU alone', async () => {
    const plan = await planned({ plan: 'streamed', device: 'webgpu' });
    expect(() => chosenPlan(plan, { budgetBytes: 2 ** 40, ...nothing })).toThrow(
      'a streamed plan computes on the CPU',
    );
  });
});

/** Of the wide model: the weights of a block, its largest matrix, and all but the head's. */
const block = 2 * 320 ** 2 + 2 * 80 * 320 + 3 * 640 * 320 + 2 * 320;
const matrix = 640 * 320;
const allButHead = 2 * block + 320 + 150 * 320;

describe('memory that is foretold', () => {
  const half = [{ name: 'm', folder: wideModel('BF16') }];

  it('of a whole model holds its weights as float32, and of halves the largest for a moment', async () => {
    const [plain] = peaksOf(await planned());
    expect(peaksOf(await planned({ checkpoints: half }))[0] - plain).toBe(2 * matrix);
    // Drawn, encoded, read and packed: four copies instead of one.
    const twin = await planned({ checkpoints: [{ name: 'm', folder: wideModel(), twinSeed: 1 }] });
    expect(peaksOf(twin)[0] - plain).toBe(3 * 4 * allButHead);
    // The head, and logits of four rows a batch, in the runtime and here.
    const withHead = await planned({ sites: 'resid_post,logits' });
    expect(peaksOf(withHead)[0] - plain).toBe(4 * 150 * 320 + 2 * 4 * (4 * 150));
    // A head that is the embedding is packed beside the table that rows are looked up in.
    const tied = [{ name: 'm', folder: goldenFolder('gpt2') }];
    const [bare] = peaksOf(await planned({ checkpoints: tied }));
    const [full] = peaksOf(await planned({ checkpoints: tied, sites: 'resid_post,logits' }));
    const { vocab_size: words, n_embd: width } = readJson(
      join(goldenFolder('gpt2'), 'config.json'),
    );
    expect(full - bare).toBe(4 * Number(words) * Number(width) + 2 * 4 * (4 * Number(words)));
  });

  it('of attention holds the scores of 64 queries, or of all where patterns or another device want them', async () => {
    const long = scratchPath('long.jsonl');
    writeFileSync(long, JSON.stringify({ id: 'p', ids: Array.from({ length: 100 }, (_, i) => i) }));
    const parts = { prompts: long, batchTokens: 100 };
    const [plain] = peaksOf(await planned(parts));
    const rest = 4 * 8 * (100 - 64) * 100;
    expect(peaksOf(await planned({ ...parts, device: 'webgpu' }))[0] - plain).toBe(rest);
    const seen = await planned({ ...parts, sites: 'resid_post,pattern.0' });
    expect(peaksOf(seen)[0] - plain).toBe(rest + 2 * 4 * (8 * 100));
  });

  it('of a streamed model holds a block, widened once or matrix by matrix, and both ends of a way', async () => {
    const peakOf = (plan: Plan, widensOnce: boolean): number =>
      peakBytes({ ...plan, kind: 'streamed', widensOnce });
    const [wide, halves] = [await planned(), await planned({ checkpoints: half })];
    expect(peakOf(halves, true)).toBe(peakOf(wide, true));
    expect(peakOf(wide, false)).toBe(peakOf(wide, true));
    expect(peakOf(halves, true) - peakOf(halves, false)).toBe((4 - 2) * block - 4 * matrix);
    const towards = { folder: wideModel('BF16'), at: 0.5 };
    const way = await planned({ checkpoints: [{ name: 'm', folder: wideModel(), towards }] });
    for (const widensOnce of [true, false]) {
      const more = peakOf(way, widensOnce) - peakOf(wide, widensOnce);
      // What is made of the two is there matrix by matrix, in a copy or a few.
      expect(more).toBeGreaterThanOrEqual(4 * (block + matrix));
      expect(more).toBeLessThanOrEqual(4 * (block + 4 * matrix));
    }
  });

  it.each(['whole', 'streamed'] as const)(
    'covers the doctor, who sees every site of a model that is %s',
    async (kind) => {
      const plan = { ...(await planned()), kind };
      expect(peakWithDoctor(plan, false)).toBe(peakBytes(plan));
      expect(peakWithDoctor(plan, true)).toBe(
        Math.max(peakBytes(plan), doctorPeakBytes(plan.checkpoints[0].model, plan)),
      );
      expect(doctorPeakBytes(plan.checkpoints[0].model, plan)).toBeGreaterThan(peakBytes(plan));
    },
  );

  it('covers the doctor on the device of the run', async () => {
    const plan = await planned({ checkpoints: half, device: 'webgpu' });
    const [{ model }] = plan.checkpoints;
    expect(peakWithDoctor(plan, true)).toBe(doctorPeakBytes(model, { device: 'webgpu' }));
    expect(peakWithDoctor(plan, true)).toBeGreaterThan(doctorPeakBytes(model));
  });

  it('of the doctor holds weights as they lie, and of halves one matrix as float32', async () => {
    const [wide, halves] = [await planned(), await planned({ checkpoints: half })].map(
      ({ checkpoints: [{ model }] }) => model,
    );
    const all = allButHead + 150 * 320;
    expect(doctorPeakBytes(halves) - doctorPeakBytes(wide)).toBe((2 - 4) * all + 4 * matrix);
    const streamed = { kind: 'streamed', widensOnce: false } as const;
    expect(doctorPeakBytes(wide) - doctorPeakBytes(wide, streamed)).toBe(4 * (all - block));
    expect(doctorPeakBytes(halves) - doctorPeakBytes(halves, streamed)).toBe(2 * (all - block));
    expect(doctorPeakBytes(halves, { ...streamed, widensOnce: true })).toBe(
      doctorPeakBytes(wide, streamed),
    );
    // A table that is looked up is there where it was looked at; the head is read whole.
    const [few, twice] = await Promise.all(
      [2 ** 16, 2 ** 17].map(async (words) => await modelIn(hollowCheckpoint(words))),
    );
    const tokens = samplePrompts(few, 0).flat().length;
    const logits = 2 * 4 * (tokens + tokens + 3) * 2 ** 16;
    expect(doctorPeakBytes(twice) - doctorPeakBytes(few)).toBe(
      4 * few.settings.width * 2 ** 16 + logits,
    );
    const tied = (of: Model): Model => ({ ...of, settings: { ...of.settings, isTied: true } });
    expect(doctorPeakBytes(tied(twice)) - doctorPeakBytes(tied(few))).toBe(
      4 * few.settings.width * 2 ** 16 + logits,
    );
    // Another device has weights of its own, widened, and a tied table twice.
    const elsewhere = { device: 'webgpu' } as const;
    expect(doctorPeakBytes(halves, elsewhere) - doctorPeakBytes(wide, elsewhere)).toBe(2 * all);
    expect(doctorPeakBytes(twice, elsewhere) - doctorPeakBytes(few, elsewhere)).toBe(
      2 * 4 * few.settings.width * 2 ** 16 + logits,
    );
    const model = await modelIn(goldenFolder('gpt2'));
    const { vocabulary, width } = model.settings;
    expect(doctorPeakBytes(model, elsewhere) - doctorPeakBytes(model)).toBe(4 * vocabulary * width);
  });
});

describe('what a plan takes', () => {
  it('is two scratch files of the stream, and the rows that stay', async () => {
    const plan = await planned({ plan: 'streamed' });
    // 12 prompts of 6 tokens in batches of 4: 3 passes, each with 40 bytes before its 24 × 320 floats.
    expect(scratchOf(plan)).toBe(2 * 3 * (40 + 24 * 320 * 4));
    expect(scratchOf({ ...plan, kind: 'whole' })).toBe(0);
    // 12 rows of 320 floats at the two blocks.
    expect(diskOf(plan)).toBe(2 * 12 * 320 * 4);
  });

  it('is blocks × (opening + passes + tokens), and the head as so many blocks', async () => {
    const rates = { open: 1000, pass: 10, token: 1 };
    const amounts: Amounts = {
      kind: 'streamed',
      blocks: 3,
      passes: [4, 5],
      headRows: 0,
      headBlocks: 0,
      headRuns: 2,
      doctorOpens: null,
    };
    expect(secondsOf(amounts, rates)).toBe(3 * (1000 + 2 * 10 + 9));
    const withHead = { ...amounts, headRows: 7, headBlocks: 0.5 };
    expect(secondsOf(withHead, rates)).toBe(3 * 1029 + 0.5 * (2 * 10 + 7));
    expect(secondsOf({ ...withHead, kind: 'whole' }, rates)).toBe(
      3 * 1029 + 0.5 * (1000 + 2 * 10 + 7),
    );
    const plan = await planned({ sites: 'resid_post,logits' });
    // The head has 150 · 320 weights.
    expect(amountsOf(plan, plan.checkpoints[0], true)).toEqual({
      kind: 'whole',
      blocks: 2,
      passes: [24, 24, 24],
      headRows: 12,
      headBlocks: (150 * 320) / block,
      headRuns: 3,
      doctorOpens: 3,
    });
  });

  it('is not measured while weights are being hashed, which takes a core', async () => {
    const plan = await planned();
    const [first] = plan.checkpoints;
    const gone = { ...first, sha256: Promise.reject(new Error('the hash comes first')) };
    await expect(predictSeconds({ ...plan, checkpoints: [gone] }, false)).rejects.toThrow(
      'the hash comes first',
    );
  });

  it('is measured in moments', async () => {
    const seconds = await predictSeconds(await planned({ plan: 'streamed' }), false);
    expect(seconds).toBeGreaterThan(0.1);
    expect(seconds).toBeLessThan(60);
  });
});
