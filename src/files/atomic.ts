/**
 * How does a file appear whole or not at all?
 *
 * It is written beside its place under a temporary name, forced to disk, renamed over, and the folder
 * is forced to disk too, so that after a crash or a power cut a reader finds the old file or the new
 * one and nothing between. Faults of the disk that a user can mend leave here as `UserError`.
 */

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm, statfs, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type ErrorCode, isDiskFull, isErrno, UserError } from '../base/errors.ts';

/** What a file is to hold: at once, or piece by piece so that it never lies in memory whole. */
export type FileContent =
  | string
  | Uint8Array
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>;

/**
 * Writes `path` so that it holds either what it held before or all of `content`; makes the folders
 * above it as needed.
 *
 * @throws {UserError} `DISK_FULL`, or `USAGE` where the path cannot be written to.
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  const folder = dirname(resolve(path));
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    await mkdir(folder, { recursive: true });
    const handle = await open(temporary, 'wx');
    try {
      await writeAll(handle, content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one to tell
    throw explainFileError(error, path, 'USAGE');
  }
}

/** Characters of short pieces that are written together: a call for each line takes longer than the disk. */
const gathered = 2 ** 16;

async function writeAll(handle: FileHandle, content: FileContent): Promise<void> {
  if (typeof content === 'string' || content instanceof Uint8Array) {
    return await handle.appendFile(content);
  }
  let text = '';
  for await (const piece of content) {
    if (typeof piece === 'string' && text.length + piece.length < gathered) {
      text += piece;
      continue;
    }
    if (text !== '') await handle.appendFile(text);
    text = '';
    await handle.appendFile(piece);
  }
  if (text !== '') await handle.appendFile(text);
}

/** Forces a folder's list of names to disk; does nothing where the system offers no such thing. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    // Windows cannot open a folder, some network disks cannot sync one; the rename itself has happened.
    if (!['EPERM', 'EACCES', 'EISDIR', 'EINVAL', 'ENOTSUP'].some((code) => isErrno(error, code))) {
      throw error;
    }
  } finally {
    await handle?.close();
  }
}

/** SHA-256 of some bytes or of a text in UTF-8, as 64 hexadecimal digits. */
export function sha256OfBytes(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * SHA-256 of the given texts and then of the files' bytes, in that order, read as streams.
 *
 * @throws {UserError} with `code` where a file cannot be read.
 */
export async function sha256OfStream(
  texts: readonly string[],
  paths: readonly string[],
  code: ErrorCode = 'USAGE',
): Promise<string> {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text);
  // One buffer for all: a stream's own, a new one for each piece, had rubbish collected every few files.
  const bytes = Buffer.allocUnsafeSlow(2 ** 18);
  for (const path of paths) {
    try {
      await eachChunk(path, bytes, (chunk) => hash.update(chunk));
    } catch (error) {
      throw explainFileError(error, path, code);
    }
  }
  return hash.digest('hex');
}

/** Reads a file from its beginning to its end through one buffer. */
async function eachChunk(
  path: string,
  bytes: Buffer,
  take: (chunk: Uint8Array) => void,
): Promise<void> {
  const handle = await open(path, 'r');
  try {
    for (;;) {
      const { bytesRead } = await handle.read(bytes, 0, bytes.length);
      if (bytesRead === 0) return;
      take(bytes.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

/** SHA-256 of a file's bytes, as 64 hexadecimal digits. @throws {UserError} with `code` if unreadable. */
export async function sha256OfFile(path: string, code: ErrorCode = 'USAGE'): Promise<string> {
  return await sha256OfStream([], [path], code);
}

/** Bytes that this user may still write on the disk of `folder`, or of the nearest folder above it that exists. */
export async function freeBytes(folder: string): Promise<number> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    try {
      const disk = await statfs(path);
      return disk.bavail * disk.bsize;
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || dirname(path) === path) {
        throw explainFileError(error, path, 'USAGE');
      }
    }
  }
}

interface Explanation {
  readonly what: string;
  readonly fix: string;
}

const explanations: Readonly<Record<string, Explanation | undefined>> = {
  ENOENT: { what: 'there is no such file or folder', fix: 'Check the path.' },
  ENOTDIR: { what: 'a part of the path is a file, not a folder', fix: 'Check the path.' },
  EEXIST: { what: 'something else of this name is in the way', fix: 'Choose another path.' },
  EISDIR: { what: 'this is a folder, not a file', fix: 'Name a file.' },
  EACCES: { what: 'permission denied', fix: 'Check the rights of the file and its folder.' },
  EPERM: { what: 'operation not permitted', fix: 'Check the rights of the file and its folder.' },
  EROFS: { what: 'the disk is read-only', fix: 'Choose a path on a disk that can be written.' },
  ELOOP: { what: 'the link leads round in a circle', fix: 'Remove the link or mend it.' },
  ENAMETOOLONG: { what: 'the path is too long', fix: 'Choose a shorter path.' },
  EIO: { what: 'the disk reports a fault', fix: 'Check the disk, or copy the file to another.' },
};

/**
 * The `UserError` for a fault of the file system that a user can mend, else the error as it came
 * (also if it is a `UserError` already). A full disk is `DISK_FULL`, all else has the given code.
 */
export function explainFileError(error: unknown, path: string, code: ErrorCode): unknown {
  if (isDiskFull(error)) {
    return new UserError('DISK_FULL', 'no space left on the disk', {
      where: path,
      fix: 'Free some space or choose a folder on another disk.',
      cause: error,
    });
  }
  if (!(error instanceof Error) || error instanceof UserError || !('code' in error)) return error;
  const explanation = explanations[String(error.code)];
  if (explanation === undefined) return error;
  return new UserError(code, explanation.what, { where: path, fix: explanation.fix, cause: error });
}
