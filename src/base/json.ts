/**
 * How do we read JSON that we did not write?
 *
 * Strictly, in one pass, with the place of the first fault. `JSON.parse` keeps the last of two equal
 * keys without a word, so a header that names one tensor twice would load as half of itself; here
 * that is refused, and so are nesting without end and numbers too large for a float64. What is
 * accepted means exactly what `JSON.parse` would have made of it.
 */

import { type ErrorCode, UserError } from './errors.ts';

/** A JSON object whose values nobody has looked at yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonOptions {
  /** The code of the error if the text is no good; `CONFIG_INVALID` unless told. */
  readonly code?: ErrorCode;
  /** What the user can do about it. */
  readonly fix?: string;
}

/** Deepest nesting read; the formats we know stay below ten. */
const maxDepth = 100;

/**
 * The value that `text` spells.
 *
 * @param where The file or place, for the message.
 * @throws {UserError} with `options.code` when the text is not JSON (RFC 8259), when a key stands
 *   twice in one object, beyond 100 levels of nesting, and for numbers outside float64.
 */
export function parseJson(text: string, where: string, options: JsonOptions = {}): unknown {
  const parser: Parser = { text, at: 0, where, options };
  const value = parseValue(parser, 0);
  skipSpace(parser);
  if (parser.at < text.length) throw fault(parser, 'something follows the end of the value');
  return value;
}

/** True for a JSON object: not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for a whole number ≥ 0 that float64 holds without rounding. */
export function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/**
 * The one spelling of a JSON value: keys sorted by code unit, no white space. Equal values give
 * equal text whatever order their keys came in, so that hashes of it can be compared.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const fields = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${fields.join(',')}}`;
}

interface Parser {
  readonly text: string;
  at: number;
  readonly where: string;
  readonly options: JsonOptions;
}

const quote = 0x22;
const backslash = 0x5c;
const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function parseValue(p: Parser, depth: number): unknown {
  if (depth > maxDepth) throw fault(p, `nested deeper than ${maxDepth} levels`);
  skipSpace(p);
  switch (p.text[p.at]) {
    case '{':
      return parseObject(p, depth);
    case '[':
      return parseArray(p, depth);
    case '"':
      return parseString(p);
    case 't':
      return parseWord(p, 'true', true);
    case 'f':
      return parseWord(p, 'false', false);
    case 'n':
      return parseWord(p, 'null', null);
    default:
      return parseNumber(p);
  }
}

function parseObject(p: Parser, depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  p.at++;
  if (take(p, '}')) return object;
  for (;;) {
    skipSpace(p);
    const start = p.at;
    if (p.text[p.at] !== '"') throw fault(p, 'a key in quotes is missing');
    const key = parseString(p);
    if (Object.hasOwn(object, key)) {
      p.at = start;
      throw fault(p, `the key ${JSON.stringify(key)} stands twice`);
    }
    if (!take(p, ':')) throw fault(p, `":" is missing after the key ${JSON.stringify(key)}`);
    const value = parseValue(p, depth + 1);
    if (key === '__proto__') {
      // Plain assignment would set the prototype instead of a field.
      Object.defineProperty(object, key, {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    } else {
      object[key] = value;
    }
    if (take(p, '}')) return object;
    if (!take(p, ',')) throw fault(p, '"," or "}" is missing');
  }
}

function parseArray(p: Parser, depth: number): unknown[] {
  const array: unknown[] = [];
  p.at++;
  if (take(p, ']')) return array;
  for (;;) {
    array.push(parseValue(p, depth + 1));
    if (take(p, ']')) return array;
    if (!take(p, ',')) throw fault(p, '"," or "]" is missing');
  }
}

function parseString(p: Parser): string {
  const start = p.at;
  let escaped = false;
  for (let i = start + 1; i < p.text.length; i++) {
    const unit = p.text.charCodeAt(i);
    if (unit === quote) {
      p.at = i + 1;
      return escaped ? unescape(p, start) : p.text.slice(start + 1, i);
    }
    if (unit < 0x20) {
      p.at = i;
      throw fault(p, 'a control character stands in a string');
    }
    if (unit === backslash) {
      escaped = true;
      i++;
    }
  }
  p.at = p.text.length;
  throw fault(p, 'the text ends inside a string');
}

/** Escapes are rare and their rules are JSON.parse's own; `start` is the opening quote. */
function unescape(p: Parser, start: number): string {
  try {
    return String(JSON.parse(p.text.slice(start, p.at)));
  } catch {
    p.at = start;
    throw fault(p, 'a string holds an escape that JSON does not know');
  }
}

function parseWord<T>(p: Parser, word: string, value: T): T {
  if (!p.text.startsWith(word, p.at)) throw fault(p, 'a value was due');
  p.at += word.length;
  return value;
}

function parseNumber(p: Parser): number {
  numberPattern.lastIndex = p.at;
  const match = numberPattern.exec(p.text);
  if (match === null) throw fault(p, 'a value was due');
  const value = Number(match[0]);
  if (!Number.isFinite(value)) throw fault(p, 'a number is too large for a float64');
  p.at += match[0].length;
  return value;
}

function skipSpace(p: Parser): void {
  for (; p.at < p.text.length; p.at++) {
    const unit = p.text.charCodeAt(p.at);
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
  }
}

/** Steps over white space and over `mark` if it is next; says whether it was. */
function take(p: Parser, mark: string): boolean {
  skipSpace(p);
  if (p.text[p.at] !== mark) return false;
  p.at++;
  return true;
}

function fault(p: Parser, why: string): UserError {
  const before = p.text.slice(0, p.at);
  const line = before.split('\n').length;
  const column = p.at - before.lastIndexOf('\n');
  const place = p.at >= p.text.length ? 'at its end' : `at line ${line}, column ${column}`;
  const { code = 'CONFIG_INVALID', fix } = p.options;
  return new UserError(code, `not valid JSON ${place}: ${why}`, {
    where: p.where,
    ...(fix === undefined ? {} : { fix }),
  });
}
