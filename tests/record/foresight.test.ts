/**
 * Which plan is followed, and is what is said of it worked out as it should be?
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { amountsOf, predictSeconds, secondsOf, type Amounts } from '../../src/record/calibrate.ts';
import { extract } from '../../src/record/extract.ts';
import { chosenPlan, diskOf, peakBytes, scratchOf } from '../../src/record/foresight.ts';
import { planExtraction, type ExtractRequest, type Plan } from '../../src/record/plan.ts';
import { scratchPath } from '../support/scratch.ts';
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

const nothing = { earlier: null, unfinished: null };

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
    // Threads that would cut sums otherwise, and tokens that repay packing, are for the whole plan.
    expect(chosen(2 ** 40, await planned({ checkpoints, threads: 64 }))[0]).toBe('whole');
    const many = scratchPath('many.jsonl');
    const ids = Array.from({ length: 100 }, (_, i) => i);
    const text = Array.from({ length: 50 }, (_, i) => JSON.stringify({ id: `${i}`, ids }));
    writeFileSync(many, text.join('\n'));
    expect(chosen(2 ** 40, await planned({ checkpoints, prompts: many }))[0]).toBe('whole');
  });

  it('names the largest batches that would fit', async () => {
    const plan = await planned({ batchTokens: 48 });
    const smaller = await planned({ batchTokens: 18 });
    const budgetBytes = peaksOf(smaller)[1] + 1;
    expect(() => chosenPlan(plan, { budgetBytes, ...nothing })).toThrow(
      expect.objectContaining({ fix: expect.stringContaining('--batch-tokens 16,') }),
    );
  });

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
    // A block has 2 · 320² + 2 · 80 · 320 + 3 · 640 · 320 + 2 · 320 weights, the head 150 · 320.
    expect(amountsOf(plan, plan.checkpoints[0], true)).toEqual({
      kind: 'whole',
      blocks: 2,
      passes: [24, 24, 24],
      headRows: 12,
      headBlocks: (150 * 320) / (2 * 320 ** 2 + 2 * 80 * 320 + 3 * 640 * 320 + 2 * 320),
      headRuns: 3,
      doctorOpens: 0,
    });
  });

  it('is measured in moments', async () => {
    const seconds = await predictSeconds(await planned({ plan: 'streamed' }), false);
    expect(seconds).toBeGreaterThan(0.1);
    expect(seconds).toBeLessThan(60);
  });
});
