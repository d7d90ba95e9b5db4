/**
 * What is asked of the models? A prompt set is a file of records, one for each prompt: JSONL, or CSV and
 * plain text that are read as if they were.
 *
 * Each record is an object with a unique `id`, which joins everything later (activations, labels,
 * scores), exactly one body, and any further keys as columns:
 *
 *     text       a text, to be cut with the model's own special tokens around it
 *     messages   a conversation that the model's chat template renders
 *     ids        token ids, taken as they are; needs no tokenizer
 *
 * Rows of activations that were imported may have no body: nothing is left to be asked of a model.
 */

import { UserError } from '../base/errors.ts';
import { isJsonObject } from '../base/json.ts';
import { sha256OfFile } from '../files/atomic.ts';
import { formatOf, type PromptFormat, readRecords } from './promptFile.ts';
import type { Message } from './tokenizer.ts';

export type PromptBody =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'messages'; readonly messages: readonly Message[] }
  | { readonly kind: 'ids'; readonly ids: readonly number[] }
  | { readonly kind: 'none' };

export interface Prompt {
  readonly id: string;
  /** Its place in the set, from 0; blank lines do not count. */
  readonly index: number;
  /** Its line in the file, from 1. */
  readonly line: number;
  readonly body: PromptBody;
  /** Every key that is neither `id` nor the body, as it was given. */
  readonly columns: Readonly<Record<string, unknown>>;
}

export interface PromptSet {
  readonly path: string;
  readonly format: PromptFormat;
  /** SHA-256 of the file's bytes. */
  readonly sha256: string;
  /** In the order of the file. */
  readonly prompts: readonly Prompt[];
}

export interface PromptOptions {
  /** Whether a line may have none. */
  readonly bodies?: 'required' | 'optional';
}

/**
 * Reads a prompt set.
 *
 * @throws {UserError} `PROMPTS_INVALID`, naming the line, where the file is not as this page says.
 */
export async function readPrompts(
  path: string,
  { bodies = 'required' }: PromptOptions = {},
): Promise<PromptSet> {
  const format = formatOf(path);
  const prompts: Prompt[] = [];
  const lineOf = new Map<string, number>();
  for await (const { line, value } of readRecords(path, format)) {
    const at: Place = { path, line };
    const prompt = promptOf(value, prompts.length, at, bodies === 'required');
    const earlier = lineOf.get(prompt.id);
    if (earlier !== undefined) {
      throw invalid(
        at,
        `id "${prompt.id}" was used on line ${earlier} already`,
        'Give each prompt an id of its own.',
      );
    }
    lineOf.set(prompt.id, line);
    prompts.push(prompt);
  }
  if (prompts.length === 0) {
    const line = { jsonl: '{"id": "a1", "text": "…"}', csv: 'a1,…', text: 'a prompt' }[format];
    throw new UserError('PROMPTS_INVALID', 'the prompt set is empty', {
      where: path,
      fix: `Write at least one line: ${line}.`,
    });
  }
  return { path, format, sha256: await sha256OfFile(path, 'PROMPTS_INVALID'), prompts };
}

/** The lines of JSONL that say what a set says: id, body, columns; in its order, each with its line feed. */
export function* promptLines({ prompts }: PromptSet): Generator<string, void, undefined> {
  for (const { id, body, columns } of prompts) {
    yield `${JSON.stringify({ id, ...bodyField(body), ...columns })}\n`;
  }
}

function bodyField(body: PromptBody): object {
  if (body.kind === 'text') return { text: body.text };
  if (body.kind === 'ids') return { ids: body.ids };
  return body.kind === 'messages' ? { messages: body.messages } : {};
}

interface Place {
  readonly path: string;
  readonly line: number;
}

function promptOf(record: unknown, index: number, at: Place, needsBody: boolean): Prompt {
  if (!isJsonObject(record)) {
    const fix = 'Write one JSON object on each line: {"id": "a1", "text": "…"}.';
    throw invalid(at, 'the line holds no JSON object', fix);
  }
  const { id, text, messages, ids, ...columns } = record;
  if (typeof id !== 'string' || id === '') {
    throw invalid(
      at,
      id === undefined ? 'the prompt has no "id"' : `"id" is ${show(id)}, not a text`,
      'Give it an "id" of its own, for example "id": "a1".',
    );
  }
  const bodies = Object.entries({ text, messages, ids }).filter(([, body]) => body !== undefined);
  if (bodies.length === 0 && !needsBody) {
    return { id, index, line: at.line, body: { kind: 'none' }, columns };
  }
  if (bodies.length !== 1) {
    const found = bodies.map(([key]) => `"${key}"`).join(' and ');
    throw invalid(
      at,
      `prompt "${id}" has ${bodies.length === 0 ? 'no body' : `more than one body, ${found}`}`,
      'Give exactly one of "text", "messages" and "ids".',
    );
  }
  return { id, index, line: at.line, body: bodyOf(id, bodies[0], at), columns };
}

function bodyOf(id: string, [kind, body]: [string, unknown], at: Place): PromptBody {
  if (kind === 'text') return { kind: 'text', text: textOf(id, body, at) };
  if (kind === 'ids') return { kind: 'ids', ids: idsOf(id, body, at) };
  return { kind: 'messages', messages: messagesOf(id, body, at) };
}

function textOf(id: string, body: unknown, at: Place): string {
  if (typeof body === 'string' && body.trim() !== '') return body;
  throw invalid(
    at,
    `"text" of prompt "${id}" is ${show(body)}, not a text with words in it`,
    'Write the prompt, or remove the line.',
  );
}

function idsOf(id: string, body: unknown, at: Place): readonly number[] {
  if (isTokenIds(body)) return body;
  const items: readonly unknown[] = Array.isArray(body) ? body : [];
  const wrong = items.findIndex((item) => !isTokenId(item));
  const what = wrong < 0 ? `is ${show(body)}` : `holds ${show(items[wrong])} at ${wrong}`;
  throw invalid(
    at,
    `"ids" of prompt "${id}" ${what}, not a list of token ids`,
    'Write whole numbers from 0, at least one.',
  );
}

function messagesOf(id: string, body: unknown, at: Place): readonly Message[] {
  const fix = 'Write a list of {"role": "user", "content": "…"}, at least one.';
  if (!Array.isArray(body) || body.length === 0) {
    throw invalid(at, `"messages" of prompt "${id}" is ${show(body)}, not a list of messages`, fix);
  }
  return body.map((message: unknown, i) => {
    if (
      !isJsonObject(message) ||
      typeof message['role'] !== 'string' ||
      typeof message['content'] !== 'string'
    ) {
      throw invalid(
        at,
        `message ${i} of prompt "${id}" lacks a "role" or "content" that is a text`,
        fix,
      );
    }
    const { role, content } = message;
    if (content.trim() === '' && role === 'user') {
      throw invalid(
        at,
        `message ${i} of prompt "${id}" is empty`,
        'Write the prompt, or remove the line.',
      );
    }
    return { role, content };
  });
}

/** True for a list of token ids, at least one. */
export function isTokenIds(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every(isTokenId);
}

function isTokenId(item: unknown): item is number {
  return typeof item === 'number' && Number.isInteger(item) && item >= 0 && item < 2 ** 31;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

function invalid(at: Place, what: string, fix: string): UserError {
  return new UserError('PROMPTS_INVALID', what, { where: `line ${at.line} of ${at.path}`, fix });
}
