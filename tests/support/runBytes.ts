/** The bytes of a run folder, for tests that hold an interrupted run against one that was left alone. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../../src/base/errors.ts';

/** Path → bytes of every file of a run but its logs. */
export function contentsOf(folder: string): Map<string, Buffer> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !path.startsWith('logs'))
    .sort();
  return new Map(files.map((path) => [path, readFileSync(join(folder, path))]));
}

/** Paths that are in one folder only, or hold other bytes. */
export function differences(folder: string, wanted: ReadonlyMap<string, Buffer>): string[] {
  const got = contentsOf(folder);
  const paths = new Set([...got.keys(), ...wanted.keys()]);
  return [...paths].filter((path) => {
    const [a, b] = [got.get(path), wanted.get(path)];
    return a === undefined || b === undefined || !a.equals(b);
  });
}

/** Text of a file of a growing run; '' while there is none. */
export function growingText(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, '.partial', name), 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}

/** The process that writes a run; NaN for none. */
export function writerOf(folder: string): number {
  return Number.parseInt(growingText(folder, 'lock'), 10);
}
