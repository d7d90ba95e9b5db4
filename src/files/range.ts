/**
 * How do we read a part of a file that may be larger than memory, or not what it seems?
 *
 * Only regular files are opened, and a range is read whole or refused. The caller has checked the
 * range against the file's size, so nothing is allocated that the file does not hold.
 */

import { open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { UserError } from '../base/errors.ts';
import { explainFileError } from './atomic.ts';

/** Opens a regular file for reading, hands it over with its real path and size, and closes it. */
export async function withFile<T>(
  path: string,
  use: (handle: FileHandle, real: string, size: number) => Promise<T>,
): Promise<T> {
  try {
    const real = await realpath(path);
    const kind = await stat(real); // before opening: to open a pipe is to wait for its writer
    if (!kind.isFile())
      throw new UserError('CHECKPOINT_CORRUPT', 'this is a folder or a device, not a file', {
        where: path,
        fix: 'Name a file.',
      });
    const handle = await open(real, 'r');
    try {
      return await use(handle, real, (await handle.stat()).size);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw explainFileError(error, path, 'CHECKPOINT_MISSING');
  }
}

/** node:fs takes at most 2³¹ − 1 bytes at a time. */
const maxReadBytes = 2 ** 30;

/** `length` bytes from byte `begin` on, in a buffer of their own. @throws {UserError} `CHECKPOINT_CORRUPT` if the file ends first. */
export async function readRange(
  handle: FileHandle,
  path: string,
  begin: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = allocate(length, path);
  for (let done = 0; done < length;) {
    const step = Math.min(length - done, maxReadBytes);
    const { bytesRead } = await handle.read(bytes, done, step, begin + done);
    if (bytesRead === 0) {
      throw new UserError('CHECKPOINT_CORRUPT', `the file ends before byte ${begin + length}`, {
        where: path,
        fix: 'Let nothing write to the file while it is read, or copy it again.',
      });
    }
    done += bytesRead;
  }
  return bytes;
}

function allocate(length: number, path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new UserError('NOT_ENOUGH_MEMORY', `cannot hold ${length} bytes of one tensor`, {
      where: path,
      fix: 'Close other programs or use a machine with more memory.',
      cause,
    });
  }
}
