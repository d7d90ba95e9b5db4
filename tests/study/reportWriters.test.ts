import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Finding } from '../../src/contract/report.ts';
import { openRun } from '../../src/record/run.ts';
import { extendReport, readReport } from '../../src/study/report.ts';
import { built } from '../support/build.ts';
import { writeFakeRun } from '../support/fakeRun.ts';
import { scratchPath } from '../support/scratch.ts';

const each = 20;

/** A run without a report. */
function runFolder(): string {
  const folder = scratchPath('run');
  writeFakeRun(folder, { topics: 4, layers: 1, hasReport: false });
  return folder;
}

/** Starts a process with the built program's `extendReport`, `readReport`, `openRun` and `takeLock` at hand. */
function start(script: string): ChildProcess {
  const from = (name: string, path: string): string =>
    `const { ${name} } = await import(${JSON.stringify(pathToFileURL(built(path)).href)});`;
  const lines = [
    from('extendReport', 'src/study/report.js'),
    from('readReport', 'src/study/report.js'),
    from('openRun', 'src/record/run.js'),
    from('takeLock', 'src/files/lock.js'),
    script,
  ];
  const child = spawn(process.execPath, ['--input-type=module', '-e', lines.join('\n')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

function finding(id: string): Finding {
  return { id, title: 't', text: 'x', caveat: 'c', evidence: [] };
}

describe('extendReport', () => {
  it('loses nothing when two processes add to one report at once', async () => {
    const folder = runFolder();
    const writers = ['a', 'b'].map((name) =>
      start(`
        const run = await openRun(${JSON.stringify(folder)});
        console.log('ready');
        await new Promise((go) => process.stdin.once('data', go));
        process.stdin.destroy();
        for (let i = 0; i < ${each}; i++) {
          const id = '${name}' + i;
          await extendReport(run, { findings: [{ ...${JSON.stringify(finding(''))}, id }] });
          // Neither goes on before the other has begun, however late that is scheduled.
          while ((await readReport(run)).findings.length < 2) await new Promise((go) => setTimeout(go, 5));
        }`),
    );
    await Promise.all(writers.map(({ stdout }) => once(stdout!, 'data')));
    const ends = writers.map((writer) => once(writer, 'close'));
    for (const { stdin } of writers) stdin!.write('go');
    expect((await Promise.all(ends)).map(([code]) => code)).toEqual([0, 0]);
    const { findings } = await readReport(await openRun(folder));
    const ids = findings.map(({ id }) => id);
    const wanted = ['a', 'b'].flatMap((name) => Array.from({ length: each }, (_, i) => name + i));
    expect(ids.toSorted()).toEqual(wanted.toSorted());
    expect(ids).not.toEqual(wanted); // they did take turns
    expect(readdirSync(folder).filter((name) => /lock|tmp/.test(name))).toEqual([]);
  }, 60_000);

  it('loses nothing when one process adds many entries at once', async () => {
    const run = await openRun(runFolder());
    const ids = Array.from({ length: each }, (_, i) => `c${i}`);
    await Promise.all(ids.map((id) => extendReport(run, { findings: [finding(id)] })));
    const { findings } = await readReport(run);
    expect(findings.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  });

  it('goes on after a process that was killed while it held the report', async () => {
    const folder = runFolder();
    const lock = join(folder, 'report.lock');
    const holder = start(`
      await takeLock(${JSON.stringify(lock)});
      console.log('held');
      setInterval(() => {}, 1000);`);
    await once(holder.stdout!, 'data');
    expect(existsSync(lock)).toBe(true);
    holder.kill('SIGKILL');
    await once(holder, 'close');
    expect(existsSync(lock)).toBe(true);
    const { findings } = await extendReport(await openRun(folder), { findings: [finding('d')] });
    expect(findings.map(({ id }) => id)).toEqual(['d']);
    expect(existsSync(lock)).toBe(false);
  });

  it('waits for a process that holds the report, and says so', async () => {
    const folder = runFolder();
    const holder = start(`
      const release = await takeLock(${JSON.stringify(join(folder, 'report.lock'))});
      console.log('held');
      await new Promise((go) => process.stdin.once('data', go));
      process.stdin.destroy();
      await release();`);
    await once(holder.stdout!, 'data');
    const notes: string[] = [];
    const progress = {
      begin() {},
      update() {},
      note(line: string): void {
        notes.push(line);
        holder.stdin!.write('go');
      },
    };
    const run = await openRun(folder);
    const { findings } = await extendReport(run, { findings: [finding('e')] }, progress);
    expect(findings.map(({ id }) => id)).toEqual(['e']);
    expect(notes).toEqual([expect.stringContaining(`waiting for process ${holder.pid}, `)]);
  });

  it('puts aside what was found before the run was added to', async () => {
    const folder = runFolder();
    await extendReport(await openRun(folder), { findings: [finding('before')] });
    const before = readFileSync(join(folder, 'report.json'), 'utf8');
    const { manifestSha256 } = await openRun(folder);
    appendFileSync(join(folder, 'manifest.json'), '\n'); // as --add would change it
    const run = await openRun(folder);
    expect((await readReport(run)).findings).toEqual([]);
    const notes: string[] = [];
    const progress = { begin() {}, update() {}, note: (line: string) => void notes.push(line) };
    for (const id of ['after', 'later']) {
      await extendReport(run, { findings: [finding(id)] }, progress);
    }
    const kept = `report.${manifestSha256.slice(0, 8)}.json`;
    expect(readFileSync(join(folder, kept), 'utf8')).toBe(before);
    expect(notes).toEqual([`the report of the run as it was before is kept as ${kept}`]);
    const { findings } = await readReport(run);
    expect(findings.map(({ id }) => id)).toEqual(['after', 'later']);
  });
});
