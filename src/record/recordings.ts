/**
 * Which activations are in files that another tool wrote?
 *
 * Three forms are known: safetensors with matrices `[rows, d]` named by site (in our words or in
 * TransformerLens'), one .npy matrix for a site that the caller names, and what vLLM's hidden-state
 * connector writes, `token_ids` and `hidden_states` `[tokens, layers, d]`, one file for each prompt.
 * All end as the same thing: a matrix for each site that can be read a block of rows at a time.
 */

import { basename } from 'node:path';
import { UserError } from '../base/errors.ts';
import { sha256OfFile } from '../files/atomic.ts';
import { readNpyFloats, readNpyHeader } from '../files/npy.ts';
import {
  itemSize,
  readFloats,
  readIntegers,
  readSafetensorsHeader,
  readTensorBytes,
  type SafetensorsFile,
  type StoredTensor,
} from '../files/safetensors.ts';
import { siteKey } from '../graph/sites.ts';
import { parseSiteName } from '../../models/siteNames.ts';

/** Activations of one site. Shape: `[rows, width]`. */
export interface Matrix {
  /** Stored key. */
  readonly site: string;
  readonly rows: number;
  readonly width: number;
  readonly dtype: string;
  /** Where it comes from, for messages. */
  readonly where: string;
  /** All rows as float32, row-major; narrowed to nearest where they are float64. */
  read(): Promise<Float32Array<ArrayBuffer>>;
}

/** The token that a row is of. */
export interface RowToken {
  readonly index: number;
  readonly id: number;
  /** All tokens of the prompt. */
  readonly ids: readonly number[];
}

export interface Sources {
  readonly files: readonly { readonly file: string; readonly sha256: string }[];
  readonly matrices: readonly Matrix[];
  /** One for each row, where the files tell. */
  readonly tokens: readonly RowToken[] | null;
}

export interface SourceOptions {
  /** The site of a matrix whose file does not name it. */
  readonly site?: string;
  /** Which layers vLLM was asked for: its `eagle_aux_hidden_state_layer_ids`. */
  readonly layers?: readonly number[];
  /** Which token of vLLM's files: the last, or one by its index. */
  readonly token?: number | 'last';
}

/** @throws {UserError} `USAGE`, `SHAPE_MISMATCH` or `CHECKPOINT_CORRUPT`, naming the file. */
export async function openSources(
  paths: readonly string[],
  options: SourceOptions,
): Promise<Sources> {
  const files = [];
  for (const path of paths) {
    files.push({ file: basename(path), sha256: await sha256OfFile(path, 'CHECKPOINT_MISSING') });
  }
  const opened = [];
  for (const path of paths) {
    opened.push({ path, file: path.endsWith('.npy') ? null : await readSafetensorsHeader(path) });
  }
  if (opened.some(({ file }) => file !== null && isHiddenStates(file))) {
    return { files, ...(await openHiddenStates(opened, options)) };
  }
  if (options.layers !== undefined) {
    throw new UserError('USAGE', 'no file holds hidden states of vLLM', {
      where: '--layers',
      fix: 'Leave --layers out: these files name their sites.',
    });
  }
  const matrices = [];
  for (const { path, file } of opened) {
    matrices.push(
      ...(file === null ? [await npyMatrix(path, options)] : matricesOf(file, options)),
    );
  }
  const sites = matrices.map(({ site }) => site);
  const twice = matrices.find(({ site }, i) => sites.indexOf(site) < i);
  if (twice !== undefined) {
    throw new UserError('USAGE', `the site "${twice.site}" is given twice`, {
      where: twice.where,
      fix: 'Give each site once; other checkpoints are added by a second import with --add.',
    });
  }
  return { files, matrices, tokens: null };
}

function isHiddenStates({ tensors }: SafetensorsFile): boolean {
  return tensors.has('hidden_states') && tensors.has('token_ids');
}

function matricesOf({ tensors, path }: SafetensorsFile, { site }: SourceOptions): Matrix[] {
  if (tensors.size === 0) throw shapeError('the file holds no tensor', path);
  if (site !== undefined && tensors.size > 1) {
    throw new UserError('USAGE', `--site names one site, and the file holds ${tensors.size}`, {
      where: path,
      fix: 'Name the tensors by their sites and leave --site out.',
    });
  }
  return Array.from(tensors.values(), (tensor) => {
    const where = `${path} → ${tensor.name}`;
    return {
      ...matrixShape(tensor.shape, where),
      site: siteOf(site ?? tensor.name, where),
      dtype: tensor.dtype,
      where,
      read: () => readMatrix(tensor, where),
    };
  });
}

async function npyMatrix(path: string, { site }: SourceOptions): Promise<Matrix> {
  if (site === undefined) {
    throw new UserError('USAGE', 'an .npy file does not say which site it holds', {
      where: path,
      fix: 'Name it, as in --site resid_post.3.',
    });
  }
  const array = await readNpyHeader(path);
  return {
    ...matrixShape(array.shape, path),
    site: siteOf(site, path),
    dtype: array.dtype,
    where: path,
    async read() {
      const values = await readNpyFloats(array);
      return values instanceof Float32Array ? values : narrowed(values, path);
    },
  };
}

function matrixShape(
  shape: readonly number[],
  where: string,
): { readonly rows: number; readonly width: number } {
  const [rows, width] = shape;
  if (shape.length === 2 && rows > 0 && width > 0) return { rows, width };
  throw shapeError(`shape [${shape.join(', ')}] where [rows, d] was due`, where);
}

function siteOf(name: string, where: string): string {
  let site;
  try {
    site = parseSiteName(name);
  } catch (error) {
    if (!(error instanceof UserError) || error.fix === undefined) throw error;
    throw new UserError('USAGE', error.what, { where, fix: error.fix });
  }
  if (site.kind !== 'pattern') return siteKey(site);
  throw new UserError('USAGE', 'attention patterns cannot be imported', {
    where,
    fix: 'Leave them out: they are no vectors that a probe could read.',
  });
}

async function readMatrix(tensor: StoredTensor, where: string): Promise<Float32Array<ArrayBuffer>> {
  return await readPart(tensor, 0, tensor.length / itemSize(tensor.dtype), where);
}

/** `count` elements from `first` on, as float32. */
async function readPart(
  tensor: StoredTensor,
  first: number,
  count: number,
  where: string,
): Promise<Float32Array<ArrayBuffer>> {
  if (tensor.dtype !== 'F64') return await readFloats(tensor, first, count);
  const { buffer } = await readTensorBytes(tensor, first * 8, count * 8);
  return narrowed(new Float64Array(buffer), where);
}

/** To nearest; a number that float32 cannot hold is refused where it is, rather than made infinite. */
function narrowed(values: Float64Array, where: string): Float32Array<ArrayBuffer> {
  const at = values.findIndex(
    (value) => Number.isFinite(value) && !Number.isFinite(Math.fround(value)),
  );
  if (at < 0) return Float32Array.from(values);
  throw new UserError('NOT_FINITE', `element ${at}, ${values[at]}, is beyond float32`, {
    where,
    fix: 'Check how the activations were recorded: they are stored as float32.',
  });
}

interface HiddenStates {
  readonly path: string;
  readonly states: StoredTensor;
  readonly token: RowToken;
}

async function openHiddenStates(
  opened: readonly { readonly path: string; readonly file: SafetensorsFile | null }[],
  { site, layers, token = 'last' }: SourceOptions,
): Promise<Pick<Sources, 'matrices' | 'tokens'>> {
  if (site !== undefined || layers === undefined) {
    const what =
      layers === undefined
        ? 'vLLM does not write which layers its files hold'
        : '--site is not for them';
    throw new UserError('USAGE', what, {
      where: opened[0].path,
      fix: 'Give the ids that it was told, as in --layers 1,2,3 (eagle_aux_hidden_state_layer_ids).',
    });
  }
  if (layers.some((layer, l) => l > 0 && layer <= layers[l - 1])) {
    throw new UserError('USAGE', `the layers ${layers.join(',')} do not rise`, {
      where: '--layers',
      fix: 'Give each once, in rising order: so vLLM writes them, however it was told.',
    });
  }
  const all: HiddenStates[] = [];
  for (const { path, file } of opened) all.push(await hiddenStatesOf(path, file, token));
  const [, count, width] = all[0].states.shape;
  for (const { path, states } of all) {
    if (states.shape[1] !== layers.length) {
      throw shapeError(`${states.shape[1]} layers where --layers names ${layers.length}`, path);
    }
    if (states.shape[2] !== width) throw shapeError(`width ${states.shape[2]}, not ${width}`, path);
  }
  const matrices = layers.map((layer, l): Matrix => ({
    // A layer's id k stands for what enters block k; the number of blocks, for what leaves the last.
    site: layer === 0 ? 'resid_pre.0' : `resid_post.${layer - 1}`,
    rows: all.length,
    width,
    dtype: [...new Set(all.map(({ states }) => states.dtype))].join('+'),
    where: `hidden_states[:, ${l}]`,
    async read() {
      const rows = new Float32Array(all.length * width);
      for (const [
        i,
        {
          path,
          states,
          token: { index },
        },
      ] of all.entries()) {
        rows.set(await readPart(states, (index * count + l) * width, width, path), i * width);
      }
      return rows;
    },
  }));
  return { matrices, tokens: all.map((one) => one.token) };
}

async function hiddenStatesOf(
  path: string,
  file: SafetensorsFile | null,
  token: number | 'last',
): Promise<HiddenStates> {
  const states = file?.tensors.get('hidden_states');
  const named = file?.tensors.get('token_ids');
  if (states === undefined || named === undefined) {
    throw shapeError('this file does not hold hidden_states and token_ids, as the others do', path);
  }
  const ids = await tokenIds(named);
  const [length] = states.shape;
  if (states.shape.length !== 3 || states.shape.includes(0)) {
    throw shapeError(`hidden_states [${states.shape.join(', ')}], not [tokens, layers, d]`, path);
  }
  if (named.shape.length !== 1 || ids.length !== length) {
    const what = `${length} rows of hidden_states for token_ids [${named.shape.join(', ')}]`;
    throw shapeError(what, path);
  }
  const index = token === 'last' ? length - 1 : token;
  if (index >= length) throw shapeError(`no token ${index} among ${length}`, path);
  return { path, states, token: { index, id: ids[index], ids } };
}

async function tokenIds(tensor: StoredTensor): Promise<number[]> {
  const ids =
    tensor.dtype === 'I32'
      ? Array.from(new Int32Array((await readTensorBytes(tensor)).buffer))
      : Array.from(await readIntegers(tensor), Number);
  const bad = ids.find((id) => !Number.isSafeInteger(id) || id < 0);
  if (bad === undefined) return ids;
  throw shapeError(`${bad} is no token id`, `${tensor.file} → token_ids`);
}

function shapeError(what: string, where: string): UserError {
  return new UserError('SHAPE_MISMATCH', what, {
    where,
    fix: 'Save one matrix [rows, d] for each site; docs/interop.md shows how.',
  });
}
