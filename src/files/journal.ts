/**
 * What of a long computation is finished already, should it be killed?
 *
 * A journal lies beside the result while that is made, and is removed when it is there. It is never
 * needed: one that is missing, torn or of other work costs the time to compute it again and nothing else.
 */

import { mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { canonicalJson, type JsonObject } from '../base/json.ts';
import { explainFileError } from './atomic.ts';
import { openLines, type Lines } from './growing.ts';

export interface Journal {
  /** What earlier processes finished, in their order. */
  readonly values: readonly unknown[];
  /** Keeps one more. @throws {UserError} `DISK_FULL`. */
  append(value: unknown): void;
  close(): void;
  /** Closes it and takes it away, with its folder if that is then empty. */
  remove(): Promise<void>;
}

/**
 * Begins a journal or takes it up again.
 *
 * @param work All that decides what is in it, its first line; a journal of other work is thrown away.
 */
export async function openJournal(path: string, work: JsonObject): Promise<Journal> {
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw explainFileError(error, dirname(path), 'USAGE');
  }
  let lines: Lines = await openLines(path);
  if (lines.values.length > 0 && canonicalJson([lines.values[0]]) !== canonicalJson([work])) {
    lines.close();
    await rm(path, { force: true });
    lines = await openLines(path);
  }
  if (lines.values.length === 0) lines.append(work);
  return {
    values: lines.values.slice(1),
    append(value) {
      lines.append(value);
      lines.sync();
    },
    close: () => lines.close(),
    async remove() {
      lines.close();
      await rm(path, { force: true });
      await rmdir(dirname(path)).catch(() => undefined); // another entry is being made in it
    },
  };
}
