/**
 * Does the doctor say RIGHT of what is right, and does every check fail where its own fault is planted?
 *
 * A check that no fault can make fail is worth nothing, so each has its fault here, made in the graph,
 * in the architecture, in the weights or in the files of a checkpoint.
 */

import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Architecture } from '../../models/architecture.ts';
import type { Model } from '../../models/model.ts';
import { openModel } from '../../models/model.ts';
import { openCheckpoint } from '../../src/files/checkpoint.ts';
import type { Value } from '../../src/graph/onnx.ts';
import { examine, examineQuickly, wordOf, type Examination } from '../../src/record/doctor.ts';
import { riseOf } from '../../src/record/evidence.ts';
import { rowDifference, verdictOf, type Check } from '../../src/record/examination.ts';
import { checkHead } from '../../src/record/headCheck.ts';
import { checkTokenizer, checkWeights } from '../../src/record/health.ts';
import { checkFinite } from '../../src/record/identities.ts';
import { checkDevice, checkGreedy } from '../../src/record/invariances.ts';
import {
  allSites,
  openPasses,
  samplePrompts,
  windowOf,
  type Subject,
} from '../../src/record/passes.ts';
import { faults } from '../../src/record/tampering.ts';
import { variantCases, variantModel, wholeCases } from '../support/families.ts';
import {
  goldenFolder,
  modelIn,
  organismFolder,
  readJson,
  readTensors,
  withKeys,
  writeTensors,
  type Json,
  type Tensor,
} from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

const tale = goldenFolder('stories260K');

async function examined(folder: string, prompts?: string): Promise<Examination> {
  const checkpoint = await openCheckpoint(folder);
  const model = await openModel(checkpoint);
  return await examine(
    { model, threads: 1 },
    { config: checkpoint.config, ...(prompts === undefined ? {} : { textPath: prompts }) },
  );
}

function outcomes(checks: readonly Check[]): Record<string, string> {
  return Object.fromEntries(checks.map(({ id, outcome }) => [id, outcome]));
}

function failures(checks: readonly Check[]): string[] {
  return checks.flatMap(({ id, outcome }) => (outcome === 'fails' ? id : []));
}

function found(checks: readonly Check[], id: string): Check {
  const check = checks.find((candidate) => candidate.id === id);
  if (check === undefined) throw new Error(`no check "${id}"`);
  return check;
}

/** The model with another equation of its blocks. */
function withBlock(model: Model, block: Architecture['block']): Model {
  return { ...model, architecture: { ...model.architecture, block } };
}

describe('examine', () => {
  it.each(wholeCases)('says RIGHT of %s', async (name) => {
    const { verdict, checks, trials } = await examined(goldenFolder(name));
    expect(checks.filter(({ outcome }) => !/holds|left out/.test(outcome))).toEqual([]);
    expect(verdict).toBe('RIGHT');
    expect(trials.filter(({ kind }) => kind === 'structure').length).toBeGreaterThan(1);
  });

  it.each(readdirSync(organismFolder('')).filter((name) => !name.includes('.')))(
    'says RIGHT of the organism %s, by itself and with its own prompts',
    async (name) => {
      const alone = await examined(organismFolder(name));
      expect(alone.verdict).toBe('RIGHT');
      expect(found(alone.checks, 'text').detail).toBe(
        'the tokenizer does not know the words of the built-in text; give --prompts',
      );
      const reading = await examined(organismFolder(name), organismFolder('prompts.jsonl'));
      expect(reading.verdict).toBe('RIGHT');
      expect(outcomes(reading.checks)['text']).toBe('holds');
    },
  );

  it('tells which faults of structure it notices, and by which check', async () => {
    const { trials } = await examined(goldenFolder('gemma2'));
    const noticed = trials.map(({ id, noticedBy }) => [id, noticedBy]);
    expect(Object.fromEntries(noticed)).toEqual({
      future: ['patterns', 'prefix'],
      branch: ['stream'],
      head: ['head'],
      epsilon: [],
      gain: ['head'],
      scale: [],
      cap: [],
      pairs: [],
      order: [],
      theta: [],
      low_theta: [],
      windows: [],
    });
  });

  it('sees by text what no identity can, where the model was trained', async () => {
    const { trials, reading } = await examined(tale);
    const risen = trials.filter(({ rise }) => rise !== null && rise.nats > 4 * rise.error);
    expect(risen.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['gain', 'scale', 'pairs', 'order', 'theta', 'low_theta', 'gelu']),
    );
    // 512 tokens: a model that knows nothing loses 6.24 nats a token.
    expect(reading?.uniform).toBeCloseTo(Math.log(512), 12);
    expect(reading?.loss).toBeLessThan(2.5);
  });

  it.each([
    ['rotary base ÷ 10', { rope_theta: 100_000 }],
    ['SiLU for the activation', { hidden_act: 'gelu' }],
  ])('says AMBIGUOUS where text is read better with %s', async (title, keys: Json) => {
    const { verdict, checks } = await examined(withKeys(tale, keys));
    expect(verdict).toBe('AMBIGUOUS');
    expect(found(checks, 'text').detail).toContain(`read better with "${title}" by`);
    expect(failures(checks)).toEqual([]);
  });

  it('says AMBIGUOUS where a fault could not be noticed: a branch that adds nothing', async () => {
    const folder = withTensors(tale, (tensors) => {
      const name = [...tensors.keys()].find((key) => /layers\.0\..*o_proj/.test(key)) ?? '';
      const tensor = tensors.get(name);
      if (tensor === undefined) throw new Error('no output map');
      tensors.set(name, { ...tensor, bytes: Buffer.alloc(tensor.bytes.length) });
    });
    const { verdict, checks } = await examined(folder);
    expect(verdict).toBe('AMBIGUOUS');
    expect(found(checks, 'sight').detail).toBe('not noticed: attn_out is tapped at twice its size');
    expect(found(checks, 'weights').detail).toBe(
      'layers.0.self_attn.o_proj.weight holds one number only',
    );
  });
});

describe('examineQuickly', () => {
  it.each(variantCases)('finds nothing in %s', async (name) => {
    const checks = await examineQuickly({ model: await variantModel(name), threads: 1 });
    expect(checks.filter(({ outcome }) => outcome !== 'holds')).toEqual([]);
  });

  const planted: readonly (readonly [string, string, readonly string[]])[] = [
    ['future', 'llama_mha', ['patterns', 'prefix', 'padding']],
    ['future', 'mistral_sliding', ['patterns', 'prefix', 'padding']],
    ['branch', 'gpt2', ['stream']],
    ['branch', 'gpt_neox', ['stream']],
    ['branch', 'olmo2', ['stream']],
    ['branch', 'opt_350m', ['stream']],
    ['head', 'gpt2', ['head']],
    ['head', 'gemma2', ['head']],
    ['head', 'phi', ['head']],
  ];
  it.each(planted)('sees the fault "%s" in %s', async (id, name, ids) => {
    const model = await modelIn(goldenFolder(name));
    const subject = faults.find((fault) => fault.id === id)?.make({ model, threads: 1 });
    if (subject === null || subject === undefined) throw new Error('no such fault');
    const checks = await examineQuickly(subject);
    expect(failures(checks)).toEqual(ids);
    expect(verdictOf(checks)).toBe('WRONG');
  });

  it.each([
    ['longer', 1],
    ['shorter', -1],
  ])('sees a window that is %s than the settings say', async (_, step) => {
    const model = await modelIn(goldenFolder('mistral_sliding'));
    const { architecture } = model;
    const window = (windowOf(model, 0) ?? 0) + step;
    const wrong = withBlock(model, (g, frame, ports, settings, layer, x) =>
      architecture.block(g, frame, ports, { ...settings, window }, layer, x),
    );
    expect(failures(await examineQuickly({ model: wrong, threads: 1 }))).toEqual(['patterns']);
  });

  it('sees taps that change what flows', async () => {
    const model = await modelIn(goldenFolder('gpt2'));
    const { architecture } = model;
    const wrong = withBlock(model, (g, frame, ports, settings, layer, x): Value => {
      const half = g.floats(`half_${layer}`, [1], Float32Array.of(0.5));
      const changed = ports.wantsPattern ? g.mul(x, half) : x;
      return architecture.block(g, frame, ports, settings, layer, changed);
    });
    const ids = failures(await examineQuickly({ model: wrong, threads: 1 }));
    expect(ids).toContain('taps');
    expect(ids).not.toContain('padding');
  });

  it('sees a model that depends on the padding', async () => {
    const model = await modelIn(goldenFolder('gpt2'));
    const { architecture } = model;
    const wrong: Model = {
      ...model,
      architecture: {
        ...architecture,
        embed(g, frame, params, settings) {
          const length = g.cast(g.sizes(frame.positions, 1, 2), 'float32');
          const share = g.floats('share', [1], Float32Array.of(0.01));
          return g.add(architecture.embed(g, frame, params, settings), g.mul(length, share));
        },
      },
    };
    const ids = failures(await examineQuickly({ model: wrong, threads: 1 }));
    // A layer norm takes a constant out again: the stream shows it, and the bare logits need not.
    expect(ids).toEqual(['padding']);
  });

  it('sees a norm that is of another kind than its tensors', async () => {
    const model = await modelIn(goldenFolder('gemma'));
    const { gainOffset, ...architecture } = model.architecture;
    expect(gainOffset).toBe(1);
    const ids = failures(await examineQuickly({ model: { ...model, architecture }, threads: 1 }));
    expect(ids).toEqual(['head']);
  });
});

describe('checkHead', () => {
  it('fails where the graph reads other bytes than the checkpoint’s', async () => {
    const model = await modelIn(tale);
    const folder = withTensors(tale, (tensors) => {
      const tensor = tensors.get('model.norm.weight');
      if (tensor === undefined) throw new Error('no norm');
      const bytes = Buffer.from(tensor.bytes);
      bytes.writeFloatLE(bytes.readFloatLE(0) + 1, 0);
      tensors.set('model.norm.weight', { ...tensor, bytes });
    });
    const other = await modelIn(folder);
    const prompts = samplePrompts(model, 1);
    const passes = await openPasses({ model, threads: 1 }, allSites(model), prompts[0].length);
    const at = await passes.run({ prompts });
    await passes.close();
    expect((await checkHead(at, model, prompts)).outcome).toBe('holds');
    expect((await checkHead(at, other, prompts)).outcome).toBe('fails');
  });
});

describe('checkFinite', () => {
  it('names the first number that is none', () => {
    const fetched = { data: Float32Array.of(1, Number.NaN), shape: [1, 2] };
    expect(checkFinite({ 'resid_post.0': fetched })).toMatchObject({
      outcome: 'fails',
      detail: 'NaN in resid_post.0',
    });
  });
});

describe('checkGreedy', () => {
  it('fails where a batch says something else', async () => {
    const model = await modelIn(goldenFolder('llama_mha'));
    // Only the batched pass is tampered with: its logits change sign.
    const subject: Subject = {
      model,
      threads: 1,
      tamper: (graph) => ({
        ...graph,
        nodes: graph.nodes.map((node) =>
          node.outputs[0] === 'logits' ? { ...node, op: 'Neg' } : node,
        ),
      }),
    };
    const prompts = samplePrompts(model, 0);
    expect((await checkGreedy({ model, threads: 1 }, prompts)).outcome).toBe('holds');
    const check = await checkGreedy(subject, prompts);
    expect(check.outcome).toBe('fails');
    expect(check.detail).toMatch(/^prompt 0 goes on with token \d+ alone and \d+ in a batch/);
  });
});

describe('checkDevice', () => {
  it('is unclear where the numbers move, by how much', async () => {
    const model = await modelIn(goldenFolder('gpt2'));
    const row = (value: number) => ({ logits: { data: Float32Array.of(1, value), shape: [1, 2] } });
    expect(checkDevice(row(0.5), row(0.5), model, 'gpu').outcome).toBe('holds');
    expect(checkDevice(row(0.5), row(0.5 + 2 ** -20), model, 'gpu').worst).toBe(16);
    expect(checkDevice(row(0.5), row(0.51), model, 'gpu').outcome).toBe('unclear');
  });
});

describe('checkWeights', () => {
  const change = (folder: string, edit: (tensors: Map<string, Tensor>) => void) =>
    modelIn(withTensors(folder, edit));

  it('finds a NaN', async () => {
    const model = await change(tale, (tensors) => {
      const [name, tensor] = [...tensors][3];
      const bytes = Buffer.from(tensor.bytes);
      bytes.writeFloatLE(Number.NaN, 8);
      tensors.set(name, { ...tensor, bytes });
    });
    const check = await checkWeights(model);
    expect(check.outcome).toBe('fails');
    expect(check.detail).toMatch(/holds a NaN or an infinity$/);
  });

  it('finds a layer that is there twice', async () => {
    const model = await change(tale, (tensors) => {
      const source = tensors.get('model.layers.0.mlp.up_proj.weight');
      if (source !== undefined) tensors.set('model.layers.2.mlp.up_proj.weight', source);
    });
    expect(await checkWeights(model)).toMatchObject({
      outcome: 'unclear',
      detail: 'layers.2.mlp.up_proj.weight is layers.0.mlp.up_proj.weight',
    });
  });
});

describe('checkTokenizer', () => {
  it('fails where the tokenizer has ids that the embedding lacks', async () => {
    const folder = withKeys(tale, {});
    const tokenizer = readJson(join(folder, 'tokenizer.json'));
    const added = Array.isArray(tokenizer['added_tokens']) ? tokenizer['added_tokens'] : [];
    const extra = { ...Object(added[0]), id: 600, content: '<extra>' };
    const text = JSON.stringify({ ...tokenizer, added_tokens: [...added, extra] });
    writeFileSync(join(folder, 'tokenizer.json'), text);
    const { config } = await openCheckpoint(folder);
    expect(await checkTokenizer(await modelIn(folder), config)).toMatchObject({
      outcome: 'fails',
      detail: 'the tokenizer gives ids up to 600, the embedding has 512 rows',
    });
  });

  it('is unclear where both name another special token', async () => {
    const folder = withKeys(tale, { eos_token_id: 7 });
    const { config } = await openCheckpoint(folder);
    expect(await checkTokenizer(await modelIn(folder), config)).toMatchObject({
      outcome: 'unclear',
      detail: 'eos is 7 in config.json and 2 in the tokenizer',
    });
  });
});

describe('rowDifference', () => {
  it('counts floors of each row’s own largest element, and keeps a NaN', () => {
    const a = Float32Array.of(1, 0, 1024, 0);
    expect(rowDifference(a, a, 2)).toBe(0);
    expect(rowDifference(a, Float32Array.of(1, 2 ** -24, 1024, 0), 2)).toBe(1);
    expect(rowDifference(a, Float32Array.of(1, 0, 1024, 2 ** -14), 2)).toBe(1);
    expect(rowDifference(a, Float32Array.of(Number.NaN, 0, 1024, 0), 2)).toBe(Infinity);
    expect(rowDifference(a, a.subarray(2), 2)).toBe(Infinity);
  });
});

describe('riseOf', () => {
  it('is the mean over tokens, with the error of a mean over texts', () => {
    const right = [
      [1, 1],
      [1, 1],
      [1, 1],
    ];
    const wrong = [
      [2, 2],
      [3, 3],
      [4, 4],
    ];
    const { nats, error } = riseOf(right, wrong);
    expect(nats).toBe(2);
    // Texts rise by 1, 2 and 3: a standard deviation of 1, over √3.
    expect(error).toBeCloseTo(1 / Math.sqrt(3), 12);
  });
});

describe('wordOf', () => {
  it('is short, and counts what was checked', () => {
    const base = { title: '', detail: '' };
    const checks = [
      { ...base, id: 'a', outcome: 'holds', worst: 2, allowed: 4 },
      { ...base, id: 'b', outcome: 'holds', worst: null, allowed: null },
      { ...base, id: 'c', outcome: 'left out', worst: null, allowed: null },
    ] as const;
    expect(wordOf(checks)).toEqual({ verdict: 'RIGHT', checks: 2, worst: 0.5, version: 3 });
    const broken = [{ ...checks[0], outcome: 'fails', worst: Infinity }] as const;
    expect(wordOf(broken)).toMatchObject({ verdict: 'WRONG', worst: null });
  });
});

/** A checkpoint of one file, with other weights. */
function withTensors(folder: string, edit: (tensors: Map<string, Tensor>) => void): string {
  const copy = scratchFolder('model');
  const tensors = readTensors(join(folder, 'model.safetensors'));
  edit(tensors);
  writeTensors(join(copy, 'model.safetensors'), tensors);
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(join(folder, name), join(copy, name));
  }
  return copy;
}
