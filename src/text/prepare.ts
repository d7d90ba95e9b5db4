/**
 * What exactly goes into the models, and which of its tokens are read?
 *
 * Everything that can be wrong with prompts, templates, triggers and lengths is found here, before
 * the first model is opened. Prompts are never cut short: that would move `last` without a word.
 */

import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { formatCount, plural } from '../base/units.ts';
import { renderChat } from './chat.ts';
import {
  type Located,
  type PositionSelector,
  type Resolved,
  resolvePosition,
  type UserText,
} from './positions.ts';
import { isTokenIds, type Prompt, type PromptSet } from './prompts.ts';
import type { Encoding, Tokenizer } from './tokenizer.ts';
import { noTrigger, triggerColumns, type TriggerOptions } from './triggers.ts';

export interface PrepareOptions extends TriggerOptions {
  readonly positions: readonly PositionSelector[];
  /** A reply that every prompt is continued with, or the column that holds each row's text or token ids. */
  readonly forceReply?: string | { readonly column: string };
  /** Rows with more tokens than this, forced reply included, are refused. */
  readonly tokenLimit?: number;
  /** Tokens that the model can take; where absent, the tokenizer's word counts. */
  readonly modelLimit?: number;
}

export type BosSource = 'tokenizer' | 'template' | 'prompt';

/** A prompt ready to be run. */
export interface Prepared {
  readonly id: string;
  /** Index in the prompt set, from 0. */
  readonly prompt: number;
  /** The prompt's tokens, then those of the forced reply. */
  readonly ids: readonly number[];
  /** How many of `ids` are the prompt's. */
  readonly promptLength: number;
  /** As the vocabulary writes them; null where there is no tokenizer. */
  readonly tokens: readonly (string | null)[];
  /** How many tokens stand for words outside the vocabulary. */
  readonly unknown: number;
  /** Who put the BOS in front: the tokenizer, the chat template, or the prompt itself; null without one. */
  readonly bos: BosSource | null;
  /** One for each selector, in their order. */
  readonly positions: readonly Resolved[];
}

/**
 * Cuts every prompt into tokens and finds every position in it.
 *
 * @returns One record for each prompt, in the order of the set.
 * @throws {UserError} `TOKENIZER_UNUSABLE`, `PROMPTS_INVALID`, or `POSITION_UNRESOLVED` where a row
 *   contradicts itself or a position is found in no row at all.
 */
export function preparePrompts(
  set: PromptSet,
  tokenizer: Tokenizer | null,
  options: PrepareOptions,
): Prepared[] {
  const prepared = set.prompts.map((prompt) => preparePrompt(prompt, tokenizer, options, set.path));
  refuseLong(prepared, tokenizer, options, set.path);
  options.positions.forEach(({ name }, i) => {
    if (prepared.some((row) => row.positions[i].indices !== null)) return;
    throw new UserError('POSITION_UNRESOLVED', `no row has a position "${name}"`, {
      where: `${set.path}, row "${prepared[0].id}": ${prepared[0].positions[i].reason}`,
      fix:
        name === 'trigger_end'
          ? 'Give the trigger with --trigger TEXT, or in columns "trigger" and "sham".'
          : `Leave "${name}" out of --positions.`,
    });
  });
  return prepared;
}

function preparePrompt(
  prompt: Prompt,
  tokenizer: Tokenizer | null,
  options: PrepareOptions,
  path: string,
): Prepared {
  const where = `row "${prompt.id}", line ${prompt.line} of ${path}`;
  const own = cutPrompt(prompt, tokenizer, where);
  const reply = cutReply(prompt, tokenizer, options.forceReply, where);
  const row: Located = {
    id: prompt.id,
    promptLength: own.ids.length,
    replyLength: reply.ids.length,
    user: own.user,
    trigger: options.positions.some(({ kind }) => kind === 'trigger_end')
      ? triggerColumns(prompt, options, where)
      : noTrigger,
  };
  const ids = [...own.ids, ...reply.ids];
  const unknownId = tokenizer?.unknownId ?? null;
  return {
    id: prompt.id,
    prompt: prompt.index,
    ids,
    promptLength: own.ids.length,
    tokens: [...own.tokens, ...reply.tokens],
    unknown: unknownId === null ? 0 : ids.filter((id) => id === unknownId).length,
    bos: ids[0] === tokenizer?.bosId ? own.bos : null,
    positions: options.positions.map((selector) => resolvePosition(selector, row)),
  };
}

interface CutPrompt {
  readonly ids: readonly number[];
  readonly tokens: readonly (string | null)[];
  readonly user: UserText | null;
  /** Who put a BOS in front, if there is one. */
  readonly bos: BosSource;
}

function cutPrompt({ body }: Prompt, tokenizer: Tokenizer | null, where: string): CutPrompt {
  if (body.kind === 'ids') {
    const tokens = body.ids.map((id) => tokenizer?.tokenOf(id) ?? null);
    return { ids: body.ids, tokens, user: null, bos: 'prompt' };
  }
  invariant(body.kind !== 'none', `a prompt without a body: ${where}`);
  if (tokenizer === null) throw tokenizerNeeded(`a prompt given as ${body.kind}`, where);
  if (body.kind === 'text') {
    const encoding = tokenizer.encode(body.text, { addSpecialTokens: true });
    refuseDoubleBos(encoding, tokenizer, 'tokenizer', where);
    const words = { start: 0, end: body.text.length };
    const bos = encoding.before > 0 ? 'tokenizer' : 'prompt';
    return withUser(encoding, tokenizer, { text: body.text, words, bos });
  }
  const chat = renderChat(tokenizer, body.messages, where);
  refuseDoubleBos(chat.encoding, tokenizer, 'template', where);
  return withUser(chat.encoding, tokenizer, { text: chat.text, words: chat.user, bos: 'template' });
}

function withUser(
  encoding: Encoding,
  tokenizer: Tokenizer,
  { text, words, bos }: Pick<UserText, 'text' | 'words'> & Pick<CutPrompt, 'bos'>,
): CutPrompt {
  let spans: ReturnType<Tokenizer['spansOf']> | undefined;
  const user = { text, words, spans: () => (spans ??= tokenizer.spansOf(text, encoding)) };
  return { ids: encoding.ids, tokens: encoding.tokens, user, bos };
}

/** Prompts given as ids are taken as they are; of those a second BOS is counted and named (accounting.ts). */
function refuseDoubleBos(
  { ids }: Encoding,
  { bosId, bosToken }: Tokenizer,
  writer: 'tokenizer' | 'template',
  where: string,
): void {
  if (bosId === null || ids[0] !== bosId || ids[1] !== bosId) return;
  throw new UserError('PROMPTS_INVALID', `the prompt would begin with "${bosToken}" twice`, {
    where,
    fix:
      writer === 'tokenizer'
        ? `Remove "${bosToken}" from the text; the tokenizer adds it.`
        : `Remove "${bosToken}" from the message, or from the chat template if that writes it twice.`,
  });
}

const noReply: Pick<CutPrompt, 'ids' | 'tokens'> = { ids: [], tokens: [] };

function cutReply(
  prompt: Prompt,
  tokenizer: Tokenizer | null,
  forceReply: PrepareOptions['forceReply'],
  where: string,
): Pick<CutPrompt, 'ids' | 'tokens'> {
  if (forceReply === undefined) return noReply;
  const reply = typeof forceReply === 'string' ? forceReply : prompt.columns[forceReply.column];
  // A reply that a model gave is what it said, which its text, cut anew, need not be.
  if (isTokenIds(reply)) {
    return { ids: reply, tokens: reply.map((id) => tokenizer?.tokenOf(id) ?? null) };
  }
  if (typeof reply !== 'string' || reply.trim() === '') {
    const source = typeof forceReply === 'string' ? '' : ` in column "${forceReply.column}"`;
    throw new UserError('PROMPTS_INVALID', `there is no forced reply${source}`, {
      where,
      fix: 'Give each row a reply, as a text with words in it or as token ids, or one for all with --force-reply TEXT.',
    });
  }
  if (tokenizer === null) throw tokenizerNeeded('a forced reply', where);
  return tokenizer.encode(reply, { addSpecialTokens: false });
}

function refuseLong(
  prepared: readonly Prepared[],
  tokenizer: Tokenizer | null,
  { tokenLimit, modelLimit }: PrepareOptions,
  path: string,
): void {
  const model = modelLimit ?? tokenizer?.modelMaxLength ?? Infinity;
  const limit = Math.min(tokenLimit ?? Infinity, model);
  const long = prepared.filter(({ ids }) => ids.length > limit);
  if (long.length === 0) return;
  const beyond = long.reduce((sum, { ids }) => sum + ids.length - limit, 0);
  const source = limit === tokenLimit ? '--token-limit' : 'the model takes no more';
  throw new UserError(
    'PROMPTS_INVALID',
    `${plural(long.length, 'row')} longer than ${formatCount(limit)} tokens (${source}): ${names(long)}`,
    {
      where: path,
      cause: `Cut to that, ${plural(beyond, 'token')} would be lost.`,
      fix: 'Shorten those prompts or remove them; they are never cut, since that would move "last".',
    },
  );
}

/**
 * Holds the ids against a model's vocabulary.
 *
 * @throws {UserError} `PROMPTS_INVALID` where an id is not below `size`.
 */
export function checkVocabulary(prepared: readonly Prepared[], size: number, where: string): void {
  const outside = prepared.filter(({ ids }) => ids.some((id) => id >= size));
  if (outside.length === 0) return;
  const id = outside[0].ids.find((candidate) => candidate >= size);
  throw new UserError(
    'PROMPTS_INVALID',
    `token id ${id} is outside the vocabulary of ${formatCount(size)}, in ${plural(outside.length, 'row')}: ${names(outside)}`,
    { where, fix: 'Use prompts and a tokenizer that belong to this model.' },
  );
}

/** The first few ids of some rows. */
function names(rows: readonly { readonly id: string }[]): string {
  const first = rows.slice(0, 5).map(({ id }) => `"${id}"`);
  return first.join(', ') + (rows.length > 5 ? ', …' : '');
}

function tokenizerNeeded(what: string, where: string): UserError {
  return new UserError('TOKENIZER_UNUSABLE', `${what} needs a tokenizer`, {
    where,
    fix: 'Put tokenizer.json and tokenizer_config.json beside the model, or give the prompts as ids.',
  });
}
