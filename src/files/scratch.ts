/**
 * Numbers that must outlive a process but not the run: a file that is laid out in full and then read and
 * written by position.
 *
 * The file has a place for each part, and each part says what it is and carries a SHA-256 over that and
 * over its numbers. What a kill, a full disk or anyone else left behind is so never taken for what
 * was to be there. The system's page cache is what holds it in memory, as far as there is memory.
 */

import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readSync,
  realpathSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDiskFull, UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';

/** A file of parts; who opens it closes it. */
export interface Scratch {
  /** Writes a part. @throws {UserError} `DISK_FULL` */
  write(part: number, tag: string, values: Float32Array): void;
  /**
   * The numbers of a part as they were written under this tag, in memory that the next reading uses
   * again; null if they are not there.
   */
  read(part: number, tag: string): Float32Array | null;
  /** Forces what was written to disk. */
  sync(): void;
  close(): void;
}

/** SHA-256 and the count of numbers, before each part. */
const headBytes = 40;

/** Bytes of a file with parts of up to so many numbers. */
export function scratchBytes(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + headBytes + 4 * size, 0);
}

/** Opens the file, or makes it. @param sizes The most numbers that each part may hold. */
export function openScratch(path: string, sizes: readonly number[]): Scratch {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT);
  roomFor(path, () => ftruncateSync(fd, scratchBytes(sizes)));
  const starts: number[] = [];
  let end = 0;
  for (const size of sizes) {
    starts.push(end);
    end += headBytes + 4 * size;
  }
  // One buffer for all parts: a new one each time would wait for the garbage collector.
  const buffer = new Float32Array(sizes.reduce((most, size) => Math.max(most, size), 0));
  return {
    write(part, tag, values) {
      invariant(values.length <= sizes[part], `${values.length} numbers for part ${part}`);
      const bytes = bytesOf(values);
      const head = Buffer.alloc(headBytes);
      head.set(digest(tag, bytes));
      head.writeDoubleLE(values.length, 32);
      transfer(path, head, starts[part], (...at) => writeSync(fd, ...at));
      transfer(path, bytes, starts[part] + headBytes, (...at) => writeSync(fd, ...at));
    },
    read(part, tag) {
      const head = Buffer.alloc(headBytes);
      if (!transfer(path, head, starts[part], (...at) => readSync(fd, ...at))) return null;
      const length = head.readDoubleLE(32);
      if (!Number.isInteger(length) || length < 0 || length > sizes[part]) return null;
      const values = buffer.subarray(0, length);
      const bytes = bytesOf(values);
      const place = starts[part] + headBytes;
      // A file that ends early would leave in the buffer what was read before.
      if (!transfer(path, bytes, place, (...at) => readSync(fd, ...at))) return null;
      return digest(tag, bytes).equals(head.subarray(0, 32)) ? values : null;
    },
    sync: () => fdatasyncSync(fd),
    close: () => closeSync(fd),
  };
}

/** A file that grows at its end, for those who read it by position. */
export interface AppendedFile {
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** @throws {UserError} `DISK_FULL` */
  append(numbers: Iterable<Float32Array>): { readonly offset: number; readonly length: number };
  /** Takes all of it away. */
  clear(): void;
}

export function appendedFile(at: string): AppendedFile {
  const path = join(realpathSync(dirname(at)), basename(at));
  let end = 0;
  return {
    path,
    append(numbers) {
      const offset = end;
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT);
      try {
        for (const values of numbers) {
          const bytes = bytesOf(values);
          transfer(path, bytes, end, (...place) => writeSync(fd, ...place));
          end += bytes.length;
        }
      } finally {
        closeSync(fd);
      }
      return { offset, length: end - offset };
    },
    clear() {
      rmSync(path, { force: true });
      end = 0;
    },
  };
}

function digest(tag: string, bytes: Uint8Array): Buffer {
  return createHash('sha256').update(`${tag} ${bytes.length}\n`).update(bytes).digest();
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

type Transfer = (bytes: Uint8Array, from: number, length: number, position: number) => number;

/** Moves all of the bytes, in as many steps as the system takes; false where the file ends before. */
function transfer(path: string, bytes: Uint8Array, position: number, step: Transfer): boolean {
  for (let done = 0; done < bytes.length;) {
    const moved = roomFor(path, () => step(bytes, done, bytes.length - done, position + done));
    if (moved === 0) return false;
    done += moved;
  }
  return true;
}

/** @throws {UserError} `DISK_FULL` where there is no room for what `move` does. */
function roomFor<T>(path: string, move: () => T): T {
  try {
    return move();
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    throw new UserError('DISK_FULL', 'no space left on the disk', {
      where: path,
      fix: 'Free some space and run the same command again; finished blocks are kept.',
      cause: error,
    });
  }
}
