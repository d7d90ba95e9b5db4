/**
 * Does a model that is run block by block give what it gives as a whole, and what transformers gave?
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { siteKey } from '../../src/graph/sites.ts';
import { extract } from '../../src/record/extract.ts';
import { planExtraction, type CheckpointRequest } from '../../src/record/plan.ts';
import { sitesOf, wholeCases } from '../support/families.ts';
import { floatsOf, goldenFacts, goldenFolder, modelIn, readTensors } from '../support/golden.ts';
import { scratchPath } from '../support/scratch.ts';

interface Parts {
  readonly checkpoints: readonly CheckpointRequest[];
  readonly prompts: readonly (readonly number[])[];
  readonly sites: string;
  readonly plan: 'whole' | 'streamed';
  readonly batchTokens?: number;
  readonly threads?: number;
}

async function run({ prompts, ...parts }: Parts): Promise<string> {
  const path = scratchPath('prompts.jsonl');
  writeFileSync(
    path,
    prompts.map((ids, i) => `${JSON.stringify({ id: `p${i}`, ids })}\n`).join(''),
  );
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
  await extract(plan, { out });
  return out;
}

function floats(out: string, name: string, site: string): Float32Array {
  return floatsOf(readTensors(join(out, 'activations', name, `${site}.safetensors`)).get('all')!);
}

function largest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => {
    const error = Math.abs(value - b[i]);
    return Number.isNaN(error) || error > worst ? error : worst;
  }, 0);
}

describe('a streamed run', () => {
  it.each(wholeCases)('of %s is within one noise floor of the whole', async (name) => {
    const model = await modelIn(goldenFolder(name));
    const { prompts, noise_floor: floors } = goldenFacts(name);
    const sites = sitesOf(model).map(siteKey);
    const parts = {
      checkpoints: [{ name: 'm', folder: goldenFolder(name) }],
      prompts,
      sites: sites.join(','),
    };
    const whole = await run({ ...parts, plan: 'whole' });
    const streamed = await run({ ...parts, plan: 'streamed' });
    const shares = sites.map((site) => {
      const error = largest(floats(streamed, 'm', site), floats(whole, 'm', site));
      return [site, error === 0 ? 0 : error / (floors[site]?.max_abs ?? NaN)] as const;
    });
    expect(shares.filter(([, share]) => !(share <= 1))).toEqual([]);
  });
});
