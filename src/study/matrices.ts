/**
 * A matrix, labels and groups that somebody else recorded: .npy, safetensors or CSV.
 *
 * Everything is refused that would have to be guessed: a file of two tensors without a name, a table
 * whose columns are no numbers, rows without a group where folds are to be made of groups.
 */

import { UserError } from '../base/errors.ts';
import { readNpyFloats, readNpyHeader, readNpyIntegers } from '../files/npy.ts';
import { readFloats, readIntegers, readSafetensorsHeader } from '../files/safetensors.ts';
import { readText } from '../files/whole.ts';
import type { Rows } from '../math/rows.ts';

/** Reads rows `[n, d]`; `FILE.safetensors:NAME` names one of several tensors. A vector is one column. */
export async function readMatrix(source: string): Promise<Rows> {
  const { path, name } = partsOf(source);
  if (path.endsWith('.csv')) return matrixOf(await readTable(path), path);
  const { shape, data } = path.endsWith('.safetensors')
    ? await tensorOf(path, name)
    : await arrayOf(path);
  const [n = 0, d = 1] = shape;
  if (shape.length !== 1 && shape.length !== 2) {
    throw new UserError('SHAPE_MISMATCH', `a matrix has two axes, this array has ${shape.length}`, {
      where: source,
      fix: 'Save one layer and one position: an array of rows × columns.',
    });
  }
  if (n === 0 || d === 0) {
    throw new UserError('SHAPE_MISMATCH', 'the matrix is empty', {
      where: source,
      fix: 'Save one row for each prompt.',
    });
  }
  return { n, d, data };
}

/** One value a row as text, for groups: a column of a table, or numbers. */
export async function readColumn(source: string): Promise<readonly string[]> {
  if (!source.endsWith('.csv')) return Array.from((await readVector(source)).data, String);
  const lines = await readTable(source);
  const wide = lines.find((cells) => cells.length !== 1);
  if (wide === undefined) return lines.map(([cell]) => cell);
  throw new UserError('SHAPE_MISMATCH', `a line has ${wide.length} cells, and one is wanted`, {
    where: source,
    fix: 'Give a file of one column.',
  });
}

/** One number a row. */
export async function readVector(source: string): Promise<Rows> {
  const rows = await readMatrix(source);
  if (rows.d === 1) return rows;
  throw new UserError('SHAPE_MISMATCH', `${rows.n} × ${rows.d} numbers, and one a row is wanted`, {
    where: source,
    fix: 'Save a vector.',
  });
}

interface Numbers {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
}

async function arrayOf(path: string): Promise<Numbers> {
  const header = await readNpyHeader(path);
  const isFloat = header.dtype.startsWith('<f');
  const data = isFloat
    ? await readNpyFloats(header)
    : Float64Array.from(await readNpyIntegers(header));
  return { shape: header.shape, data };
}

async function tensorOf(path: string, name: string | undefined): Promise<Numbers> {
  const { tensors } = await readSafetensorsHeader(path);
  const names = [...tensors.keys()];
  const tensor = tensors.get(name ?? names[0]);
  if (tensor === undefined || (name === undefined && names.length > 1)) {
    throw new UserError('USAGE', `the file has ${names.length} tensors: ${names.join(', ')}`, {
      where: path,
      fix: `Name one of them: ${path}:NAME`,
    });
  }
  const data =
    tensor.dtype === 'I64'
      ? Float64Array.from(await readIntegers(tensor), Number)
      : await readFloats(tensor);
  return { shape: tensor.shape, data };
}

/** A drive letter is no name: only what follows the file's ending is. */
function partsOf(source: string): { readonly path: string; readonly name: string | undefined } {
  const found = /^(.+\.safetensors):(.+)$/.exec(source);
  return found === null ? { path: source, name: undefined } : { path: found[1], name: found[2] };
}

/** Cells of a table without quotes; a first line without any number is its head. */
async function readTable(path: string): Promise<string[][]> {
  const text = await readText(path, 'CHECKPOINT_MISSING');
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line) => line.split(',').map((cell) => cell.trim()));
  if (lines.length === 0) {
    throw new UserError('SHAPE_MISMATCH', 'the table is empty', { where: path, fix: 'Give rows.' });
  }
  return lines;
}

function matrixOf(lines: readonly string[][], path: string): Rows {
  const isHead = lines[0].every((cell) => !Number.isFinite(Number(cell)) || cell === '');
  const body = isHead ? lines.slice(1) : lines;
  const d = body[0]?.length ?? 0;
  refuseNumbered(lines[0], path);
  const data = new Float64Array(body.length * d);
  body.forEach((cells, i) => {
    const where = `${path}, line ${i + 1 + (isHead ? 1 : 0)}`;
    if (cells.length !== d) {
      throw new UserError('SHAPE_MISMATCH', `${cells.length} cells, not ${d}`, {
        where,
        fix: 'Give the same number of cells in each line.',
      });
    }
    cells.forEach((cell, j) => {
      const value = cell === '' ? Number.NaN : Number(cell);
      if (!Number.isFinite(value)) {
        throw new UserError('NOT_FINITE', `"${cell}" is not a number`, {
          where,
          fix: 'Give numbers only; a first line of names may stand above.',
        });
      }
      data[i * d + j] = value;
    });
  });
  return { n: body.length, d, data };
}

/** What pandas writes above columns without names looks like a row, and would be one too many. */
function refuseNumbered(cells: readonly string[], path: string): void {
  if (cells.length < 3 || cells.some((cell, j) => cell !== String(j))) return;
  throw new UserError('SHAPE_MISMATCH', 'the first line numbers its columns from 0', {
    where: path,
    fix: 'Save without it: to_csv(path, header=False, index=False). If it is a row, write its numbers with a decimal point.',
  });
}
