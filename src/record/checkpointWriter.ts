/**
 * Writes the activation files of one checkpoint: laid out in full before the first batch, rows in place,
 * and a journal that says how many batches are on disk, after they are. See store.ts.
 */

import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { float32ToBfloat16 } from '../base/dtype.ts';
import { isDiskFull, UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { Manifest } from '../contract/manifest.ts';
import { explainFileError, syncFolder, writeFileAtomic } from '../files/atomic.ts';
import type { SafetensorsLayout } from '../files/safetensors.ts';
import { exists } from '../files/whole.ts';

/** One activation file: a tensor `[rows, ...shape]` for each position. */
export interface ActivationFile {
  readonly site: string;
  readonly shape: readonly number[];
  readonly positions: readonly { readonly name: string; readonly rows: number }[];
}

export interface LaidOut {
  readonly file: ActivationFile;
  readonly path: string;
  /** Where it goes once it is finished. */
  readonly place: string;
  readonly layout: SafetensorsLayout;
}

/** Takes up the growing files of an interrupted run, or lays them out. */
export async function openCheckpointWriter(
  layouts: readonly LaidOut[],
  {
    journal,
    store,
    isAnew,
  }: { readonly journal: string; readonly store: Manifest['store']; readonly isAnew: boolean },
): Promise<CheckpointWriter> {
  // Killed between the renames of a finished checkpoint: take back those that had moved, and go on.
  for (const { path, place } of layouts) {
    if (await exists(place)) await rename(place, path);
  }
  const whole = await Promise.all(layouts.map((one) => isLaidOut(one)));
  const done = !isAnew && whole.every(Boolean) ? await readJournal(journal) : 0;
  if (done === 0) {
    await rm(journal, { force: true });
    for (const { path, layout } of layouts) await layOut(path, layout);
    for (const folder of new Set(layouts.map(({ path }) => dirname(path))))
      await syncFolder(folder);
  } else {
    // A torn last line would swallow the number that is appended next.
    await writeFileAtomic(journal, `${done}\n`);
  }
  return new CheckpointWriter(layouts, journal, done, store);
}

/** Journal entries wait until the rows they speak of are on disk, at most this share of the time. */
const syncShare = 0.05;

/** The growing files of one checkpoint. */
export class CheckpointWriter {
  /** Steps that an earlier process finished. */
  readonly done: number;
  readonly #files: ReadonlyMap<string, LaidOut & { readonly rowBytes: number }>;
  /** Files that were written to since the last rest; a run of many checkpoints may have thousands. */
  readonly #open = new Map<string, number>();
  readonly #store: Manifest['store'];
  readonly #journal: number;
  #nextSync = 0;

  constructor(
    layouts: readonly LaidOut[],
    journal: string,
    done: number,
    store: Manifest['store'],
  ) {
    const itemBytes = store === 'float32' ? 4 : 2;
    this.#files = new Map(
      layouts.map((one) => {
        const rowBytes = one.file.shape.reduce((size, axis) => size * axis, itemBytes);
        return [one.file.site, { ...one, rowBytes }];
      }),
    );
    this.#journal = openSync(journal, 'a');
    this.#store = store;
    this.done = done;
  }

  /** Writes consecutive rows of a site at a position; `values` are float32, `[rows, …]`. */
  writeRows(site: string, position: string, firstRow: number, values: Float32Array): void {
    const file = this.#files.get(site);
    const start = file?.layout.offsets.get(position);
    invariant(file !== undefined && start !== undefined, `no place for ${site} at ${position}`);
    const stored = this.#store === 'float32' ? values : float32ToBfloat16(values);
    const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    const fd = this.#open.get(site) ?? openSync(file.path, 'r+');
    this.#open.set(site, fd);
    writeFully(fd, bytes, start + firstRow * file.rowBytes, file.path);
  }

  /**
   * Says that the first `done` steps are written; forces them to disk now and then.
   *
   * @param alsoSync Forces to disk what else must be there for the step to be done.
   */
  commit(done: number, isLast: boolean, alsoSync: () => void = () => undefined): void {
    const now = performance.now();
    if (!isLast && now < this.#nextSync) return;
    for (const fd of this.#open.values()) fdatasyncSync(fd);
    alsoSync();
    writeFully(this.#journal, Buffer.from(`${done}\n`), null, 'journal');
    fdatasyncSync(this.#journal);
    const after = performance.now();
    this.#nextSync = after + (after - now) / syncShare;
  }

  /** Closes files that will not be written to for a while. */
  rest(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  close(): void {
    this.rest();
    closeSync(this.#journal);
  }

  /** Moves the finished files to their places. */
  async settle(): Promise<void> {
    this.close();
    for (const { path, place } of this.#files.values()) {
      await mkdir(join(place, '..'), { recursive: true });
      await rename(path, place);
    }
    const [first] = this.#files.values();
    if (first !== undefined) await syncFolder(join(first.place, '..'));
  }
}

async function layOut(path: string, { header, size }: SafetensorsLayout): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.writeFile(header);
    await handle.truncate(size);
    await handle.sync();
  } catch (error) {
    throw explainFileError(error, path, 'USAGE');
  } finally {
    await handle.close();
  }
}

/** True if the file is there with the header and the size of its layout. */
async function isLaidOut({ path, layout }: LaidOut): Promise<boolean> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return false;
  try {
    const start = Buffer.alloc(layout.header.length);
    await handle.read(start, 0, start.length, 0);
    return (await handle.stat()).size === layout.size && start.equals(layout.header);
  } finally {
    await handle.close();
  }
}

/** The last number on a whole line; a torn last line does not count. */
async function readJournal(path: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.split('\n').slice(0, -1);
  const last = lines.at(-1) ?? '';
  return /^\d+$/.test(last) ? Number(last) : 0;
}

function writeFully(fd: number, bytes: Uint8Array, start: number | null, path: string): void {
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(fd, bytes, done, bytes.length - done, start === null ? null : start + done);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw new UserError('DISK_FULL', 'no space left on the disk', {
        where: path,
        fix: 'Free some space and run the same command again; finished batches are kept.',
        cause: error,
      });
    }
  }
}
