/**
 * Is an answer the same when what its prompt begins with was read for another?
 *
 * Every family, with tokens shared wherever two prompts begin alike, against each prompt read whole.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Model } from '../../models/model.ts';
import { Random } from '../../src/base/random.ts';
import { generate } from '../../src/record/generate.ts';
import { answerBatches, planAnswers } from '../../src/record/planAnswers.ts';
import { planPrefill, Prefixes, type Prefill } from '../../src/record/prefill.ts';
import type { Batch } from '../../src/record/batches.ts';
import { withDecoder } from '../support/decoding.ts';
import { variantCases, variantModel, wholeCases } from '../support/families.ts';
import { bitsOf, goldenFacts, goldenFolder, modelIn } from '../support/golden.ts';
import { alike } from '../support/passes.ts';
import { fileOf, folder, requestOf } from '../support/answers.ts';
import { scratchPath } from '../support/scratch.ts';

type Prompts = readonly (readonly number[])[];

/** Prompts of equal length together, at most `count` of them. */
function batchesOf(prompts: Prompts, count = Infinity): Batch[] {
  const lengths = [...new Set(prompts.map((ids) => ids.length))].sort((a, b) => b - a);
  return lengths.flatMap((length) => {
    const rows = prompts.flatMap((ids, row) => (ids.length === length ? [row] : []));
    const some = Math.min(count, rows.length);
    return Array.from({ length: Math.ceil(rows.length / some) }, (_, i) => ({
      prompts: rows.slice(i * some, (i + 1) * some),
      length,
    }));
  });
}

/** The logits after each prompt, on what `prefill` reads, or with each prompt read whole. */
async function logitsOf(
  model: Model,
  prompts: Prompts,
  prefill: Prefill | null,
  batches = batchesOf(prompts),
): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  const { vocabulary } = model.settings;
  await withDecoder(model, Math.max(...prompts.map((ids) => ids.length)), async (decoder) => {
    const costs = { batchTokens: 64, movedShare: 0.01 };
    const prefixes =
      prefill === null ? null : new Prefixes(prefill, prompts, decoder, batches, costs);
    for (const [b, { prompts: rows, length }] of batches.entries()) {
      const texts = rows.map((row) => prompts[row]);
      let cache = decoder.empty(rows.length, length);
      if (prefixes !== null) cache = await prefixes.cacheFor(b, 1);
      else if (length > 1) cache = await decoder.extend(texts, length - 1, cache);
      const { logits } = await decoder.read(texts, length, cache);
      rows.forEach((row, i) => {
        found[row] = logits.slice(i * vocabulary, (i + 1) * vocabulary);
      });
    }
  });
  return found;
}

/** The largest difference of a logit. */
function apart(some: readonly Float32Array[], others: readonly Float32Array[]): number {
  expect(some).toHaveLength(others.length);
  return Math.max(
    ...some.map((logits, row) =>
      logits.reduce((worst, value, id) => Math.max(worst, Math.abs(value - others[row][id])), 0),
    ),
  );
}

describe('a prompt whose beginning was read for another', () => {
  const cases = [...wholeCases, ...variantCases.map((name) => `variants/${name}`)];
  it.each(cases)('of %s has the logits of a prompt read whole', async (name) => {
    const model = name.startsWith('variants/')
      ? await variantModel(name.slice('variants/'.length))
      : await modelIn(goldenFolder(name));
    const { prompts: references, noise_floor: floors } = goldenFacts(name);
    const prompts = alike(references);
    const prefill = planPrefill(prompts, batchesOf(prompts), model, 'always');
    const turnings = [...model.architecture.rotary(model.settings).values()];
    const isTurned = turnings.some(
      ({ rope }) => rope.kind === 'dynamic' || rope.kind === 'longrope',
    );
    // Beyond the trained length positions turn by a text's own length: nothing is shared.
    if (isTurned && prefill === null) return;
    expect(prefill?.read).toBeLessThan(0.8 * Number(prefill?.tokens));
    const [shared, whole] = [
      await logitsOf(model, prompts, prefill),
      await logitsOf(model, prompts, null),
    ];
    expect(apart(shared, whole)).toBeLessThanOrEqual(floors['logits'].max_abs);
  });

  it.each(['llama_gqa_llama3', 'gpt2', 'mistral_sliding'])(
    'of %s has the same bits whatever is answered with it, and after a stop',
    async (name) => {
      const model = await modelIn(goldenFolder(name));
      const prompts = alike(goldenFacts(name).prompts);
      const prefill = planPrefill(prompts, batchesOf(prompts), model, 'always');
      const all = await logitsOf(model, prompts, prefill);
      const batches = batchesOf(prompts, 2);
      for (const first of [0, 1, batches.length >> 1, batches.length - 1]) {
        const rest = await logitsOf(model, prompts, prefill, batches.slice(first));
        rest.forEach((logits, row) => {
          expect(bitsOf(logits).equals(bitsOf(all[row])), `row ${row}`).toBe(true);
        });
      }
    },
  );

  it('would not have them on the branch of a neighbour', async () => {
    const model = await modelIn(goldenFolder('gpt2'));
    const prompts = alike(goldenFacts('gpt2').prompts);
    const prefill = planPrefill(prompts, batchesOf(prompts), model, 'always');
    if (prefill === null) throw new Error('nothing is shared');
    const whole = await logitsOf(model, prompts, null);
    const floor = goldenFacts('gpt2').noise_floor['logits'].max_abs;
    const { length } = prompts[0];
    // Two prompts of one length that differ in their middle.
    const other = prompts.findIndex(
      (ids) =>
        ids.length === length && String(ids.slice(0, -1)) !== String(prompts[0].slice(0, -1)),
    );
    const branchOf = prefill.branchOf.with(0, prefill.branchOf[other]);
    const spoilt = await logitsOf(model, prompts, { ...prefill, branchOf });
    expect(apart(spoilt, whole)).toBeGreaterThan(1000 * floor);
  });
});

/** Few-shot headers, each with questions of many lengths, some asked twice. */
function headed(count: number): string {
  const random = new Random('headers');
  const drawn = (n: number): number[] => Array.from({ length: n }, () => 3 + random.below(900));
  const headers = [drawn(24), drawn(18), drawn(30)];
  const path = scratchPath('prompts.jsonl');
  const lines = Array.from({ length: count }, (_, i) => {
    const ids = [...headers[i % 3], ...drawn(1 + random.below(7))];
    return [`p${i}`, ...(i % 5 === 0 ? [`p${i} again`] : [])].map(
      (id) => `${JSON.stringify({ id, ids })}\n`,
    );
  });
  writeFileSync(path, lines.flat().join(''));
  return path;
}

describe('generate', () => {
  it.each([
    ['greedy', {}],
    ['drawn', { sampling: { temperature: 1, topP: 0.9 } }],
    ['spliced', { reader: folder('base'), sampling: { temperature: 1, topP: 1 } }],
  ])('says the same with prompts read whole and with headers read once, %s', async (_, more) => {
    const prompts = headed(60);
    const shared = await fileOf({ prompts, ...more });
    expect(shared).toBe(await fileOf({ prompts, ...more, prefixSharing: 'never' }));
    expect(shared).toBe(await fileOf({ prompts, ...more, batchTokens: 200 }));
  });

  it('goes on after a stop to the same bytes', async () => {
    const request = {
      prompts: headed(40),
      batchTokens: 200,
      sampling: { temperature: 1, topP: 1 },
    };
    const whole = await fileOf(request);
    const out = scratchPath('answers.jsonl');
    for (let after = 3; ; after += 3) {
      let asked = 0;
      const plan = await planAnswers(requestOf(request));
      const again = generate(plan, { out, shouldStop: () => ++asked > after });
      const ended = await again.then(
        () => true,
        () => false,
      );
      if (ended) break;
    }
    expect(readFileSync(out, 'utf8')).toBe(whole);
  });
});

describe('planAnswers', () => {
  it('reads headers once, each question from where it differs, and writes it into the plan', async () => {
    const prompts = headed(60);
    const out = scratchPath('answers.jsonl');
    const plan = await planAnswers(requestOf({ prompts }));
    await generate(plan, { out });
    const { read = 0, tokens = 0 } = plan.prefill ?? {};
    // 72 prompts of 24 and 4 tokens each in the mean; three headers and what comes after.
    expect(tokens).toBe(plan.prepared.reduce((sum, { ids }) => sum + ids.length - 1, 0));
    expect(read).toBeLessThan(tokens / 5);
    const recorded: unknown = JSON.parse(readFileSync(`${out}.plan.json`, 'utf8'));
    expect(recorded).toMatchObject({ prefix_sharing: `${read} of ${tokens} tokens` });
  });

  it('reads whole what begins with words of its own, and whatever it is told to', async () => {
    const random = new Random('apart');
    const path = scratchPath('prompts.jsonl');
    const lines = Array.from({ length: 40 }, (_, i) => ({
      id: `p${i}`,
      ids: Array.from({ length: 12 }, () => 3 + random.below(900)),
    }));
    writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect((await planAnswers(requestOf({ prompts: path }))).prefill).toBeNull();
    const told = requestOf({ prompts: headed(20), prefixSharing: 'never' });
    expect((await planAnswers(told)).prefill).toBeNull();
  });

  it('has batches within 256 MB of keys and values unless told, and none whose rows are not alike', async () => {
    const plan = await planAnswers(requestOf({ prompts: headed(200) }));
    const batches = answerBatches(plan, () => false);
    expect(batches.flatMap(({ prompts }) => prompts).sort((a, b) => a - b)).toEqual(
      plan.prepared.map((_, row) => row),
    );
    for (const { prompts, length } of batches) {
      expect(prompts.every((row) => plan.prepared[row].ids.length === length)).toBe(true);
    }
  });
});
