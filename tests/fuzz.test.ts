/**
 * Does damage to any file that we read end in a clear error or a right reading?
 *
 * `npm run fuzz` tries 5 000 cases; here are 300 others, and proof that the runner would notice.
 */

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { built } from './support/build.ts';

interface Summary {
  readonly cases: number;
  readonly refused: number;
  readonly read: number;
  readonly faulty: readonly { readonly id: number; readonly faults: readonly string[] }[];
  readonly by_kind: Readonly<Record<string, { readonly refused: number; readonly read: number }>>;
}

function fuzz(...options: readonly string[]): Summary & { readonly status: number | null } {
  built('src/cli/bin.js'); // fails here, with what the build said, if there is none
  const args = ['.ci/fuzz.mjs', '--built', '--json', ...options];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  return { status, ...(JSON.parse(stdout) as Summary) };
}

describe('reading', () => {
  it('refuses 300 damaged folders clearly or reads them rightly', { timeout: 120_000 }, () => {
    const {
      status,
      cases,
      refused,
      read,
      faulty,
      by_kind: kinds,
    } = fuzz('--cases=300', '--seed=2');
    expect(faulty).toEqual([]);
    expect([status, cases, refused + read]).toEqual([0, 300, 300]);
    // Both ways out are taken, and every kind of file has its share.
    expect(Math.min(refused, read)).toBeGreaterThan(30);
    expect(Math.min(...Object.values(kinds).map((kind) => kind.refused))).toBeGreaterThan(5);
  });

  it.each([
    ['crash', /^crashed/],
    ['hang', /^hung$/],
    ['memory', /^took \d+ MB$/],
    ['stray', /^looked outside: \/etc\/hostname$/],
    ['defect', /^defect: TypeError: planted/],
  ])('would see a planted %s', { timeout: 60_000 }, (plant, fault) => {
    const { status, faulty } = fuzz('--cases=1', `--plant=${plant}`);
    expect(status).toBe(1);
    expect(faulty).toMatchObject([
      { faults: expect.arrayContaining([expect.stringMatching(fault)]) },
    ]);
  });
});
