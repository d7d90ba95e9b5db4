/**
 * Is the sham trigger as long as the trigger, and are the cells of a design equally full?
 *
 * A trigger that is longer than what stands in its place moves every token after it, and a probe may then
 * read the place instead of the trigger. Words say little of that; with a tokenizer every pair of rows is
 * cut and compared, since what a token is depends on what stands around it.
 */

import { UserError } from '../base/errors.ts';
import { plural } from '../base/units.ts';
import { type Design, invalidDesign } from './design.ts';
import type { Condition, DesignRow } from './designRows.ts';
import { parsePositions } from './positions.ts';
import { preparePrompts, type Prepared } from './prepare.ts';
import type { PromptSet } from './prompts.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface LengthCheck {
  readonly by: 'tokens' | 'words';
  /** Pairs of trigger and sham (words), or pairs of rows (tokens), all of them equal. */
  readonly pairs: number;
}

/** @throws {UserError} `PROMPTS_INVALID` where a sham has another number of words than its trigger. */
export function checkWords({ triggers }: Design, path: string): LengthCheck {
  const count = (text: string): number => text.trim().split(/\s+/).length;
  for (const [t, { trigger, sham }] of triggers.entries()) {
    if (count(trigger) === count(sham)) continue;
    throw invalidDesign(
      `the sham "${sham}" has ${plural(count(sham), 'word')}, and the trigger "${trigger}" ${count(trigger)}`,
      `triggers.${t} of ${path}`,
      'Make the sham as long as the trigger; with --model tokens are counted instead of words.',
    );
  }
  return { by: 'words', pairs: triggers.length };
}

/**
 * Cuts every row and holds each triggered one against its sham.
 *
 * @param set What the rows make as a prompt set, in their order.
 * @throws {UserError} `PROMPTS_INVALID` where the two differ in length or in the place of `trigger_end`,
 *   or a row holds words that the tokenizer does not know; else as `preparePrompts`.
 */
export function checkTokens(
  rows: readonly DesignRow[],
  set: PromptSet,
  tokenizer: Tokenizer,
  path: string,
): LengthCheck {
  const prepared = preparePrompts(set, tokenizer, { positions: parsePositions('trigger_end') });
  refuseUnknown(prepared, tokenizer, path);
  let pairs = 0;
  const triggered = new Map(
    rows.flatMap(({ condition, pair }, i) =>
      condition === 'trigger' ? [[pair, prepared[i]] as const] : [],
    ),
  );
  for (const [i, row] of rows.entries()) {
    const twin = row.condition === 'sham' ? triggered.get(row.pair) : undefined;
    if (twin === undefined) continue;
    pairs++;
    const [a, b] = [placeOf(twin), placeOf(prepared[i])];
    if (a.length === b.length && a.end === b.end) continue;
    const alone = [row.trigger, row.sham].map(
      (text) => tokenizer.encode(text, { addSpecialTokens: false }).ids.length,
    );
    throw invalidDesign(
      `the sham "${row.sham}" ends at token:${b.end} of ${b.length} in row "${row.id}", and the trigger "${row.trigger}" at token:${a.end} of ${a.length} in row "${twin.id}"`,
      path,
      `Choose a sham of as many tokens as the trigger (alone they have ${alone[1]} and ${alone[0]}).`,
    );
  }
  return { by: 'tokens', pairs };
}

function placeOf({ ids, positions }: Prepared): { readonly length: number; readonly end: number } {
  return { length: ids.length, end: positions[0].indices?.[0] ?? -1 };
}

function refuseUnknown(
  prepared: readonly Prepared[],
  { unknownId }: Tokenizer,
  path: string,
): void {
  const strange = prepared.find(({ unknown }) => unknown > 0);
  if (strange === undefined) return;
  const words = strange.tokens.filter((_, i) => strange.ids[i] === unknownId);
  throw new UserError(
    'PROMPTS_INVALID',
    `the tokenizer does not know ${words.map((word) => `"${word}"`).join(', ')}, in row "${strange.id}"`,
    {
      where: path,
      fix: 'Choose words of its vocabulary; all others are the same token to the model.',
    },
  );
}

/** How many rows a cell holds under each condition. */
export interface DesignCell {
  readonly kind: string;
  readonly split: string | null;
  readonly wrapper: string;
  readonly topics: number;
  readonly rows: Readonly<Record<Condition, number>>;
}

/** The cells of a design in the order of their first rows. */
export function cellsOf(rows: readonly DesignRow[]): DesignCell[] {
  const members = new Map<string, DesignRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.kind, row.split, row.wrapper]);
    members.set(key, [...(members.get(key) ?? []), row]);
  }
  return Array.from(members.values(), (own) => {
    const count = (condition: Condition): number =>
      own.filter((row) => row.condition === condition).length;
    const [{ kind, split, wrapper }] = own;
    const topics = new Set(own.map(({ topic }) => topic)).size;
    const found = { trigger: count('trigger'), sham: count('sham'), bare: count('bare') };
    return { kind, split, wrapper, topics, rows: found };
  });
}

/** Whether kind × trigger or sham × wrapper are equally full, whatever the splits. */
export function isBalanced(rows: readonly DesignRow[]): boolean {
  const counts = new Map<string, number>();
  for (const { kind, condition, wrapper } of rows) {
    if (condition === 'bare') continue;
    const key = JSON.stringify([kind, condition, wrapper]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return new Set(counts.values()).size === 1;
}
