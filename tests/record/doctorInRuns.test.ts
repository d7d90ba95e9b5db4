/** Does a run keep the doctor's word, the same however often it was interrupted, and stop at WRONG? */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { extract } from '../../src/record/extract.ts';
import { parseManifest } from '../../src/record/manifest.ts';
import { planExtraction, planHash, type ExtractRequest, type Plan } from '../../src/record/plan.ts';
import { identityOf, requireSamePlan } from '../../src/record/resume.ts';
import { openRun } from '../../src/record/run.ts';
import { goldenFolder } from '../support/golden.ts';
import { scratchPath } from '../support/scratch.ts';

async function planOf(parts: Partial<ExtractRequest> = {}): Promise<Plan> {
  const prompts = scratchPath('prompts.jsonl');
  const lines = [3, 9, 14, 5].map((length, i) => ({
    id: `p${i}`,
    ids: Array.from({ length }, (_, t) => (7 * t + i) % 90),
  }));
  writeFileSync(prompts, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return await planExtraction({
    checkpoints: [
      { name: 'model', folder: goldenFolder('gpt2') },
      { name: 'twin', folder: goldenFolder('gpt2'), twinSeed: 1 },
    ],
    prompts,
    sites: 'resid_post',
    positions: 'last',
    batchTokens: 16,
    threads: 1,
    store: 'float32',
    ignoredConfigKeys: [],
    ...parts,
  });
}

const bytesOf = (out: string): string => readFileSync(join(out, 'manifest.json'), 'utf8');

describe('extract with the doctor', () => {
  it('keeps its word on each checkpoint whose own weights were used', async () => {
    const out = scratchPath('run');
    await extract(await planOf(), { out, doctor: true });
    const { manifest } = await openRun(out);
    expect(Object.keys(manifest.doctor ?? {})).toEqual(['model']);
    expect(manifest.doctor?.['model']).toMatchObject({ verdict: 'RIGHT', checks: 7, version: 3 });
    // Rounding reaches a share of what is allowed, never nothing and never all of it.
    expect(manifest.doctor?.['model'].worst).toBeGreaterThan(0);
    expect(manifest.doctor?.['model'].worst).toBeLessThanOrEqual(1);
  });

  it('says nothing where it was not asked', async () => {
    const out = scratchPath('run');
    await extract(await planOf(), { out });
    expect((await openRun(out)).manifest.doctor).toBe(null);
  });

  it('ends with the same bytes after an interruption', async () => {
    const plan = await planOf();
    const [whole, halved] = [scratchPath('run'), scratchPath('run')];
    await extract(plan, { out: whole, doctor: true });
    let batches = 0;
    const shouldStop = (): boolean => batches++ === 2;
    await expect(extract(plan, { out: halved, doctor: true, shouldStop })).rejects.toMatchObject({
      code: 'ENDED_EARLY',
    });
    await extract(plan, { out: halved, doctor: true });
    expect(bytesOf(halved)).toBe(bytesOf(whole));
  });

  it('keeps earlier words when sites are added', async () => {
    const out = scratchPath('run');
    const plan = await planOf();
    await extract(plan, { out, doctor: true });
    const before = (await openRun(out)).manifest.doctor;
    const request = { ...plan.request, sites: 'resid_post,resid_pre.0' };
    await extract(await planExtraction(request), { out, add: true });
    expect((await openRun(out)).manifest.doctor).toEqual(before);
  });

  it.each(['whole', 'streamed'] as const)('refuses to run what is WRONG when %s', async (kind) => {
    const plan = await planOf({ plan: kind });
    const [first, ...others] = plan.checkpoints;
    const { architecture } = first.model;
    const model: typeof first.model = {
      ...first.model,
      architecture: {
        ...architecture,
        // The head gets what no tap shows.
        finalNorm: (g, params, settings, x) =>
          architecture.finalNorm(g, params, settings, g.node('Neg', [x], x.shape)),
      },
    };
    const out = scratchPath('run');
    const wrong = { ...plan, checkpoints: [{ ...first, model }, ...others] };
    await expect(extract(wrong, { out, doctor: true })).rejects.toMatchObject({
      code: 'CHECK_FAILED',
      exitCode: 5,
      what: 'the doctor says WRONG of model',
    });
    expect(existsSync(join(out, 'manifest.json'))).toBe(false);
  });
});

describe('the manifest', () => {
  it('refuses a word that the doctor does not say', async () => {
    const out = scratchPath('run');
    await extract(await planOf(), { out, doctor: true });
    const text = bytesOf(out).replace('"RIGHT"', '"GOOD"');
    expect(() => parseManifest(text, out)).toThrow(/^doctor\.model\.verdict: /);
  });

  it('tells the device only where it is not the CPU, which is another plan', async () => {
    const plan = await planOf();
    const [cpu, other] = (['cpu', 'webgpu'] as const).map((device) =>
      planHash({ ...plan, request: { ...plan.request, device } }),
    );
    expect(cpu).toBe(planHash(plan));
    expect(other).not.toBe(cpu);
    const out = scratchPath('run');
    const { manifest } = await extract(plan, { out });
    expect(manifest.plan).not.toHaveProperty('device');
  });

  it('keeps an unfinished run from being finished by another device', async () => {
    const plan = await planOf();
    const cpu = await identityOf(plan, plan.checkpoints);
    const request = { ...plan.request, device: 'webgpu' } as const;
    const gpu = await identityOf({ ...plan, request }, plan.checkpoints);
    const refusal = /^the folder holds an unfinished run with other device/;
    expect(() => requireSamePlan(gpu, cpu, 'run')).toThrow(refusal);
    expect(() => requireSamePlan(cpu, gpu, 'run')).toThrow(refusal);
    expect(() => requireSamePlan(gpu, gpu, 'run')).not.toThrow();
  });
});
