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
    if (owner > 0 && owner !== process.pid && (await isAlive(owner))) {
      throw new UserError('RUN_BUSY', `process ${owner} is writing this run`, {
        where: path,
        fix: 'Wait for it, or stop it; if that process is another program, remove the lock file.',
      });
    }
    await rm(path, { force: true });
  }
}

/** Whether a process runs; one that is dead and only waits for its exit code to be asked for does not. */
async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
  // In a container nobody may ever ask, and signals still reach the dead; Linux says how it is.
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/^\d+ \(.*\) [ZX] /s.test(status);
}
