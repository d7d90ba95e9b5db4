/**
 * How do we read and write one JSON value per line?
 *
 * As a stream, so that a file of a million rows costs the memory of one, with the number of the line
 * in every complaint. Files from Windows are read too: a byte-order mark at the start and a carriage
 * return before the line feed are dropped, and blank lines are passed over.
 */

import { createReadStream } from 'node:fs';
import { type ErrorCode, UserError } from '../base/errors.ts';
import { parseJson } from '../base/json.ts';
import { explainFileError, writeFileAtomic } from './atomic.ts';

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
  let line = 0;
  for await (const bytes of readLines(path, code, maxLineBytes)) {
    line++;
    const where = `line ${line} of ${path}`;
    const text = decode(bytes, where, code, line === 1);
    if (text.trim() === '') continue;
    yield {
      line,
      value: parseJson(text, where, { code, fix: 'Write one JSON value on each line.' }),
    };
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

/** The bytes of each line without its line feed; the last need not have one. */
async function* readLines(
  path: string,
  code: ErrorCode,
  maxLineBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let line = 1;
  const keep = (part: Uint8Array): void => {
    length += part.length;
    if (length > maxLineBytes) {
      throw new UserError(code, `a line is longer than ${maxLineBytes} bytes`, {
        where: `line ${line} of ${path}`,
        fix: 'Write one JSON value on each line, each ended by a line feed.',
      });
    }
    parts.push(part);
  };
  try {
    const chunks: AsyncIterable<Uint8Array> = createReadStream(path);
    for await (const chunk of chunks) {
      let begin = 0;
      for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, begin)) {
        keep(chunk.subarray(begin, end));
        yield Buffer.concat(parts);
        [parts, length, begin] = [[], 0, end + 1];
        line++;
      }
      keep(chunk.subarray(begin));
    }
  } catch (error) {
    throw explainFileError(error, path, code);
  }
  if (length > 0) yield Buffer.concat(parts);
}

function decode(bytes: Uint8Array, where: string, code: ErrorCode, isFirst: boolean): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: !isFirst }).decode(bytes);
    return text.endsWith('\r') ? text.slice(0, -1) : text;
  } catch (cause) {
    const fix = 'Save the file as UTF-8.';
    throw new UserError(code, 'the line is not UTF-8', { where, fix, cause });
  }
}
