/**
 * Keeps two processes from writing one folder or file at a time.
 *
 * The lock is a file that holds its owner's process id and, where the system tells it, when that process
 * began: ids are given again, in a container within minutes. It appears whole, by a link to a file that
 * was written beside it. A lock whose owner is gone, as after kill −9 or a power cut, is taken over.
 */

import { randomUUID } from 'node:crypto';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrno, UserError } from '../base/errors.ts';
import { formatDuration } from '../base/units.ts';
import { explainFileError } from './atomic.ts';

export interface LockPatience {
  /** How long to wait for a lock that is held; 0, not at all, if left out. */
  readonly waitMs?: number;
  /** Told once who holds the lock, when the waiting has become noticeable. */
  readonly onWait?: (line: string) => void;
}

/** More tries than a crowd of processes needs to find out which of them was first. */
const mostTries = 200;
/** Waiting begins at the first of these and slows down to the second. */
const [firstPauseMs, longestPauseMs] = [5, 100];
/** Waiting that is shorter is not worth a line. */
const noticeableMs = 1000;

/** Locks that this process holds, by their full paths. */
const held = new Set<string>();

/**
 * Takes the lock; the function that comes back gives it up.
 *
 * @throws {UserError} `RUN_BUSY` if it is held, and still is when patience has come to its end.
 */
export async function takeLock(
  path: string,
  { waitMs = 0, onWait }: LockPatience = {},
): Promise<() => Promise<void>> {
  const began = performance.now();
  let pauseMs = firstPauseMs;
  let hasTold = false;
  for (let tries = 0; ; tries++) {
    const release = await tryLock(path);
    if (release !== null) return release;
    const holder = await holderOf(path);
    const waitedMs = performance.now() - began;
    const isPatient = waitedMs < waitMs;
    if (holder === 'gone' || holder === 'dead') {
      if (tries >= mostTries && !isPatient) throw busy('another process', path, waitMs);
      if (holder === 'dead') await removeDead(path);
      continue;
    }
    if (!isPatient) throw busy(`process ${holder}`, path, waitMs);
    if (!hasTold && waitedMs >= noticeableMs) {
      onWait?.(`waiting for process ${holder}, which is writing the same file — ${path}`);
      hasTold = true;
    }
    await sleep(Math.min(pauseMs, waitMs - waitedMs));
    pauseMs = Math.min(longestPauseMs, 1.5 * pauseMs);
  }
}

/** The lock, or null where the file is there already. */
async function tryLock(path: string): Promise<(() => Promise<void>) | null> {
  const key = resolve(path);
  const began = await beginningOf(process.pid);
  const text = `${[process.pid, ...(began === undefined ? [] : [began])].join(' ')}\n`;
  try {
    await create(path, text);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return null;
    throw explainFileError(error, path, 'USAGE');
  }
  held.add(key);
  return async () => {
    held.delete(key);
    await rm(path, { force: true });
  };
}

function busy(who: string, path: string, waitMs: number): UserError {
  const since = waitMs === 0 ? '' : ` and has been for ${formatDuration(waitMs)}`;
  return new UserError('RUN_BUSY', `${who} is writing this run${since}`, {
    where: path,
    fix: 'Wait for it, or stop it; if that process is another program, remove the lock file.',
  });
}

/** The process that holds the lock, perhaps this one; `gone` where the file is no more. */
async function holderOf(path: string): Promise<number | 'dead' | 'gone'> {
  let text = '';
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'gone';
  }
  const [pid, began] = text.trim().split(' ');
  const owner = Number(pid);
  if (!(owner > 0)) return 'dead';
  // One with our id that we do not hold was left by an earlier process.
  if (owner === process.pid) return held.has(resolve(path)) ? owner : 'dead';
  return (await isAlive(owner, began)) ? owner : 'dead';
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
    if ((await holderOf(path)) === 'dead') await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

/** Whether a process runs that began then, if that is said. */
async function isAlive(pid: number, began: string | undefined): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!isErrno(error, 'EPERM')) return false;
  }
  const status = await statusOf(pid);
  if (status === undefined) return true;
  // In a container nobody may ever ask for the exit code of the dead, and signals still reach them.
  if (['Z', 'X'].includes(status.state)) return false;
  return began === undefined || began === status.began;
}

/** When a process began, in the system's own clock; undefined where the system does not say. */
async function beginningOf(pid: number): Promise<string | undefined> {
  return (await statusOf(pid))?.began;
}

/** What Linux says of a process. @see proc_pid_stat(5): state is field 3, starttime field 22. */
async function statusOf(pid: number): Promise<{ state: string; began: string } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is the program's name in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.length < 20 ? undefined : { state: fields[0], began: fields[19] };
}
