/**
 * How do we read a text file line by line?
 *
 * As a stream, so that a file of a million lines costs the memory of one, with the number of the line in
 * every complaint. A byte-order mark at the start is dropped; bytes that are not UTF-8 are refused, since
 * whatever stood there would reach a model as something else.
 */

import { createReadStream } from 'node:fs';
import { type ErrorCode, UserError } from '../base/errors.ts';
import { explainFileError } from './atomic.ts';

export interface TextLine {
  /** Counted from 1, blank lines included. */
  readonly line: number;
  /** Without its line feed, nor the carriage return of Windows before it. */
  readonly text: string;
}

export interface LineOptions {
  /** The code of every error; `PROMPTS_INVALID` unless told. */
  readonly code?: ErrorCode;
  /** Longest line accepted, in bytes. */
  readonly maxLineBytes?: number;
  /** What mends a line that is too long. */
  readonly fix?: string;
}

/**
 * The lines of a file, in order; the last need not end in a line feed.
 *
 * @throws {UserError} with `options.code` where the file cannot be read, or a line is too long or not UTF-8.
 */
export async function* readTextLines(
  path: string,
  {
    code = 'PROMPTS_INVALID',
    maxLineBytes = 2 ** 24,
    fix = 'End each line by a line feed.',
  }: LineOptions = {},
): AsyncGenerator<TextLine, void, undefined> {
  let line = 0;
  for await (const bytes of readLines(path, code, maxLineBytes, fix)) {
    line++;
    yield { line, text: decode(bytes, `line ${line} of ${path}`, code, line === 1) };
  }
}

/** The bytes of each line without its line feed. */
async function* readLines(
  path: string,
  code: ErrorCode,
  maxLineBytes: number,
  fix: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let line = 1;
  const keep = (part: Uint8Array): void => {
    length += part.length;
    if (length > maxLineBytes) {
      const where = `line ${line} of ${path}`;
      throw new UserError(code, `a line is longer than ${maxLineBytes} bytes`, { where, fix });
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
