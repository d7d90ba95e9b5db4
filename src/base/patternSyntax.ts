/**
 * What does a regular expression of Python's `re` say?
 *
 * Read as Python 3 reads it without flags, for ASCII texts of one line. Groups of every kind only
 * group, and lazy repeats are repeats: neither changes whether a text matches.
 */

import { UserError } from './errors.ts';

export type Node =
  | { readonly kind: 'char'; readonly accepts: (unit: number) => boolean }
  | { readonly kind: 'assert'; readonly holds: (text: string, at: number) => boolean }
  | { readonly kind: 'look'; readonly node: Node; readonly wanted: boolean }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | {
      readonly kind: 'repeat';
      readonly node: Node;
      readonly least: number;
      /** `Infinity` for no limit. */
      readonly most: number;
    };

interface Reader {
  readonly source: string;
  readonly where: string;
  at: number;
  depth: number;
}

const maxLength = 4000;
const maxDepth = 50;
/** Python allows more; no name has as many characters. */
const maxRepeat = 1000;

/** @throws {UserError} `CONFIG_UNSUPPORTED` */
export function parsePattern(source: string, where: string): Node {
  const reader = { source, where, at: 0, depth: 0 };
  if (source.length > maxLength) throw refused(reader, `it has ${source.length} characters`);
  const node = choice(reader);
  if (reader.at < source.length) throw refused(reader, 'a ")" closes nothing');
  return node;
}

function choice(r: Reader): Node {
  if (++r.depth > maxDepth) throw refused(r, 'its groups are nested too deeply');
  const options = [sequence(r)];
  while (take(r, '|')) options.push(sequence(r));
  r.depth--;
  return options.length === 1 ? options[0] : { kind: 'choice', options };
}

function sequence(r: Reader): Node {
  const parts: Node[] = [];
  while (r.at < r.source.length && !['|', ')'].includes(r.source[r.at])) parts.push(repeated(r));
  return { kind: 'sequence', parts };
}

function repeated(r: Reader): Node {
  const node = atom(r);
  const counts = repeat(r);
  if (counts === null) return node;
  if (node.kind === 'assert') throw refused(r, 'a repeat has nothing to repeat');
  take(r, '?'); // lazy
  if (r.source[r.at] === '+') throw refused(r, 'possessive repeats are not supported');
  if (repeat(r) !== null) throw refused(r, 'a repeat is itself repeated');
  return { kind: 'repeat', node, ...counts };
}

/** Reads `*`, `+`, `?` or `{m,n}`; null if there is none, as for a brace that counts nothing. */
function repeat(r: Reader): { least: number; most: number } | null {
  if (take(r, '*')) return { least: 0, most: Infinity };
  if (take(r, '+')) return { least: 1, most: Infinity };
  if (take(r, '?')) return { least: 0, most: 1 };
  const braces = /^\{(?!\})(\d*)(?:(,)(\d*))?\}/.exec(r.source.slice(r.at, r.at + 24));
  if (braces === null) return null;
  const [text, low, comma, high = ''] = braces;
  const least = low === '' ? 0 : Number(low);
  const most = comma === undefined ? least : high === '' ? Infinity : Number(high);
  if (least > maxRepeat || (most > maxRepeat && most !== Infinity)) {
    throw refused(r, `it repeats more than ${maxRepeat} times`);
  }
  if (most < least) throw refused(r, `"${text}" ends before it begins`);
  r.at += text.length;
  return { least, most };
}

function atom(r: Reader): Node {
  const character = r.source[r.at++];
  switch (character) {
    case '(':
      return group(r);
    case '[':
      return { kind: 'char', accepts: characterClass(r) };
    case '.':
      return { kind: 'char', accepts: (unit) => unit !== 0x0a };
    case '^':
      return { kind: 'assert', holds: (_, at) => at === 0 };
    case '$':
      return { kind: 'assert', holds: isEnd };
    case '\\':
      return escaped(r);
    case '*':
    case '+':
    case '?':
      throw refused(r, 'a repeat has nothing to repeat');
    default:
      return { kind: 'char', accepts: literal(character) };
  }
}

function isEnd(text: string, at: number): boolean {
  return at === text.length || (at === text.length - 1 && text[at] === '\n');
}

function group(r: Reader): Node {
  let wanted: boolean | undefined;
  if (take(r, '?')) {
    const kind = /^(?::|=|!|P<[A-Za-z_]\w*>)/.exec(r.source.slice(r.at, r.at + 100))?.[0];
    if (kind === undefined)
      throw refused(r, `"(?${r.source.slice(r.at, r.at + 2)}" is not supported`);
    r.at += kind.length;
    if (kind === '=' || kind === '!') wanted = kind === '=';
  }
  const node = choice(r);
  if (!take(r, ')')) throw refused(r, 'a "(" is not closed');
  return wanted === undefined ? node : { kind: 'look', node, wanted };
}

type Test = (unit: number) => boolean;

const isDigit: Test = (unit) => unit >= 0x30 && unit <= 0x39;
const isWord: Test = (unit) =>
  isDigit(unit) || unit === 0x5f || ((unit | 0x20) >= 0x61 && (unit | 0x20) <= 0x7a);
const isSpace: Test = (unit) =>
  unit === 0x20 || (unit >= 0x09 && unit <= 0x0d) || (unit >= 0x1c && unit <= 0x1f);
const not =
  (test: Test): Test =>
  (unit) =>
    !test(unit);

const kinds: Readonly<Record<string, Test | undefined>> = {
  d: isDigit,
  D: not(isDigit),
  w: isWord,
  W: not(isWord),
  s: isSpace,
  S: not(isSpace),
};

const controls: Readonly<Record<string, string | undefined>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  f: '\f',
  v: '\v',
  a: '\u0007',
};

function isBoundary(text: string, at: number): boolean {
  const before = at > 0 && isWord(text.charCodeAt(at - 1));
  return before !== (at < text.length && isWord(text.charCodeAt(at)));
}

function escaped(r: Reader): Node {
  const character = nextEscaped(r);
  const kind = kinds[character];
  if (kind !== undefined) return { kind: 'char', accepts: kind };
  if (character === 'A') return { kind: 'assert', holds: (_, at) => at === 0 };
  if (character === 'Z') return { kind: 'assert', holds: (text, at) => at === text.length };
  if (character === 'b') return { kind: 'assert', holds: isBoundary };
  if (character === 'B') {
    // Python before 3.14 has no place in an empty text that is no boundary.
    return { kind: 'assert', holds: (text, at) => text !== '' && !isBoundary(text, at) };
  }
  return { kind: 'char', accepts: literal(plain(r, character)) };
}

function nextEscaped(r: Reader): string {
  if (r.at >= r.source.length) throw refused(r, 'a backslash stands at the end');
  return r.source[r.at++];
}

/** The character that an escape stands for where it is no kind of characters. */
function plain(r: Reader, character: string): string {
  const control = controls[character];
  if (control !== undefined) return control;
  if (/[A-Za-z0-9]/.test(character)) throw refused(r, `"\\${character}" is not supported`);
  return character;
}

function literal(character: string): Test {
  const wanted = character.charCodeAt(0);
  return (unit) => unit === wanted;
}

function characterClass(r: Reader): Test {
  const isNegated = take(r, '^');
  const tests: Test[] = [];
  const first = r.at;
  for (;;) {
    if (r.at >= r.source.length) throw refused(r, 'a "[" is not closed');
    if (r.source[r.at] === ']' && r.at > first) break;
    tests.push(classItem(r));
  }
  r.at++;
  const accepts: Test = (unit) => tests.some((test) => test(unit));
  return isNegated ? not(accepts) : accepts;
}

/** One character, a kind of characters, or a range. */
function classItem(r: Reader): Test {
  const from = classCharacter(r);
  const isRange =
    r.source[r.at] === '-' && r.at + 1 < r.source.length && r.source[r.at + 1] !== ']';
  if (!isRange) return typeof from === 'string' ? literal(from) : from;
  r.at++;
  const to = classCharacter(r);
  if (typeof from !== 'string' || typeof to !== 'string' || to < from) {
    throw refused(r, 'a range in "[…]" has no two ends in order');
  }
  const [low, high] = [from.charCodeAt(0), to.charCodeAt(0)];
  return (unit) => unit >= low && unit <= high;
}

function classCharacter(r: Reader): string | Test {
  const character = r.source[r.at++];
  if (character !== '\\') return character;
  const name = nextEscaped(r);
  return kinds[name] ?? (name === 'b' ? '\b' : plain(r, name));
}

function take(r: Reader, mark: string): boolean {
  if (r.source[r.at] !== mark) return false;
  r.at++;
  return true;
}

function refused(r: Reader, why: string): UserError {
  const shown = r.source.length > 60 ? `${r.source.slice(0, 60)}…` : r.source;
  return new UserError('CONFIG_UNSUPPORTED', `the expression "${shown}" cannot be read: ${why}`, {
    where: r.where,
    fix: 'Write it more simply, or list the full names of the modules instead.',
  });
}
