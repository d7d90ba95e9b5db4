/**
 * Places where there is no room, and how to make some.
 *
 * A limit on the size of files, as a shell sets it, is met by the same writes as a full disk. Where the
 * system lets us mount one, there is a small disk besides.
 */

import { spawnSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { scratchFolder } from './scratch.ts';

export interface SmallDisk {
  readonly folder: string;
  /** Takes all of its room but so many kB. */
  fill(freeKb: number): void;
  makeRoom(): void;
}

const mounted: string[] = [];

afterAll(() => {
  for (const folder of mounted) spawnSync('umount', [folder]);
});

/** A disk of so many kB that lives in memory; undefined where we may not mount one. */
export function smallDisk(kb: number): SmallDisk | undefined {
  const folder = scratchFolder('disk');
  const options = ['-t', 'tmpfs', '-o', `size=${kb}k`, 'tmpfs', folder];
  if (spawnSync('mount', options).status !== 0) return undefined;
  mounted.push(folder);
  const filler = join(folder, 'filler');
  return {
    folder,
    fill(freeKb) {
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(filler, new Uint8Array(bavail * bsize - freeKb * 1024));
    },
    makeRoom: () => rmSync(filler),
  };
}
