/** What does a small file hold? For files that are read whole: settings, tokenizers, prompt sets. */

import { readFile, stat } from 'node:fs/promises';
import { type ErrorCode, isErrno, UserError } from '../base/errors.ts';
import { explainFileError } from './atomic.ts';

/** The bytes of a file, or null where there is none. @throws {UserError} with `code` if unreadable. */
export async function readIfThere(path: string, code: ErrorCode): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw explainFileError(error, path, code);
  }
}

/** The bytes of a file as text. @throws {UserError} with `code` where they are not UTF-8. */
export function utf8(bytes: Uint8Array, path: string, code: ErrorCode): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UserError(code, 'the file is not text in UTF-8', {
      where: path,
      fix: 'Save it as UTF-8.',
      cause,
    });
  }
}

/** A file that must be there, as text. @throws {UserError} with `code` where it is not, or is not UTF-8. */
export async function readText(
  path: string,
  code: ErrorCode = 'CHECKPOINT_MISSING',
): Promise<string> {
  const bytes = await readIfThere(path, code);
  if (bytes !== null) return utf8(bytes, path, code);
  throw new UserError(code, 'there is no such file', { where: path, fix: 'Check the path.' });
}

/** Whether there is something of this name. @throws {UserError} `USAGE` where that cannot be told. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw explainFileError(error, path, 'USAGE');
  }
}
