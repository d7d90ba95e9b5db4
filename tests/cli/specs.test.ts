import { describe, expect, it } from 'vitest';
import type { CommandSpec } from '../../src/cli/args.ts';
import { command } from '../../src/cli/program.ts';
import { controlsSpec } from '../../src/cli/specs/controls.ts';
import { demoSpec } from '../../src/cli/specs/demo.ts';
import { doctorSpec } from '../../src/cli/specs/doctor.ts';
import { extractSpec } from '../../src/cli/specs/extract.ts';
import { generateSpec } from '../../src/cli/specs/generate.ts';
import { inspectSpec } from '../../src/cli/specs/inspect.ts';
import { paritySpec } from '../../src/cli/specs/parity.ts';
import { probeSpec } from '../../src/cli/specs/probe.ts';
import { detectSpec } from '../../src/cli/specs/detect.ts';
import { transferSpec } from '../../src/cli/specs/transfer.ts';
import { viewSpec } from '../../src/cli/specs/view.ts';
import { runLine } from './support.ts';

/** What a description makes of a command line. */
async function read<Args extends object>(spec: CommandSpec<Args>, line: string): Promise<unknown> {
  let found: unknown;
  const entry = command(spec, async () => async (args) => {
    found = args;
    return 0;
  });
  const { stderr } = await runLine([entry], `${spec.name}${line === '' ? '' : ' '}${line}`);
  return stderr === '' ? found : stderr;
}

const least = '--prompts p.jsonl --sites resid_post --positions last --out runs/x';

describe('extractSpec', () => {
  it('fills in what was not said', async () => {
    expect(await read(extractSpec, `./stage2 ${least}`)).toEqual({
      models: [{ name: 'stage2', model: './stage2' }],
      prompts: 'p.jsonl',
      sites: 'resid_post',
      positions: ['last'],
      out: 'runs/x',
      batchTokens: 512,
      plan: 'auto',
      store: 'float32',
      doctor: true,
      prefixSharing: true,
    });
  });

  it('reads all that can be said', async () => {
    const line =
      'base=a after=b --prompts p --sites resid_post.0-3,logits --positions last,token:2 --out r ' +
      '--batch-tokens 64 --threads 2 --memory-budget 4GB --plan streamed --store bfloat16 ' +
      '--token-limit 99 ' +
      '--force-reply column:reply --trigger x --sham y --twin 7 --add --dry-run --no-doctor ' +
      '--no-prefix-sharing --device webgpu ' +
      '--ignore-config-key a --ignore-config-key b';
    expect(await read(extractSpec, line)).toEqual({
      models: [
        { name: 'base', model: 'a' },
        { name: 'after', model: 'b' },
      ],
      prompts: 'p',
      sites: 'resid_post.0-3,logits',
      positions: ['last', 'token:2'],
      out: 'r',
      batchTokens: 64,
      threads: 2,
      plan: 'streamed',
      memoryBudget: 4 * 2 ** 30,
      store: 'bfloat16',
      tokenLimit: 99,
      forceReply: 'column:reply',
      trigger: 'x',
      sham: 'y',
      twin: 7,
      add: true,
      dryRun: true,
      doctor: false,
      prefixSharing: false,
      device: 'webgpu',
      ignoreConfigKey: ['a', 'b'],
    });
  });

  it('reads adapters and ways', async () => {
    const line = `base=a --adapter s=base+l@.5 --adapter t=s+m --scale 0,1 --between base..t --at .5 ${least}`;
    expect(await read(extractSpec, line)).toMatchObject({
      models: [{ name: 'base', model: 'a' }],
      adapter: [
        { name: 's', base: 'base', adapters: [{ path: 'l', scale: 0.5 }] },
        { name: 't', base: 's', adapters: [{ path: 'm' }] },
      ],
      scale: [0, 1],
      between: { from: 'base', to: 't' },
      at: [0.5],
    });
    expect(await read(extractSpec, least)).toContain('error: no checkpoint is named');
  });

  it('takes 0 for the seed of a twin that names none', async () => {
    expect(await read(extractSpec, `./stage2 ${least} --twin`)).toMatchObject({ twin: 0 });
  });

  it.each([
    [`a/x b/x ${least}`, 'error: two checkpoints are called "x" — a/x and b/x'],
    [`x ${least} --store float16`, 'error: option "--store <dtype>" argument "float16" is invalid'],
    [
      `x ${least} --memory-budget lots`,
      'error: "lots" is not an amount of memory — --memory-budget',
    ],
    ['x --sites logits --positions last --out r', 'error: required option "--prompts <file>" not'],
  ])('refuses "%s"', async (line, error) => {
    expect(await read(extractSpec, line)).toContain(error);
  });
});

describe('probeSpec', () => {
  it('has the defaults of the documentation', async () => {
    expect(await read(probeSpec, 'runs/x --label harmful')).toEqual({
      run: 'runs/x',
      label: 'harmful',
      estimator: 'mean_difference',
      baselines: true,
      folds: 5,
      seed: 0,
      c: 1,
      intercept: true,
    });
  });

  it('turns the intercept off', async () => {
    const args = await read(probeSpec, 'r --label y --no-intercept --standardise --c .1');
    expect(args).toMatchObject({ intercept: false, standardise: true, c: 0.1 });
  });
});

describe('the other descriptions', () => {
  it('read their operands', async () => {
    expect(await read(inspectSpec, 'm --check')).toEqual({ model: 'm', check: true });
    expect(await read(paritySpec, 'm --golden g.json')).toEqual({ model: 'm', golden: 'g.json' });
    expect(await read(viewSpec, 'a b --port 0')).toEqual({ runs: ['a', 'b'], port: 0 });
    expect(await read(controlsSpec, '--fpr .05')).toEqual({ fpr: 0.05, alarms: 3, level: 0.95 });
    expect(await read(demoSpec, '--no-view')).toEqual({ view: false, port: 7411 });
  });

  it.each([
    ...readings(extractSpec),
    ...readings(probeSpec),
    ...readings(controlsSpec),
    ...readings(transferSpec),
    ...readings(detectSpec),
    ...readings(inspectSpec),
    ...readings(doctorSpec),
    ...readings(paritySpec),
    ...readings(viewSpec),
    ...readings(demoSpec),
  ])('can themselves read their example "%s"', async (_line, reading) => {
    expect(await reading()).toBeTypeOf('object');
  });
});

/** Each example's line, and what reads it. */
function readings<Args extends object>(
  spec: CommandSpec<Args>,
): readonly [string, () => Promise<unknown>][] {
  return spec.examples.map(({ line }) => [
    line,
    () => read(spec, line.split(' ').slice(2).join(' ')),
  ]);
}

describe('generateSpec', () => {
  it('fills in what was not said', async () => {
    expect(await read(generateSpec, './stage2 --prompts p.jsonl --out a.jsonl')).toEqual({
      models: [{ name: 'stage2', model: './stage2' }],
      prompts: 'p.jsonl',
      out: 'a.jsonl',
      maxTokens: 64,
      temperature: 0,
      seed: 0,
      prefixSharing: true,
    });
  });

  it('reads all that can be said', async () => {
    const line =
      '--prefill a --decode b --prompts p --out o --max-tokens 20 --temperature .7 --top-p .9 --seed 3 ' +
      '--stop x --stop y --batch-tokens 64 --no-prefix-sharing --threads 2 --memory-budget 4GB ' +
      '--ignore-config-key k';
    expect(await read(generateSpec, line)).toEqual({
      models: [],
      prefill: 'a',
      decode: 'b',
      prompts: 'p',
      out: 'o',
      maxTokens: 20,
      temperature: 0.7,
      topP: 0.9,
      seed: 3,
      stop: ['x', 'y'],
      batchTokens: 64,
      prefixSharing: false,
      threads: 2,
      memoryBudget: 4 * 2 ** 30,
      ignoreConfigKey: ['k'],
    });
  });

  it.each([
    ['--prefill a', 'a splice needs a model that reads and one that writes'],
    ['m --decode b', 'a splice needs a model that reads and one that writes'],
    ['', 'no checkpoint is named'],
    ['--prefill a --decode b --scale .5', 'no checkpoint is named'],
    ['m --scale .5', '--scale is for adapters, and there is none'],
    ['m --between a..b', '--between needs --at'],
    ['a/x b/x', 'two checkpoints are called "x"'],
    ['m --top-p .5', '--top-p does nothing where the likeliest token is taken'],
    ['m --top-p 1.5 --temperature 1', '"1.5" is not a share above 0, at most 1'],
    ['m --temperature -1', '"-1" is not a number above 0'],
    ['m --max-tokens 0', '"0" is not a whole number, 1 or more'],
  ])('refuses "%s"', async (line, what) => {
    expect(await read(generateSpec, `${line} --prompts p --out o`.trim())).toContain(what);
  });

  it.each(['0', '0.0', '.0', '+0'])('reads a temperature of %s as none', async (text) => {
    const args = await read(generateSpec, `m --prompts p --out o --temperature ${text}`);
    expect(args).toMatchObject({ temperature: 0 });
  });
});
