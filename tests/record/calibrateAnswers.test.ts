import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { answersPeakBytes } from '../../src/record/answersMemory.ts';
import {
  amountsOfAnswers,
  predictAnswerSeconds,
  secondsOfAnswers,
} from '../../src/record/calibrateAnswers.ts';
import { planAnswers, type AnswersRequest } from '../../src/record/planAnswers.ts';
import { organismFolder } from '../support/golden.ts';
import { scratchPath } from '../support/scratch.ts';

async function planOf(
  count: number,
  length: number,
  more: Partial<AnswersRequest> = {},
): Promise<Awaited<ReturnType<typeof planAnswers>>> {
  const prompts = scratchPath('prompts.jsonl');
  const ids = (i: number): number[] =>
    Array.from({ length }, (_, t) => 3 + ((i * 31 + t * 7 + i * t) % 900));
  const lines = Array.from({ length: count }, (_, i) => ({ id: `p${i}`, ids: ids(i) }));
  writeFileSync(prompts, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return await planAnswers({
    model: { folder: organismFolder('planb') },
    prompts,
    maxTokens: 10,
    sampling: { temperature: 0, topP: 1 },
    seed: 0,
    stop: [],
    threads: 1,
    ignoredConfigKeys: [],
    prefixSharing: 'never',
    ...more,
  });
}

describe('amountsOfAnswers', () => {
  it('counts what is read and said: 100 prompts of 12 tokens, 10 more each, 40 rows at once', async () => {
    const amounts = amountsOfAnswers(await planOf(100, 12, { batchTokens: 40 * 22 }));
    expect(amounts).toMatchObject({
      blocks: 4,
      reads: 3,
      tokens: 100 * 11, // the last token of a prompt is read when its answer begins
      steps: 3 * 10,
      rows: 100 * 10,
    });
    // 927 × 96 of the head; a block has 4 · 96² + 3 · 96 · 256 + 2 · 96 numbers.
    expect(amounts.headBlocks).toBeCloseTo((927 * 96) / (4 * 96 ** 2 + 3 * 96 * 256 + 2 * 96), 12);
  });
});

describe('secondsOfAnswers', () => {
  it('multiplies what each part takes by how often it comes', () => {
    const amounts = { blocks: 2, headBlocks: 3, reads: 5, tokens: 7, steps: 11, rows: 13 };
    const rates = { open: 1, run: 0.1, row: 0.01, token: 0.001, choice: 0.0001 };
    const reading = 2 * (5 * 0.1 + 7 * 0.001);
    const saying = 2 * (11 * 0.1 + 13 * 0.01) + 13 * (3 * 0.001 + 0.0001);
    expect(secondsOfAnswers(amounts, rates)).toBeCloseTo(0.1 + 5 + reading + saying, 12);
  });
});

describe('predictAnswerSeconds', () => {
  it('measures a block of the model at hand, with prompts of one token too', async () => {
    for (const plan of [await planOf(30, 12), await planOf(3, 1)]) {
      const seconds = await predictAnswerSeconds(plan);
      expect(seconds).toBeGreaterThan(0.1);
      expect(seconds).toBeLessThan(60);
    }
  });
});

describe('answersPeakBytes', () => {
  it('grows with the batch by its keys and values and what comes of a step', async () => {
    const peak = async (rows: number): Promise<number> =>
      answersPeakBytes(await planOf(400, 12, { batchTokens: rows * 22 }));
    const [few, many] = [await peak(50), await peak(100)];
    // 24 slots of 768 numbers a row, twice since one batch's cache is there when the next begins.
    expect(many - few).toBeGreaterThan(50 * 2 * 24 * 768 * 4);
    expect(many - few).toBeLessThan(4 * 50 * 2 * 24 * 768 * 4);
  });
});
