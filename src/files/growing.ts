/**
 * How does a file of JSON lines come about over hours, so that a kill costs next to nothing?
 *
 * `FILE` appears whole or not at all. Until then its lines are appended in `FILE.partial/`, in whatever
 * order they come, beside the plan that they follow; at the end `FILE.plan.json` and then `FILE` are
 * put in place, so that where `FILE` is, it is complete and says what it is. Who comes back keeps the
 * whole lines, cuts off a torn one and goes on; who comes with another plan is refused.
 */

import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDiskFull, UserError } from '../base/errors.ts';
import { canonicalJson, isJsonObject, type JsonObject, parseJson } from '../base/json.ts';
import { explainFileError, writeFileAtomic } from './atomic.ts';
import { writeJsonl } from './jsonl.ts';
import { takeLock } from './lock.ts';
import { exists, readIfThere, utf8 } from './whole.ts';

/** A file that grows; its one writer closes it. */
export interface Growing {
  /** What earlier processes appended, in their order. */
  readonly values: readonly unknown[];
  /** Appends a line. @throws {UserError} `DISK_FULL`. */
  append(value: unknown): void;
  /** Forces all lines so far to disk. */
  sync(): void;
  /** Puts the file in its place with these lines. */
  finish(values: Iterable<unknown>): Promise<void>;
  close(): Promise<void>;
}

/**
 * Begins a file or takes it up again.
 *
 * @param plan All that decides what is in the file.
 * @param about What its readers are told besides, in `FILE.plan.json`; it may change from one process to the next.
 * @returns Null if the file is complete and of this plan.
 * @throws {UserError} `PLAN_CONFLICT` naming what differs; `RUN_BUSY` if another process writes it.
 */
export async function openGrowing(
  path: string,
  plan: JsonObject,
  about: JsonObject = {},
): Promise<Growing | null> {
  const folder = `${path}.partial`;
  const isComplete = await exists(path);
  if (isComplete) await requireSame(path, plan, { path, about });
  else await mkdir(folder, { recursive: true }).catch(explained(folder));
  if (isComplete && !(await exists(folder))) return null;
  const release = await takeLock(join(folder, 'lock'));
  const clear = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
  };
  try {
    if (isComplete) {
      await clear(); // a process was killed after its last rename
      return null;
    }
    if (await exists(join(folder, 'plan.json')))
      await requireSame(join(folder, 'plan.json'), plan, { path, about });
    else await writeFileAtomic(join(folder, 'plan.json'), planText({ ...plan, ...about }));
    const lines = await openLines(join(folder, 'lines.jsonl'));
    return {
      ...lines,
      async finish(values) {
        await writeFileAtomic(`${path}.plan.json`, planText({ ...plan, ...about }));
        await writeJsonl(path, values);
        lines.close();
        await clear();
      },
      async close() {
        lines.close();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** How many lines `FILE` holds, or its growing folder does; for those who only want to know. */
export async function countLines(path: string): Promise<number> {
  const lines = join(`${path}.partial`, 'lines.jsonl');
  const bytes = (await readIfThere(path, 'USAGE')) ?? (await readIfThere(lines, 'RUN_INVALID'));
  return bytes === null ? 0 : wholeLines(bytes).values.length;
}

function planText(plan: JsonObject): string {
  return `${JSON.stringify(plan, null, 1)}\n`;
}

/** Holds a plan that was written against the one at hand; `at` is a plan, or a file with one beside it. */
async function requireSame(
  at: string,
  plan: JsonObject,
  { path, about }: { readonly path: string; readonly about: JsonObject },
): Promise<void> {
  const planPath = at === path ? `${path}.plan.json` : at;
  const bytes = await readIfThere(planPath, 'RUN_INVALID');
  const fix = 'Repeat the command that began it, or choose another file for --out.';
  if (bytes === null) {
    throw new UserError(
      'PLAN_CONFLICT',
      'the file is there, and no plan beside it says what it is',
      {
        where: path,
        fix: 'Choose another file for --out.',
      },
    );
  }
  const earlier = parseJson(utf8(bytes, planPath, 'RUN_INVALID'), planPath, {
    code: 'RUN_INVALID',
  });
  const before = isJsonObject(earlier) ? earlier : {};
  const keys = [...new Set([...Object.keys(before), ...Object.keys(plan)])].filter(
    (key) =>
      !Object.hasOwn(about, key) &&
      canonicalJson([before[key] ?? null]) !== canonicalJson([plan[key] ?? null]),
  );
  if (keys.length === 0) return;
  const what = at === path ? 'was made' : 'was begun';
  throw new UserError('PLAN_CONFLICT', `the file ${what} with other ${keys.join(', ')}`, {
    where: path,
    fix,
  });
}

/** A file of JSON lines that only grows. */
export interface Lines extends Pick<Growing, 'values' | 'append' | 'sync'> {
  close(): void;
}

/** Opens it for appending: whole lines are kept, a torn one is cut off. */
export async function openLines(path: string): Promise<Lines> {
  const bytes = (await readIfThere(path, 'RUN_INVALID')) ?? new Uint8Array(0);
  const { values, length } = wholeLines(bytes);
  const handle = await open(path, 'a').catch(explained(path));
  await handle.truncate(length);
  await handle.sync();
  await handle.close();
  const fd = openSync(path, 'a');
  let isOpen = true;
  const onDisk = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw new UserError('DISK_FULL', 'no space left on the disk', {
        where: path,
        fix: 'Free some space and run the same command again; finished lines are kept.',
        cause: error,
      });
    }
  };
  return {
    values,
    append(value) {
      const line = Buffer.from(`${JSON.stringify(value)}\n`);
      onDisk(() => {
        for (let done = 0; done < line.length;) done += writeSync(fd, line, done);
      });
    },
    sync: () => onDisk(() => fdatasyncSync(fd)),
    close() {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

/** The values of the whole lines before the first torn one, and how many bytes those lines take. */
function wholeLines(bytes: Uint8Array): { values: unknown[]; length: number } {
  const values: unknown[] = [];
  let length = 0;
  for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, length)) {
    try {
      const line = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(length, end));
      const value: unknown = JSON.parse(line);
      values.push(value);
    } catch {
      break; // torn by a power cut; what follows it was never promised
    }
    length = end + 1;
  }
  return { values, length };
}

function explained(path: string): (error: unknown) => never {
  return (error) => {
    throw explainFileError(error, path, 'USAGE');
  };
}
