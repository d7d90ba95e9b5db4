/**
 * What do the cells of a CSV file say?
 *
 * As RFC 4180 has it: commas between cells, a cell in quotation marks may hold commas, line breaks and
 * doubled quotation marks, and every record has as many cells as the first. What breaks these rules is
 * refused by line: a quotation mark that is guessed at shifts all cells after it.
 */

import { type ErrorCode, UserError } from '../base/errors.ts';
import { readTextLines } from './lines.ts';

export interface CsvRecord {
  /** The line of the file on which it begins, from 1. */
  readonly line: number;
  /** As the file has them, quotation marks taken off; a line break inside a cell is a line feed. */
  readonly cells: readonly string[];
}

export interface CsvOptions {
  /** The code of every error; `PROMPTS_INVALID` unless told. */
  readonly code?: ErrorCode;
}

/** A cell that has begun in quotation marks and goes on on the next line. */
interface OpenCell {
  readonly text: string;
  readonly line: number;
}

/**
 * The records of a file, the header first; blank lines are passed over.
 *
 * @throws {UserError} with `options.code`, naming the line, for what is not CSV.
 * @see RFC 4180, §2.
 */
export async function* readCsv(
  path: string,
  { code = 'PROMPTS_INVALID' }: CsvOptions = {},
): AsyncGenerator<CsvRecord, void, undefined> {
  const fault: Fault = (line, what, fix) =>
    new UserError(code, what, { where: `line ${line} of ${path}`, fix });
  let cells: string[] = [];
  let open: OpenCell | undefined;
  let begun = 1;
  let width: number | undefined;
  for await (const { line, text } of readTextLines(path, { code })) {
    refuseControls(text, line, fault);
    if (open === undefined) {
      if (text === '') continue;
      [cells, begun] = [[], line];
    }
    open = readCells(text, line, cells, open, fault);
    if (open !== undefined) continue;
    width ??= cells.length;
    if (cells.length !== width) {
      throw fault(
        begun,
        `the record has ${cells.length} cells, and the header ${width}`,
        'Put a cell that holds commas or line breaks in quotation marks, and write every cell, empty ones too.',
      );
    }
    yield { line: begun, cells };
  }
  if (open === undefined) return;
  throw fault(
    open.line,
    'a quotation mark opens a cell that never ends',
    'Close it, and write a quotation mark inside a cell twice.',
  );
}

type Fault = (line: number, what: string, fix: string) => UserError;

/** A NUL is UTF-16 or a broken file; a carriage return inside a line is one that ends it on no system of today. */
function refuseControls(text: string, line: number, fault: Fault): void {
  if (text.includes('\0')) throw fault(line, 'the line holds a NUL', 'Save the file as UTF-8.');
  if (text.includes('\r')) {
    const fix = 'Save the file with line feeds (LF or CRLF).';
    throw fault(line, 'a line ends in a carriage return alone', fix);
  }
}

/** Adds the cells of one line to `cells`; what is returned goes on on the next line. */
function readCells(
  text: string,
  line: number,
  cells: string[],
  open: OpenCell | undefined,
  fault: Fault,
): OpenCell | undefined {
  let at = 0;
  let carried = open === undefined ? undefined : { ...open, text: `${open.text}\n` };
  for (;;) {
    if (carried === undefined && text[at] !== '"') {
      const end = text.indexOf(',', at) < 0 ? text.length : text.indexOf(',', at);
      const cell = text.slice(at, end);
      if (cell.includes('"')) {
        throw fault(
          line,
          `a quotation mark stands inside the cell ${shown(cell)}`,
          'Put the whole cell in quotation marks, and write those inside it twice.',
        );
      }
      cells.push(cell);
      at = end;
    } else {
      const from: OpenCell = carried ?? { text: '', line };
      const { value, end } = quotedCell(text, carried === undefined ? at + 1 : at);
      if (end < 0) return { text: from.text + value, line: from.line };
      cells.push(from.text + value);
      carried = undefined;
      at = end;
      if (at < text.length && text[at] !== ',') {
        throw fault(
          line,
          `${shown(text.slice(at))} follows the end of a cell in quotation marks`,
          'Put a comma after the cell, or write the quotation marks inside it twice.',
        );
      }
    }
    if (at >= text.length) return undefined;
    at++;
  }
}

/** The text from `at` to the closing quotation mark, and the place after that; −1 where it is not on this line. */
function quotedCell(text: string, at: number): { readonly value: string; readonly end: number } {
  let value = '';
  for (let from = at; ;) {
    const mark = text.indexOf('"', from);
    if (mark < 0) return { value: value + text.slice(from), end: -1 };
    value += text.slice(from, mark);
    if (text[mark + 1] !== '"') return { value, end: mark + 1 };
    value += '"';
    from = mark + 2;
  }
}

function shown(text: string): string {
  return JSON.stringify(text.length > 30 ? `${text.slice(0, 29)}…` : text);
}
