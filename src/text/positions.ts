/**
 * Which token of a prompt is read?
 *
 * Positions have names for what they mean, not numbers, because a trigger or a template moves every
 * index after it. Those that lie in the user's text are resolved through the characters that each
 * token covers; a row that has no such place is left out and counted, never approximated.
 */

import { nearest, UserError } from '../base/errors.ts';
import type { Span } from './spans.ts';
import type { TriggerColumns } from './triggers.ts';

export interface PositionSelector {
  /** As it was written. */
  readonly name: string;
  readonly kind: PositionKind;
  /** The number after the colon of `token:K` and `reply:K`; 0 for all others. */
  readonly index: number;
}

const namedPositions = [
  'last',
  'instruction_end',
  'trigger_end',
  'reply_prefix',
  'reply_mean',
  'all',
] as const;

export type PositionKind = (typeof namedPositions)[number] | 'token' | 'reply';

/**
 * Reads a comma-separated list such as `last,trigger_end,token:3`.
 *
 * @throws {UserError} `USAGE` for a name that is unknown or given twice.
 */
export function parsePositions(list: string): PositionSelector[] {
  const selectors = list.split(',').map((item) => parsePosition(item.trim()));
  selectors.forEach(({ name }, i) => {
    if (selectors.findIndex((other) => other.name === name) < i) {
      throw new UserError('USAGE', `position "${name}" is given twice`, {
        where: '--positions',
        fix: `Name "${name}" once.`,
      });
    }
  });
  return selectors;
}

function parsePosition(name: string): PositionSelector {
  const kind = namedPositions.find((known) => known === name);
  if (kind !== undefined) return { name, kind, index: 0 };
  const numbered = /^(token|reply):(0|[1-9][0-9]{0,8})$/.exec(name);
  if (numbered !== null && name !== 'reply:0') {
    const counted = numbered[1] === 'token' ? 'token' : 'reply';
    return { name, kind: counted, index: Number(numbered[2]) };
  }
  const rules = ', token:K counts from 0 and reply:K from 1';
  const near = nearest(name, namedPositions);
  throw new UserError('USAGE', `"${name}" is not a position`, {
    where: '--positions',
    fix:
      near === undefined
        ? `Choose from ${namedPositions.join(', ')}${rules}.`
        : `Did you mean "${near}"?`,
  });
}

/** What is known of one prompt once it is cut into tokens. Spans are derived only when they are asked for. */
export interface Located {
  readonly id: string;
  readonly promptLength: number;
  readonly replyLength: number;
  /** The user's text and the tokens' spans in it; null for prompts given as ids. */
  readonly user: UserText | null;
  readonly trigger: TriggerColumns;
}

export interface UserText {
  /** The whole text that was cut, and where in it the user's words lie. */
  readonly text: string;
  readonly words: Span;
  readonly spans: () => readonly Span[];
}

/** Where a token stands: in what the template adds, the user's words, the trigger or its sham, the forced reply. */
type TokenPart = 'template' | 'instruction' | 'trigger' | 'reply';

/** Where a position lies in one row. */
export interface Resolved {
  /** Token indices from 0, forced reply included; null where the row has no such position. */
  readonly indices: readonly number[] | null;
  /** Why it has none. */
  readonly reason: string | null;
  /** What a reader should know although it was found. */
  readonly note: string | null;
  /** For `all`: where each token stands, if that can be known. */
  readonly parts?: readonly TokenPart[];
}

/**
 * Finds the tokens of one position in one row.
 *
 * @throws {UserError} `POSITION_UNRESOLVED` where the row contradicts itself, or the position needs
 *   what this run does not have.
 */
export function resolvePosition(selector: PositionSelector, row: Located): Resolved {
  return resolvers[selector.kind](row, selector);
}

type Resolver = (row: Located, selector: PositionSelector) => Resolved;

const resolvers: Readonly<Record<PositionKind, Resolver>> = {
  last: (row) => at(row.promptLength - 1),
  all(row) {
    const indices = Array.from({ length: row.promptLength + row.replyLength }, (_, i) => i);
    const parts = partsOf(row);
    return { ...found(indices), ...(parts === null ? {} : { parts }) };
  },
  token: (row, { index }) =>
    index < row.promptLength + row.replyLength
      ? at(index)
      : absent(`it has fewer than ${index + 1} tokens`),
  instruction_end(row, { name }) {
    const user = requireUser(name, row);
    return endOf(user, user.words, name, row.id);
  },
  trigger_end: triggerEnd,
  reply_prefix(row, { name }) {
    requireReply(name, row);
    return at(row.promptLength + row.replyLength - 1);
  },
  reply(row, { name, index }) {
    requireReply(name, row);
    return index <= row.replyLength
      ? at(row.promptLength + index - 1)
      : absent(`its forced reply has fewer than ${index} tokens`);
  },
  reply_mean() {
    throw new UserError(
      'POSITION_UNRESOLVED',
      '"reply_mean" needs replies that the model wrote itself',
      { where: '--positions', fix: 'Use reply_prefix or reply:K with --force-reply TEXT.' },
    );
  },
};

/**
 * Where each token stands, or null where tokens do not spell the text or there is none. The trigger is told
 * apart only where the row's columns were read for it, which `trigger_end` asks for.
 */
function partsOf({
  user,
  trigger: { trigger, sham },
  promptLength,
  replyLength,
}: Located): TokenPart[] | null {
  if (user === null) return null;
  let spans: readonly Span[];
  try {
    spans = user.spans();
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
  const texts = [trigger, sham?.text].filter((text) => text !== null && text !== undefined);
  const place = texts.map((text) => findLast(user, text)?.span).find((span) => span !== undefined);
  const lies = (span: Span, within: Span): boolean =>
    span.start < within.end && span.end > within.start;
  return Array.from({ length: promptLength + replyLength }, (_, i) => {
    if (i >= promptLength) return 'reply';
    if (place !== undefined && lies(spans[i], place)) return 'trigger';
    return lies(spans[i], user.words) ? 'instruction' : 'template';
  });
}

function triggerEnd(row: Located): Resolved {
  const user = requireUser('trigger_end', row);
  const { triggered, trigger, sham } = row.trigger;
  if (triggered === true && trigger === null) {
    throw new UserError(
      'POSITION_UNRESOLVED',
      `row "${row.id}" says that it is triggered, but not by what`,
      {
        where: 'trigger_end',
        fix: 'Give the trigger with --trigger TEXT or in a column "trigger".',
      },
    );
  }
  if (triggered !== false && trigger !== null) {
    const place = findLast(user, trigger);
    if (place !== null)
      return noted(endOf(user, place.span, 'trigger_end', row.id), place.count, 'trigger');
    if (triggered === true) {
      throw new UserError(
        'POSITION_UNRESOLVED',
        `row "${row.id}" says that it is triggered, but "${trigger}" is not in the user's text`,
        {
          where: 'trigger_end',
          fix: 'Correct the column "triggered", the trigger, or the prompt.',
        },
      );
    }
  }
  if (sham === null) return absent('it has no trigger and names no sham trigger');
  const place = findLast(user, sham.text);
  if (place !== null)
    return noted(endOf(user, place.span, 'trigger_end', row.id), place.count, 'sham trigger');
  if (sham.isOwn) {
    throw new UserError(
      'POSITION_UNRESOLVED',
      `row "${row.id}" names the sham trigger "${sham.text}", which is not in the user's text`,
      { where: 'trigger_end', fix: 'Correct the column "sham" or the prompt.' },
    );
  }
  return absent('neither the trigger nor the sham trigger is in it');
}

/** The last place of `words` in the user's text, and how many there are. */
function findLast({ text, words }: UserText, wanted: string): { span: Span; count: number } | null {
  const own = text.slice(words.start, words.end);
  const start = own.lastIndexOf(wanted);
  if (start < 0) return null;
  const end = words.start + start + wanted.length;
  return { span: { start: words.start + start, end }, count: own.split(wanted).length - 1 };
}

/** The last token that covers a character of `place`. */
function endOf(user: UserText, place: Span, position: string, id: string): Resolved {
  let spans: readonly Span[];
  try {
    spans = user.spans();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.code, `"${position}" of row "${id}" cannot be found: ${error.what}`, {
      ...(error.where === undefined ? {} : { where: error.where }),
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      cause: error,
    });
  }
  const index = spans.findLastIndex(({ start, end }) => start < place.end && end > place.start);
  return index < 0 ? absent('no token covers it') : at(index);
}

function requireReply(name: string, row: Located): void {
  if (row.replyLength > 0) return;
  throw new UserError('POSITION_UNRESOLVED', `"${name}" needs a forced reply`, {
    where: '--positions',
    fix: 'Add --force-reply TEXT or --force-reply column:NAME.',
  });
}

function requireUser(name: string, row: Located): UserText {
  if (row.user !== null) return row.user;
  throw new UserError(
    'POSITION_UNRESOLVED',
    `"${name}" lies in a text, and row "${row.id}" is given as token ids`,
    {
      where: '--positions',
      fix: 'Give the prompt as text or messages, or use last or token:K.',
    },
  );
}

function at(index: number): Resolved {
  return found([index]);
}

function found(indices: readonly number[]): Resolved {
  return { indices, reason: null, note: null };
}

function absent(reason: string): Resolved {
  return { indices: null, reason, note: null };
}

function noted(resolved: Resolved, count: number, what: string): Resolved {
  if (count < 2) return resolved;
  return { ...resolved, note: `the ${what} occurs more than once; the last is taken` };
}
