/**
 * Writes a run folder so that nothing is ever lost and nothing half-done is ever taken for done.
 *
 * Everything grows under `.partial/`. Each activation file is laid out in full before the first batch
 * (all sizes are known from the plan), batches write their rows in place, and a journal says how many
 * batches are on disk, after they are. A finished file is renamed to its place, the manifest is renamed
 * last, and only then does `.partial/` go. Whoever is killed at any moment and starts again comes to the
 * same bytes as one who was not.
 */

import { copyFile, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, UserError } from '../base/errors.ts';
import type { Manifest } from '../contract/manifest.ts';
import { explainFileError, sha256OfFile, syncFolder, writeFileAtomic } from '../files/atomic.ts';
import { takeLock } from '../files/lock.ts';
import { layoutSafetensors } from '../files/safetensors.ts';
import { exists } from '../files/whole.ts';
import { promptLines, type PromptSet } from '../text/prompts.ts';
import {
  openCheckpointWriter,
  type ActivationFile,
  type CheckpointWriter,
} from './checkpointWriter.ts';
import { parseIdentity, parseManifest, type RunIdentity } from './manifest.ts';

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
    return await openCheckpointWriter(layouts, { journal, store: this.#store, isAnew });
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

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
