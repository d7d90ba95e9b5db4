/**
 * Which characters of the text does each token cover?
 *
 * The tokenizer gives ids and token strings but no offsets, so they are derived: each token string is
 * turned back into the bytes that it stands for, and those are laid along the text. That succeeds only
 * if the tokens spell the text, byte for byte, and where they do not (a tokenizer that lower-cases, or
 * normalises Unicode) the text has no positions and the caller is told so. Nothing is guessed.
 */

import { UserError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';

/** Characters `[start, end)` of a text, in JavaScript's units (UTF-16). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * How token strings stand for text: `bytes` is byte-level BPE, where each character of a token is a
 * byte; in `sentencepiece` "▁" is a space and "<0xNN>" a byte; `words` are spelled as they are, and
 * white space between them is lost.
 */
export type Spelling = 'bytes' | 'sentencepiece' | 'words';

/** A token that is found in the text before anything else is done to it. */
export interface AddedToken {
  readonly content: string;
  /** Whether it swallows white space to its left, or right. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** The spelling that a parsed `tokenizer.json` uses. */
export function spellingOf(tokenizerJson: JsonObject): Spelling {
  const { normalizer, pre_tokenizer, decoder } = tokenizerJson;
  if (/"type":"ByteLevel"/.test(JSON.stringify([pre_tokenizer, decoder]))) return 'bytes';
  return JSON.stringify([normalizer, pre_tokenizer, decoder]).includes('▁')
    ? 'sentencepiece'
    : 'words';
}

/**
 * Lays `tokens` along `text`.
 *
 * Tokens that share a character, as the bytes of an emoji do, all get that character's span. A token
 * that stands for no character, such as the space put before the first word, gets an empty span.
 * White space that a `words` tokenizer drops is in no span; otherwise the spans tile the text.
 *
 * @returns One span for each token, starts never decreasing.
 * @throws {UserError} `POSITION_UNRESOLVED` where the tokens do not spell the text.
 */
export function alignTokens(
  text: string,
  tokens: readonly string[],
  added: ReadonlyMap<string, AddedToken>,
  spelling: Spelling,
): Span[] {
  const ruler = rulerOf(text, spelling);
  const spans: Span[] = [];
  let at = 0;
  for (let i = 0; i < tokens.length;) {
    const special = added.get(tokens[i]);
    if (special !== undefined) {
      const start = special.lstrip || spelling === 'words' ? findPast(ruler, at, tokens[i]) : at;
      const bytes = utf8Bytes.encode(special.content);
      if (!startsWith(ruler.bytes, start, bytes)) throw misspelt(ruler, tokens, i, at);
      const end = start + bytes.length;
      const taken = special.rstrip ? pastSpace(ruler, end) : end;
      spans.push(ruler.span(special.lstrip ? at : start, taken));
      at = taken;
      i++;
      continue;
    }
    let j = i + 1;
    while (j < tokens.length && !added.has(tokens[j])) j++;
    const next = j < tokens.length ? added.get(tokens[j]) : undefined;
    at =
      spelling === 'words'
        ? alignWords(ruler, tokens, i, j, at, spans)
        : alignPieces(ruler, tokens, i, j, at, next, spans, spelling);
    i = j;
  }
  if (spelling === 'words') at = pastSpace(ruler, at);
  if (at !== ruler.bytes.length) throw misspelt(ruler, tokens, tokens.length, at);
  return spans;
}

/** Tokens `[from, to)`, which stand for themselves with white space between them. */
function alignWords(
  ruler: Ruler,
  tokens: readonly string[],
  from: number,
  to: number,
  start: number,
  spans: Span[],
): number {
  let at = start;
  for (let i = from; i < to; i++) {
    const bytes = utf8Bytes.encode(tokens[i]);
    at = findPast(ruler, at, tokens[i]);
    if (bytes.length === 0 || !startsWith(ruler.bytes, at, bytes)) {
      throw misspelt(ruler, tokens, i, at);
    }
    spans.push(ruler.span(at, at + bytes.length));
    at += bytes.length;
  }
  return at;
}

/** Tokens `[from, to)` between two added tokens, whose bytes follow each other without a gap. */
function alignPieces(
  ruler: Ruler,
  tokens: readonly string[],
  from: number,
  to: number,
  start: number,
  next: AddedToken | undefined,
  spans: Span[],
  spelling: Spelling,
): number {
  const pieces = tokens.slice(from, to).map((token) => bytesOf(token, spelling));
  const whole = Uint8Array.from(pieces.flat());
  // Many tokenizers put a space before the first word. It is ours to drop only if the text then fits
  // to its end, which it cannot do both with and without it: the lengths differ by one.
  const fits = (dropped: number): boolean => {
    const end = start + whole.length - dropped;
    return startsWith(ruler.bytes, start, whole.subarray(dropped)) && mayFollow(ruler, end, next);
  };
  const dropped = fits(0) ? 0 : whole[0] === space && fits(1) ? 1 : -1;
  if (dropped < 0) {
    let matched = 0;
    while (matched < whole.length && whole[matched] === ruler.bytes[start + matched]) matched++;
    throw misspelt(ruler, tokens, from + pieceAt(pieces, matched), start + matched);
  }
  let at = start;
  pieces.forEach((piece, k) => {
    const end = at + piece.length - (k === 0 ? dropped : 0);
    spans.push(ruler.span(at, end));
    at = end;
  });
  return at;
}

function mayFollow(ruler: Ruler, at: number, next: AddedToken | undefined): boolean {
  if (next === undefined) return at === ruler.bytes.length;
  const start = next.lstrip ? findPast(ruler, at, next.content) : at;
  return startsWith(ruler.bytes, start, utf8Bytes.encode(next.content));
}

function pieceAt(pieces: readonly (readonly number[])[], offset: number): number {
  let end = 0;
  const index = pieces.findIndex((piece) => (end += piece.length) > offset);
  return index < 0 ? pieces.length : index;
}

/** A text's bytes, each knowing the character that it belongs to. */
interface Ruler {
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly charAt: (byte: number) => number;
  readonly span: (from: number, to: number) => Span;
}

function rulerOf(text: string, spelling: Spelling): Ruler {
  const bytes: number[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  for (const character of text) {
    const own =
      spelling === 'sentencepiece' && character === '▁' ? [space] : utf8Bytes.encode(character);
    for (const byte of own) {
      bytes.push(byte);
      starts.push(at);
      ends.push(at + character.length);
    }
    at += character.length;
  }
  const charAt = (byte: number): number => starts[byte] ?? text.length;
  const span = (from: number, to: number): Span =>
    to > from
      ? { start: starts[from], end: ends[to - 1] }
      : { start: charAt(from), end: charAt(from) };
  return { text, bytes: Uint8Array.from(bytes), charAt, span };
}

function bytesOf(token: string, spelling: Spelling): number[] {
  if (spelling === 'bytes') {
    const bytes = Array.from(token, (character) => byteOf.get(character));
    if (bytes.every((byte) => byte !== undefined)) return bytes;
  }
  if (spelling === 'sentencepiece') {
    const byte = /^<0x([0-9A-F]{2})>$/i.exec(token);
    if (byte !== null) return [Number.parseInt(byte[1], 16)];
    return [...utf8Bytes.encode(token.replaceAll('▁', ' '))];
  }
  return [...utf8Bytes.encode(token)];
}

const utf8Bytes = new TextEncoder();
const space = 0x20;

/**
 * Byte-level BPE writes each byte as a printable character: those of Latin-1 that can be seen stand
 * for themselves, the other 68 are U+0100 onwards in order.
 *
 * @see Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", §2.2.
 */
const byteOf: ReadonlyMap<string, number> = byteAlphabet();

function byteAlphabet(): Map<string, number> {
  const alphabet = new Map<string, number>();
  let unseen = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const isSeen = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    alphabet.set(String.fromCodePoint(isSeen ? byte : unseen++), byte);
  }
  return alphabet;
}

function startsWith(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  if (at + wanted.length > bytes.length) return false;
  return wanted.every((byte, k) => bytes[at + k] === byte);
}

/** The first byte at or after `at` that is not of a white space character, which Unicode has many of. */
function pastSpace({ text, bytes, charAt }: Ruler, at: number): number {
  let end = at;
  while (end < bytes.length && /\s/.test(text[charAt(end)])) end++;
  return end;
}

/** Where `token` begins: here, or past the white space that lies here. */
function findPast(ruler: Ruler, at: number, token: string): number {
  return startsWith(ruler.bytes, at, utf8Bytes.encode(token)) ? at : pastSpace(ruler, at);
}

function misspelt(ruler: Ruler, tokens: readonly string[], token: number, byte: number): UserError {
  const character = ruler.charAt(byte);
  const what =
    token < tokens.length
      ? `token ${token} "${tokens[token]}" does not spell the text`
      : 'the tokens end before the text does';
  return new UserError('POSITION_UNRESOLVED', `${what}, so no place in it can be told`, {
    where: `character ${character}, "${ruler.text.slice(character, character + 12)}"`,
    fix: 'Write the prompt as the tokenizer normalises it (case, Unicode NFC), or ask only for last, all or token:K.',
  });
}
