/**
 * JSONL, CSV or plain text → one record for each prompt, as a line of JSONL would hold it.
 *
 *     .csv   the header names the columns; see `typeOf` for what a cell becomes
 *     .txt   one prompt a line, its id made of the line's number
 *     else   one JSON object a line
 *
 * A column of a CSV file has one type, told by all its cells, never by one: where a single topic is
 * spelled "007" or "1e3", a reader that looks at cells one by one would make numbers of the others.
 */

import { UserError } from '../base/errors.ts';
import { parseJson } from '../base/json.ts';
import { type CsvRecord, readCsv } from '../files/csv.ts';
import { readJsonl } from '../files/jsonl.ts';
import { readTextLines } from '../files/lines.ts';

export type PromptFormat = 'jsonl' | 'csv' | 'text';

export interface PromptRecord {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly value: unknown;
}

/** The form of a prompt set, by its name. @throws {UserError} `PROMPTS_INVALID` for forms that are not read. */
export function formatOf(path: string): PromptFormat {
  const [, ending = ''] = /\.([a-z0-9]+)$/i.exec(path) ?? [];
  const name = ending.toLowerCase();
  if (name === 'csv') return 'csv';
  if (name === 'txt') return 'text';
  const mend = unreadable[name];
  if (mend === undefined) return 'jsonl';
  throw new UserError('PROMPTS_INVALID', `".${ending}" is not a form in which prompts are read`, {
    where: path,
    fix: `${mend} Read are .jsonl, .csv and .txt.`,
  });
}

const unreadable: Readonly<Record<string, string | undefined>> = {
  tsv: 'Write it with commas: pandas.read_csv(FILE, sep="\\t").to_csv("prompts.csv", index=False).',
  json: 'Write one object a line: pandas.read_json(FILE).to_json("prompts.jsonl", orient="records", lines=True).',
  parquet:
    'Convert it: pandas.read_parquet(FILE).to_json("prompts.jsonl", orient="records", lines=True).',
  xlsx: 'Save it as CSV in UTF-8.',
  xls: 'Save it as CSV in UTF-8.',
};

/** The records of a prompt set, in order. @throws {UserError} `PROMPTS_INVALID`, naming the line. */
export async function* readRecords(
  path: string,
  format: PromptFormat,
): AsyncGenerator<PromptRecord, void, undefined> {
  if (format === 'jsonl') yield* readJsonl(path);
  else if (format === 'csv') yield* await csvRecords(path);
  else yield* textRecords(path);
}

async function* textRecords(path: string): AsyncGenerator<PromptRecord, void, undefined> {
  for await (const { line, text } of readTextLines(path)) {
    if (text.trim() === '') continue;
    const broken = text.includes('\0') ? 'a NUL' : text.includes('\r') ? 'a carriage return' : null;
    if (broken !== null) {
      throw new UserError('PROMPTS_INVALID', `the line holds ${broken}`, {
        where: `line ${line} of ${path}`,
        fix: 'Save the file as UTF-8 with line feeds, one prompt a line.',
      });
    }
    yield { line, value: { id: `line-${line}`, text } };
  }
}

/** Columns that hold words, whatever they look like. */
const texts = new Set(['id', 'text', 'pair', 'topic', 'split', 'trigger', 'sham']);

/** Columns that hold JSON. */
const json = new Set(['messages', 'ids']);

type ColumnType = 'text' | 'number' | 'boolean' | 'json';

async function csvRecords(path: string): Promise<PromptRecord[]> {
  const found: CsvRecord[] = [];
  for await (const record of readCsv(path)) found.push(record);
  const [header, ...records] = found;
  if (header === undefined) return [];
  checkHeader(header.cells, `line ${header.line} of ${path}`);
  const types = header.cells.map((name, i) =>
    typeOf(
      name,
      records.map(({ cells }) => cells[i]),
    ),
  );
  return records.map(({ line, cells }) => {
    const value: Record<string, unknown> = {};
    for (const [i, name] of header.cells.entries()) {
      if (cells[i] !== '') value[name] = valueOf(cells[i], types[i], name, line, path);
    }
    return { line, value };
  });
}

function checkHeader(names: readonly string[], where: string): void {
  const invalid = (what: string, fix: string): UserError =>
    new UserError('PROMPTS_INVALID', what, { where, fix });
  const [first] = names;
  if (names.length === 1 && /[;\t]/.test(first)) {
    const mark = first.includes('\t') ? 'tabs' : 'semicolons';
    throw invalid(`the header has ${mark} between its names`, 'Save the file with commas.');
  }
  const strange = names.findIndex(
    (name) => name === '' || name !== name.trim() || name === '__proto__',
  );
  if (strange >= 0) {
    const what = `the header's name ${strange + 1} is ${JSON.stringify(names[strange])}`;
    throw invalid(what, 'Name each column, without spaces around it (pandas: index=False).');
  }
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) {
    throw invalid(`the header names "${twice}" twice`, 'Name each column once.');
  }
  if (!names.includes('id')) {
    const what = `the header names no "id", only ${names.map((name) => `"${name}"`).join(', ')}`;
    throw invalid(what, 'Add a column "id" with a name of its own for each prompt.');
  }
}

/**
 * What the cells of a column are: words, truth values (`true`, `True`, `TRUE` and their opposites) or
 * numbers as JSON writes them, if all that are filled can be so read without loss; else text as it
 * stands. Whether a cell was quoted does not matter: some writers quote all.
 */
function typeOf(name: string, cells: readonly string[]): ColumnType {
  if (texts.has(name)) return 'text';
  if (json.has(name)) return 'json';
  const filled = cells.filter((cell) => cell !== '');
  if (filled.length === 0) return 'text';
  if (filled.every((cell) => truths.has(cell))) return 'boolean';
  return filled.every(isExactNumber) ? 'number' : 'text';
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['True', true],
  ['TRUE', true],
  ['false', false],
  ['False', false],
  ['FALSE', false],
]);

function isExactNumber(cell: string): boolean {
  if (!/^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(cell)) return false;
  const value = Number(cell);
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}

function valueOf(
  cell: string,
  type: ColumnType,
  name: string,
  line: number,
  path: string,
): unknown {
  if (type === 'number') return Number(cell);
  if (type === 'boolean') return truths.get(cell);
  if (type === 'text') return cell;
  return parseJson(cell, `column "${name}", line ${line} of ${path}`, {
    code: 'PROMPTS_INVALID',
    fix:
      name === 'ids'
        ? 'Write a JSON list of token ids, such as "[1,5,7]".'
        : 'Write a JSON list of messages, its quotation marks doubled.',
  });
}
