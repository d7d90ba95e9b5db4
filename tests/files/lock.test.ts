import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { takeLock } from '../../src/files/lock.ts';
import { built } from '../support/build.ts';
import { scratchPath } from '../support/scratch.ts';

/** Starts a shell and gives the first number that it prints. */
async function numberFrom(script: string): Promise<number> {
  const shell = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void shell.kill('SIGKILL'));
  const [text]: Buffer[] = await once(shell.stdout, 'data');
  return Number(text.toString());
}

function holderIn(path: string): number {
  return Number.parseInt(readFileSync(path, 'utf8'), 10);
}

describe('takeLock', () => {
  it("holds this process's id until it is given up", async () => {
    const path = scratchPath('lock');
    const release = await takeLock(path);
    expect(holderIn(path)).toBe(process.pid);
    await release();
    expect(existsSync(path)).toBe(false);
  });

  it('is not taken twice by one process', async () => {
    const path = scratchPath('lock');
    const release = await takeLock(path);
    await expect(takeLock(path)).rejects.toMatchObject({ code: 'RUN_BUSY' });
    await release();
    await (
      await takeLock(path)
    )();
  });

  it('refuses a lock whose owner runs', async () => {
    const path = scratchPath('lock');
    const owner = await numberFrom('echo $$; exec sleep 60');
    writeFileSync(path, `${owner}\n`);
    await expect(takeLock(path)).rejects.toThrow(`process ${owner} is writing this run — ${path}`);
    expect(readFileSync(path, 'utf8')).toBe(`${owner}\n`);
  });

  it.each([
    ['a process that is no more', '2147483646\n'],
    ['nobody, as after a death in mid-write', ''],
    ['something else', 'garbage'],
  ])('takes over the lock of %s', async (_, text) => {
    const path = scratchPath('lock');
    writeFileSync(path, text);
    const release = await takeLock(path);
    expect(holderIn(path)).toBe(process.pid);
    await release();
  });

  it('takes over a lock whose owner’s id another process was given', async () => {
    const path = scratchPath('lock');
    const stranger = await numberFrom('echo $$; exec sleep 60');
    writeFileSync(path, `${stranger} 1\n`); // nothing but the system itself began in its first hundredth of a second
    if (existsSync('/proc')) await (await takeLock(path))();
    else await expect(takeLock(path)).rejects.toMatchObject({ code: 'RUN_BUSY' });
    writeFileSync(path, `${process.pid} 1\n`); // ours, from before a container was started again
    await (
      await takeLock(path)
    )();
  });

  it('waits as long as it is told to, and says for whom', async () => {
    const path = scratchPath('lock');
    const owner = await numberFrom('echo $$; exec sleep 60');
    writeFileSync(path, `${owner}\n`);
    const lines: string[] = [];
    const waiting = takeLock(path, { waitMs: 1500, onWait: (line) => lines.push(line) });
    await expect(waiting).rejects.toThrow(
      `process ${owner} is writing this run and has been for 1.5 s — ${path}`,
    );
    expect(lines).toEqual([
      `waiting for process ${owner}, which is writing the same file — ${path}`,
    ]);
  });

  it('is taken once it is free by one who waits', async () => {
    const path = scratchPath('lock');
    const release = await takeLock(path);
    const order: string[] = [];
    const takesSecond = async (): Promise<void> => {
      const give = await takeLock(path, { waitMs: 20_000 });
      order.push('second');
      await give();
    };
    const second = takesSecond();
    await sleep(100);
    order.push('first');
    await release();
    await second;
    expect(order).toEqual(['first', 'second']);
  });

  it('takes over the lock of a process that is dead and whose parent never asked for its exit code', async () => {
    const path = scratchPath('lock');
    // The shell becomes a sleeper that knows nothing of the child it inherits.
    const owner = await numberFrom('sleep 1 & echo $!; exec sleep 60');
    await expect
      .poll(() => (existsSync('/proc') ? readFileSync(`/proc/${owner}/stat`, 'utf8') : ') Z '), {
        timeout: 10_000,
      })
      .toContain(') Z ');
    writeFileSync(path, `${owner}\n`);
    await (
      await takeLock(path)
    )();
  });

  it('is taken by one of many processes that find a dead owner at the same moment', async () => {
    const path = scratchPath('lock');
    writeFileSync(path, '2147483646\n');
    const script = `
      const { takeLock } = await import(${JSON.stringify(pathToFileURL(built('src/files/lock.js')).href)});
      await new Promise((go) => setTimeout(go, ${Date.now() + 1500} - Date.now()));
      const word = await takeLock(${JSON.stringify(path)}).then(() => 'TAKEN', ({ code }) => code);
      console.log(word);
      await new Promise((end) => setTimeout(end, 1000));`;
    const racers = Array.from({ length: 6 }, async () => {
      const node = spawn(process.execPath, ['--input-type=module', '-e', script]);
      const [text]: Buffer[] = await once(node.stdout, 'data');
      await once(node, 'close');
      return text.toString().trim();
    });
    const words = await Promise.all(racers);
    expect(words.toSorted()).toEqual([...Array<string>(5).fill('RUN_BUSY'), 'TAKEN']);
  }, 30_000);
});
