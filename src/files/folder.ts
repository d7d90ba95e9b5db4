/** May we write into this folder without touching what somebody else put there? */

import { readdir } from 'node:fs/promises';
import { isErrno, UserError } from '../base/errors.ts';
import { explainFileError } from './atomic.ts';

/** Refuses a folder that holds anything; one that is not there yet is fine. @throws {UserError} `USAGE` */
export async function requireEmptyFolder(path: string): Promise<void> {
  const names: string[] = await readdir(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw explainFileError(error, path, 'USAGE');
  });
  if (names.length === 0) return;
  throw new UserError('USAGE', 'the folder is not empty', {
    where: path,
    fix: 'Choose another folder for --out, or empty this one.',
  });
}
