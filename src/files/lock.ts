/**
 * Keeps two processes from writing one folder.
 *
 * The lock is a file that holds its owner's process id. A lock whose owner is gone, as after kill −9
 * or a power cut, is taken over.
 */

import { open, readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, UserError } from '../base/errors.ts';
import { explainFileError } from './atomic.ts';

/** Takes the lock; the function that comes back gives it up. @throws {UserError} `RUN_BUSY` if it is held. */
export async function takeLock(path: string): Promise<() => Promise<void>> {
  for (let attempt = 0; ; attempt++) {
    try {
      const handle = await open(path, 'wx');
      await handle.writeFile(`${process.pid}\n`);
      await handle.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (!isErrno(error, 'EEXIST') || attempt > 3) throw explainFileError(error, path, 'USAGE');
    }
    const owner = Number((await readFile(path, 'utf8').catch(() => '')).trim());
    if (!(owner > 0) && attempt < 3) {
      await sleep(20); // its owner may be about to write its id
      continue;
    }
    if (owner > 0 && owner !== process.pid && isAlive(owner)) {
      throw new UserError('RUN_BUSY', `process ${owner} is writing this run`, {
        where: path,
        fix: 'Wait for it, or stop it; if that process is another program, remove the lock file.',
      });
    }
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
}
