/**
 * Is a row triggered, and by which words?
 *
 * Rows say so in the columns `triggered`, `trigger` and `sham`; what they leave open the command may
 * fill in for all. A sham trigger stands in untriggered rows where the trigger would have stood.
 */

import { UserError } from '../base/errors.ts';
import type { Prompt } from './prompts.ts';

/** The words for rows without a column `trigger`, or `sham`. */
export interface TriggerOptions {
  readonly trigger?: string;
  readonly sham?: string;
}

/** What the row, or else the command, says on triggers. */
export interface TriggerColumns {
  readonly triggered: boolean | null;
  readonly trigger: string | null;
  readonly sham: Sham | null;
}

export interface Sham {
  readonly text: string;
  /** Whether the row names it itself, so that its absence is a mistake. */
  readonly isOwn: boolean;
}

/** For runs that ask for no trigger. */
export const noTrigger: TriggerColumns = { triggered: null, trigger: null, sham: null };

/**
 * What row and command say together; the row goes first.
 *
 * @param where Names the row in errors.
 * @throws {UserError} `PROMPTS_INVALID` where a column holds what it cannot mean.
 */
export function triggerColumns(
  { columns }: Prompt,
  options: TriggerOptions,
  where: string,
): TriggerColumns {
  const triggered = columns['triggered'] ?? null;
  if (triggered !== null && typeof triggered !== 'boolean' && triggered !== 0 && triggered !== 1) {
    throw new UserError('PROMPTS_INVALID', `"triggered" is ${JSON.stringify(triggered)}`, {
      where,
      fix: 'Write true or false.',
    });
  }
  const trigger = textColumn(columns, 'trigger', where) ?? options.trigger ?? null;
  const ownSham = textColumn(columns, 'sham', where);
  const sham = ownSham ?? options.sham;
  return {
    triggered: triggered === null ? null : Boolean(triggered),
    trigger,
    sham: sham === undefined ? null : { text: sham, isOwn: ownSham !== undefined },
  };
}

function textColumn(columns: Prompt['columns'], name: string, where: string): string | undefined {
  const value = columns[name] ?? undefined;
  if (value === undefined || value === '') return undefined;
  if (typeof value === 'string') return value;
  throw new UserError('PROMPTS_INVALID', `"${name}" is ${JSON.stringify(value)}, not a text`, {
    where,
    fix: `Write the words as they stand in the prompt, or leave "${name}" out.`,
  });
}
