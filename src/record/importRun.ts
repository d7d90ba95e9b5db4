/**
 * Activations that another tool computed → a run folder like any other.
 *
 * The rows file is the prompt set: line i says which prompt row i is, with its labels and groups, and
 * need not hold the text. Everything is read and checked before the folder is touched. What the
 * manifest then says of the activations is what the files say; that they are what they are called,
 * only the one who recorded them can know, and `plan.kind` is `imported` for that reason.
 */

import { UserError } from '../base/errors.ts';
import { isWhole } from '../base/json.ts';
import { plural } from '../base/units.ts';
import {
  manifestSchema,
  type CheckpointRecord,
  type ImportedPlan,
  type Manifest,
  type RowRecord,
} from '../contract/manifest.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { parseSite } from '../graph/sites.ts';
import { readPrompts, type Prompt, type PromptSet } from '../text/prompts.ts';
import { conversionOf, type RunIdentity } from './manifest.ts';
import { requireSamePlan } from './resume.ts';
import {
  openSources,
  type Matrix,
  type RowToken,
  type SourceOptions,
  type Sources,
} from './recordings.ts';
import { clearLeftovers, openRunWriter, readRunState, type FileHashes } from './store.ts';
import { versions } from './versions.ts';

export interface ImportRequest extends SourceOptions {
  readonly activations: readonly string[];
  /** JSONL in row order: a unique `id`, and any columns. */
  readonly rows: string;
  readonly out: string;
  readonly checkpoint: string;
  readonly position: string;
  /** Whether a run that was imported before may get one more checkpoint. */
  readonly add?: boolean;
}

/**
 * Writes a finished run.
 *
 * @throws {UserError} `SHAPE_MISMATCH` where rows or widths disagree; `NOT_FINITE` naming row and
 *   channel; `PROMPTS_INVALID` for the rows file; `PLAN_CONFLICT` where the folder holds another run.
 */
export async function importRun(request: ImportRequest): Promise<Manifest> {
  const set = await readPrompts(request.rows, { bodies: 'optional' });
  const sources = await openSources(request.activations, request);
  checkRows(sources, set, request.rows);
  for (const matrix of sources.matrices) checkFinite(await matrix.read(), matrix, set.prompts);
  const tokens = set.prompts.map((prompt, i) => tokenOf(prompt, sources.tokens?.[i], request.rows));

  const { manifest: earlier, unfinished, hasLeftovers } = await readRunState(request.out);
  if (hasLeftovers) await clearLeftovers(request.out);
  if (earlier !== null) requireRoom(earlier, set, request);
  const identity = identityOf(sources, set, request);
  if (unfinished !== null) requireSamePlan(unfinished, identity, request.out);
  const writer = await openRunWriter(request.out, identity, 'float32');
  try {
    const sites = sources.matrices.map(({ site }) => site);
    if (!(await writer.isFinished(request.checkpoint, sites))) {
      const { position } = request;
      const files = sources.matrices.map(({ site, rows, width }) => ({
        site,
        shape: [width],
        positions: [{ name: position, rows }],
      }));
      const checkpoint = await writer.openCheckpoint(request.checkpoint, files);
      for (const matrix of sources.matrices) {
        checkpoint.writeRows(matrix.site, position, 0, await matrix.read());
      }
      checkpoint.commit(1, true);
      await checkpoint.settle();
    }
    const names = [...(earlier?.checkpoints ?? []).map(({ name }) => name), request.checkpoint];
    return await writer.finish(
      set,
      rowLines(request.position, set.prompts, tokens),
      (files) => manifestOf(request, sources, set, tokens, earlier, files),
      names,
    );
  } finally {
    await writer.close();
  }
}

function checkRows({ matrices }: Sources, { prompts }: PromptSet, rows: string): void {
  const stream = matrices.find(({ site }) => site !== 'logits');
  for (const { site, rows: found, width, where } of matrices) {
    if (found !== prompts.length) {
      const lines = plural(prompts.length, 'line');
      throw mismatch(`${plural(found, 'row')} where ${rows} has ${lines}`, where);
    }
    if (site !== 'logits' && stream !== undefined && width !== stream.width) {
      throw mismatch(`width ${width}, and ${stream.width} in "${stream.site}"`, where);
    }
  }
}

function checkFinite(
  values: Float32Array,
  { width, where }: Matrix,
  prompts: readonly Prompt[],
): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const row = Math.floor(at / width);
  throw new UserError(
    'NOT_FINITE',
    `${values[at]} in row ${row} ("${prompts[row].id}"), channel ${at % width}`,
    { where, fix: 'Record that prompt again; activations in float16 overflow beyond 65504.' },
  );
}

type KnownToken = Pick<RowRecord, 'token_index' | 'token_id' | 'token'> & {
  readonly length: number | null;
};

/** What the activation file says of a row's token, else what the rows file says. */
function tokenOf(
  { id, body, columns }: Prompt,
  told: RowToken | undefined,
  path: string,
): KnownToken {
  const { token_index: index, token_id: tokenId, token } = columns;
  const text = typeof token === 'string' ? token : null;
  const length = body.kind === 'ids' ? body.ids.length : null;
  if (told === undefined) {
    return {
      token_index: isWhole(index) ? index : null,
      token_id: isWhole(tokenId) ? tokenId : null,
      token: text,
      length,
    };
  }
  if (body.kind === 'ids' && !sameNumbers(body.ids, told.ids)) {
    throw mismatch(`the tokens of "${id}" are not those of its activations`, path);
  }
  return { token_index: told.index, token_id: told.id, token: text, length: told.ids.length };
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** @throws {UserError} `PLAN_CONFLICT` unless the checkpoint can join the run that is there. */
function requireRoom(earlier: Manifest, set: PromptSet, request: ImportRequest): void {
  const { add, out, position, checkpoint } = request;
  const conflict = (what: string, fix = 'Choose another folder for --out.'): UserError =>
    new UserError('PLAN_CONFLICT', what, { where: out, fix });
  if (add !== true) {
    throw conflict(
      'the folder holds a finished run',
      'Add --add to put one more checkpoint into it.',
    );
  }
  if (earlier.plan.kind !== 'imported') {
    throw conflict('the run there was extracted, and imported activations cannot join it');
  }
  if (earlier.prompts.sha256 !== set.sha256 || earlier.positions[0].name !== position) {
    throw conflict('the run there has other rows or another position');
  }
  if (earlier.checkpoints.some(({ name }) => name === checkpoint)) {
    throw conflict(
      `the run holds a checkpoint "${checkpoint}" already`,
      'Name this one with --checkpoint.',
    );
  }
}

function identityOf(sources: Sources, set: PromptSet, request: ImportRequest): RunIdentity {
  const { checkpoint, position } = request;
  return {
    core: { kind: 'imported', rows: set.sha256, position },
    checkpoints: [
      {
        name: checkpoint,
        sha256: sourcesHash(sources),
        twin_seed: null,
        sites: sources.matrices.map(({ site }) => site),
      },
    ],
  };
}

/** One hash for all files and for what they were taken to hold. */
function sourcesHash({ files, matrices, tokens }: Sources): string {
  const parts = [
    files.map(({ sha256 }) => sha256),
    matrices.map(({ site }) => site),
    tokens?.map(({ index }) => index) ?? null,
  ];
  return sha256OfBytes(JSON.stringify(parts));
}

function* rowLines(
  position: string,
  prompts: readonly Prompt[],
  tokens: readonly KnownToken[],
): Generator<string> {
  for (const [row, { id, index }] of prompts.entries()) {
    const { token_index, token_id, token } = tokens[row];
    const record: RowRecord = { position, row, id, prompt: index, token_index, token_id, token };
    yield `${JSON.stringify(record)}\n`;
  }
}

function manifestOf(
  request: ImportRequest,
  sources: Sources,
  set: PromptSet,
  tokens: readonly KnownToken[],
  earlier: Manifest | null,
  files: FileHashes,
): Manifest {
  const { checkpoint, position } = request;
  const sites = sources.matrices.map(({ site }) => site);
  const lengths = tokens.flatMap(({ length }) => (length === null ? [] : [length]));
  const areKnown = lengths.length === tokens.length;
  const width = sources.matrices.find(({ site }) => site !== 'logits')?.width;
  const record: Omit<CheckpointRecord, 'files'> = {
    name: checkpoint,
    family: 'imported',
    n_layers: Math.max(0, ...sites.map((site) => (parseSite(site).block ?? -1) + 1)),
    d_model: width ?? 0,
    dtype: [...new Set(sources.matrices.map(({ dtype }) => dtype))].join('+'),
    sha256: sourcesHash(sources),
    derivation: null,
    twin_seed: null,
    ignored_config_keys: [],
  };
  const before = earlier?.plan.kind === 'imported' ? earlier.plan.sources : [];
  const plan: ImportedPlan = {
    kind: 'imported',
    sha256: sha256OfBytes(JSON.stringify({ rows: set.sha256, position })),
    sources: [...before, ...sources.files.map((file) => ({ checkpoint, ...file }))],
  };
  return {
    schema: manifestSchema,
    checkpoints: [...(earlier?.checkpoints ?? []), record].map((each) => ({
      ...each,
      files: files.get(each.name) ?? {},
    })),
    prompts: {
      sha256: set.sha256,
      count: set.prompts.length,
      force_reply: null,
      longest: areKnown ? lengths.reduce((most, length) => Math.max(most, length), 0) : null,
      tokens: areKnown ? lengths.reduce((sum, length) => sum + length, 0) : null,
      token_limit: null,
      ...conversionOf(set),
    },
    tokenizer: null,
    sites: [...new Set([...(earlier?.sites ?? []), ...sites])],
    positions: [{ name: position, rows: set.prompts.length, left_out: [] }],
    store: 'float32',
    plan,
    versions: versions(),
    doctor: null,
  };
}

function mismatch(what: string, where: string): UserError {
  return new UserError('SHAPE_MISMATCH', what, {
    where,
    fix: 'Give one line of the rows file for each row, in the order of the rows.',
  });
}
