/**
 * How do we read and write one JSON value per line?
 *
 * As a stream, with the number of the line in every complaint. Files from Windows are read too: a
 * byte-order mark at the start and a carriage return before the line feed are dropped, and blank lines
 * are passed over.
 */

import type { ErrorCode } from '../base/errors.ts';
import { parseJson } from '../base/json.ts';
import { writeFileAtomic } from './atomic.ts';
import { readTextLines } from './lines.ts';

export interface JsonlLine {
  /** Counted from 1, blank lines included. */
  readonly line: number;
  readonly value: unknown;
}

export interface JsonlOptions {
  /** The code of every error; `PROMPTS_INVALID` unless told. */
  readonly code?: ErrorCode;
  /** Longest line accepted, in bytes. */
  readonly maxLineBytes?: number;
}

/**
 * The values of a JSONL file, in order.
 *
 * @throws {UserError} with `options.code` where the file cannot be read, or a line is not UTF-8, not
 *   JSON, or too long.
 */
export async function* readJsonl(
  path: string,
  { code = 'PROMPTS_INVALID', maxLineBytes = 2 ** 24 }: JsonlOptions = {},
): AsyncGenerator<JsonlLine, void, undefined> {
  const fix = 'Write one JSON value on each line, each ended by a line feed.';
  for await (const { line, text } of readTextLines(path, { code, maxLineBytes, fix })) {
    if (text.trim() === '') continue;
    const where = `line ${line} of ${path}`;
    const value = parseJson(text, where, { code, fix: 'Write one JSON value on each line.' });
    yield { line, value };
  }
}

/** Writes one line for each value, whole or not at all. @throws as `writeFileAtomic`. */
export async function writeJsonl(path: string, values: Iterable<unknown>): Promise<void> {
  await writeFileAtomic(path, lines(values));
}

/** Pieces of about 64 kB: a write for each line would be slow, one text for all would be large. */
function* lines(values: Iterable<unknown>): Generator<string, void, undefined> {
  let piece = '';
  for (const value of values) {
    piece += `${JSON.stringify(value)}\n`;
    if (piece.length >= 2 ** 16) {
      yield piece;
      piece = '';
    }
  }
  yield piece;
}
