/**
 * Writes a run folder so that nothing is ever lost and nothing half-done is ever taken for done.
 *
 * Everything grows under `.partial/`. Each activation file is laid out in full before the first batch
 * (all sizes are known from the plan), batches write their rows in place, and a journal says how many
 * batches are on disk, after they are. A finished file is renamed to its place, the manifest is renamed
 * last, and only then does `.partial/` go. Whoever is killed at any moment and starts again comes to the
 * same bytes as one who was not.
 */

import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { float32ToBfloat16 } from '../base/dtype.ts';
import { isDiskFull, isErrno, UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { Manifest } from '../contract/manifest.ts';
import { explainFileError, sha256OfFile, syncFolder, writeFileAtomic } from '../files/atomic.ts';
import { takeLock } from '../files/lock.ts';
import { layoutSafetensors, type SafetensorsLayout } from '../files/safetensors.ts';
import { promptLines, type PromptSet } from '../text/prompts.ts';
import { parseIdentity, parseManifest, type RunIdentity } from './manifest.ts';

/** One activation file: a tensor `[rows, ...shape]` for each position. */
export interface ActivationFile {
  readonly site: string;
  readonly shape: readonly number[];
  readonly positions: readonly { readonly name: string; readonly rows: number }[];
}

/** What is in the folder now. */
export interface RunState {
  readonly manifest: Manifest | null;
  readonly unfinished: RunIdentity | null;
  /** Whether a process was killed after its manifest was in place and before it had cleared up. */
  readonly hasLeftovers: boolean;
}

const partial = '.partial';

/** @throws {UserError} `USAGE` if the folder holds something that is no run. */
export async function readRunState(folder: string): Promise<RunState> {
  const names: string[] = await readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw explainFileError(error, folder, 'USAGE');
  });
  const manifest = names.includes('manifest.json')
    ? parseManifest(await readFile(join(folder, 'manifest.json'), 'utf8'), folder)
    : null;
  const growing = names.includes(partial) ? await readIdentity(folder) : null;
  const hasLeftovers =
    manifest !== null && names.includes(partial) && (growing === null || holds(manifest, growing));
  const unfinished = hasLeftovers ? null : growing;
  if (manifest === null && !names.includes(partial) && names.length > 0) {
    throw new UserError('USAGE', 'the folder is not empty and holds no run', {
      where: folder,
      fix: 'Choose another folder for --out.',
    });
  }
  return { manifest, unfinished, hasLeftovers };
}

/** True if all that the identity was to give is in the manifest. */
function holds(manifest: Manifest, { checkpoints }: RunIdentity): boolean {
  return checkpoints.every(({ name, sha256, twin_seed: seed, sites }) => {
    const record = manifest.checkpoints.find((checkpoint) => checkpoint.name === name);
    if (record?.sha256 !== sha256 || record.twin_seed !== seed) return false;
    return sites.every((site) => Object.hasOwn(record.files, site));
  });
}

/** Removes what a killed process left beside a finished run. @throws {UserError} `RUN_BUSY` if it lives. */
export async function clearLeftovers(folder: string): Promise<void> {
  await takeLock(join(folder, partial, 'lock'));
  await rm(join(folder, partial), { recursive: true, force: true });
}

async function readIdentity(folder: string): Promise<RunIdentity | null> {
  const path = join(folder, partial, 'plan.json');
  try {
    return parseIdentity(await readFile(path, 'utf8'), path);
  } catch (error) {
    // Killed between making the folder and writing the plan: nothing has been computed yet.
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

/** Takes a run folder for writing: a new one, or an unfinished one with the same identity. */
export async function openRunWriter(
  folder: string,
  identity: RunIdentity,
  store: Manifest['store'],
): Promise<RunWriter> {
  await mkdir(join(folder, partial), { recursive: true }).catch((error: unknown) => {
    throw explainFileError(error, folder, 'USAGE');
  });
  const release = await takeLock(join(folder, partial, 'lock'));
  const plan = join(folder, partial, 'plan.json');
  await writeFileAtomic(plan, `${JSON.stringify(identity, null, 1)}\n`);
  return new RunWriter(folder, store, release);
}

/** The one process that writes a run folder. */
export class RunWriter {
  readonly folder: string;
  readonly #store: Manifest['store'];
  readonly #release: () => Promise<void>;

  constructor(folder: string, store: Manifest['store'], release: () => Promise<void>) {
    this.folder = folder;
    this.#store = store;
    this.#release = release;
  }

  /** True if every file of the checkpoint has reached its place. */
  async isFinished(checkpoint: string, sites: readonly string[]): Promise<boolean> {
    const there = await Promise.all(
      sites.map((site) =>
        exists(join(this.folder, 'activations', checkpoint, `${site}.safetensors`)),
      ),
    );
    return there.every(Boolean);
  }

  /** Folder for what a checkpoint needs while it is run. */
  async scratchFolder(checkpoint: string): Promise<string> {
    const folder = join(this.folder, partial, 'scratch', checkpoint);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  async removeScratch(checkpoint: string): Promise<void> {
    const folder = join(this.folder, partial, 'scratch', checkpoint);
    await rm(folder, { recursive: true, force: true });
  }

  /**
   * Lays out a checkpoint's files, or takes up those of an interrupted run.
   *
   * @param isAnew Begins again even if there is something to take up.
   */
  async openCheckpoint(
    checkpoint: string,
    files: readonly ActivationFile[],
    isAnew = false,
  ): Promise<CheckpointWriter> {
    const growing = join(this.folder, partial, 'activations', checkpoint);
    await mkdir(growing, { recursive: true });
    const dtype = this.#store === 'float32' ? 'F32' : 'BF16';
    const layouts = files.map((file) => ({
      file,
      path: join(growing, `${file.site}.safetensors`),
      place: join(this.folder, 'activations', checkpoint, `${file.site}.safetensors`),
      layout: layoutSafetensors(
        file.positions.map(({ name, rows }) => ({ name, dtype, shape: [rows, ...file.shape] })),
        { checkpoint, site: file.site },
      ),
    }));
    const journal = join(this.folder, partial, `${checkpoint}.journal`);
    // Killed between the renames of a finished checkpoint: take back those that had moved, and go on.
    for (const { path, place } of layouts) {
      if (await exists(place)) await rename(place, path);
    }
    const whole = await Promise.all(layouts.map((one) => isLaidOut(one)));
    const done = !isAnew && whole.every(Boolean) ? await readJournal(journal) : 0;
    if (done === 0) {
      await rm(journal, { force: true });
      for (const { path, layout } of layouts) await layOut(path, layout);
      await syncFolder(growing);
    } else {
      // A torn last line would swallow the number that is appended next.
      await writeFileAtomic(journal, `${done}\n`);
    }
    return new CheckpointWriter(layouts, journal, done, this.#store);
  }

  /** Puts prompts, rows and manifest in place, the manifest last, and clears what was only for growing. */
  async finish(
    prompts: PromptSet,
    rows: Iterable<string>,
    manifest: (files: FileHashes) => Manifest,
    checkpoints: readonly string[],
  ): Promise<Manifest> {
    const growing = join(this.folder, partial);
    const complete = manifest(await this.#hashes(checkpoints));
    await keepPrompts(prompts, join(growing, 'prompts.jsonl'));
    await writeFileAtomic(join(growing, 'rows.jsonl'), rows);
    await writeFileAtomic(join(growing, 'manifest.json'), `${JSON.stringify(complete, null, 1)}\n`);
    for (const name of ['prompts.jsonl', 'rows.jsonl', 'manifest.json']) {
      await syncFile(join(growing, name));
      await rename(join(growing, name), join(this.folder, name));
    }
    await syncFolder(this.folder);
    await this.close();
    await rm(growing, { recursive: true, force: true });
    return complete;
  }

  async close(): Promise<void> {
    await this.#release();
  }

  async #hashes(checkpoints: readonly string[]): Promise<FileHashes> {
    const all = new Map<string, Record<string, string>>();
    for (const checkpoint of checkpoints) {
      const folder = join(this.folder, 'activations', checkpoint);
      const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort();
      const hashes: Record<string, string> = {};
      for (const name of names) {
        hashes[name.replace(/\.safetensors$/, '')] = await sha256OfFile(join(folder, name));
      }
      all.set(checkpoint, hashes);
    }
    return all;
  }
}

/** The prompts as they were given, or what was made of them; never of a file that has changed since it was read. */
async function keepPrompts(set: PromptSet, path: string): Promise<void> {
  const { format, path: source, sha256 } = set;
  if (format === 'jsonl') {
    await copyFile(source, path).catch((error: unknown) => {
      throw explainFileError(error, source, 'PROMPTS_INVALID');
    });
  } else {
    await writeFileAtomic(path, promptLines(set));
  }
  const held = format === 'jsonl' ? path : source;
  if ((await sha256OfFile(held, 'PROMPTS_INVALID')) === sha256) return;
  throw new UserError('PROMPTS_INVALID', 'the prompt set changed while the run was made', {
    where: source,
    fix: 'Put back the prompts that the run began with and give the same command again.',
  });
}

/** Checkpoint → site → SHA-256 of its file. */
export type FileHashes = ReadonlyMap<string, Readonly<Record<string, string>>>;

interface LaidOut {
  readonly file: ActivationFile;
  readonly path: string;
  /** Where it goes once it is finished. */
  readonly place: string;
  readonly layout: SafetensorsLayout;
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

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
