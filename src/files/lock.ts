/**
 * Keeps two processes from writing one folder.
 *
 * The lock is a file that holds its owner's process id. It appears whole, by a link to a file that was
 * written beside it. A lock whose owner is gone, as after kill −9 or a power cut, is taken over.
 */

import { randomUUID } from 'node:crypto';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, UserError } from '../base/errors.ts';
import { explainFileError } from './atomic.ts';

/** More tries than a crowd of processes needs to find out which of them was first. */
const mostTries = 200;

/** Takes the lock; the function that comes back gives it up. @throws {UserError} `RUN_BUSY` if it is held. */
export async function takeLock(path: string): Promise<() => Promise<void>> {
  for (let tries = 0; tries < mostTries; tries++) {
    try {
      await create(path, `${process.pid}\n`);
      return () => rm(path, { force: true });
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw explainFileError(error, path, 'USAGE');
    }
    const owner = await ownerOf(path);
    if (owner !== undefined) throw busy(`process ${owner}`, path);
    await removeDead(path);
  }
  throw busy('another process', path);
}

function busy(who: string, path: string): UserError {
  return new UserError('RUN_BUSY', `${who} is writing this run`, {
    where: path,
    fix: 'Wait for it, or stop it; if that process is another program, remove the lock file.',
  });
}

/** The process that holds the lock; undefined where it is this one, or dead. */
async function ownerOf(path: string): Promise<number | undefined> {
  const pid = Number((await readFile(path, 'utf8').catch(() => '')).trim());
  return pid > 0 && pid !== process.pid && (await isAlive(pid)) ? pid : undefined;
}

/** Makes a file that did not exist, with its text from the first moment. @throws `EEXIST` */
async function create(path: string, text: string): Promise<void> {
  const beside = `${path}.${randomUUID()}`;
  try {
    await writeFile(beside, text);
    await link(beside, path);
  } catch (error) {
    // Some file systems have no links; there the text comes a moment after the name.
    if (!['EPERM', 'ENOTSUP', 'ENOSYS'].some((code) => isErrno(error, code))) throw error;
    await writeFile(path, text, { flag: 'wx' });
  } finally {
    await rm(beside, { force: true });
  }
}

/** A removal takes milliseconds; what is older was left by a process that died at it. */
const stalemateMs = 10_000;

/**
 * Removes the lock of a dead owner. Only one process at a time may: another could hold a finding of
 * "dead" from before the lock was taken over, and remove its new owner's.
 */
async function removeDead(path: string): Promise<void> {
  const guard = `${path}.removing`;
  try {
    await create(guard, `${process.pid}\n`);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw explainFileError(error, path, 'USAGE');
    const age =
      Date.now() -
      (await stat(guard).then(
        ({ mtimeMs }) => mtimeMs,
        () => Date.now(),
      ));
    if (age > stalemateMs) await rm(guard, { force: true });
    else await sleep(10);
    return;
  }
  try {
    if ((await ownerOf(path)) === undefined) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
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
