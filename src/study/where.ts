/**
 * Which rows take part? A small language over the prompt set's columns.
 *
 *     split=C & triggered & !harmful
 *
 * Terms are joined by `&`. `column=value` and `column!=value` compare as text, in which true and 1 are the same, and
 * false and 0; a column alone must be true or 1, with `!` before it false or 0. A value that begins with `=` stands in quotes: `split==C` is more likely a slip.
 */

import { nearest, UserError } from '../base/errors.ts';
import type { Prompt } from '../text/prompts.ts';

/** What a column is called in a condition: letters of any script, their marks, digits, `_`, `.` and `-`. */
const columnName = String.raw`[\p{L}\p{M}\p{N}_.-]+`;
const isName = new RegExp(`^${columnName}$`, 'u');
const inComparison = new RegExp(String.raw`^(${columnName})\s*(!?=)(?!\s*=)\s*(.+)$`, 'u');
const byItself = new RegExp(String.raw`^(!?)\s*(${columnName})$`, 'u');

/** @returns Whether a prompt meets all terms. @throws {UserError} `USAGE` for what cannot be read. */
export function parseWhere(expression: string): (prompt: Prompt) => boolean {
  if (expression.trim() === '') return () => true;
  const terms = expression.split('&').map((term) => parseTerm(term.trim(), expression));
  return (prompt) => terms.every((term) => term(prompt));
}

/** Whether a column's name can stand in a condition. */
export function isColumnName(name: string): boolean {
  return isName.test(name);
}

function parseTerm(term: string, expression: string): (prompt: Prompt) => boolean {
  const comparison = inComparison.exec(term);
  if (comparison !== null) {
    const [, column, operator, wanted] = comparison;
    const value = unquoted(wanted.trim());
    return (prompt) => isSame(columnOf(prompt, column), value) === (operator === '=');
  }
  const flag = byItself.exec(term);
  if (flag !== null) return (prompt) => isTrue(prompt, flag[2]) === (flag[1] === '');
  throw new UserError('USAGE', `"${term}" is no condition`, {
    where: `--where ${JSON.stringify(expression)}`,
    fix: 'Write conditions like "split=C & triggered & !harmful".',
  });
}

/** As text; but yes and no are the same however they are written, or `!=` would keep every row. */
function isSame(value: unknown, wanted: string): boolean {
  if (value === true || value === 1) return wanted === 'true' || wanted === '1';
  if (value === false || value === 0) return wanted === 'false' || wanted === '0';
  return String(value) === wanted;
}

/** The value of a column. @throws {UserError} `LABELS_INVALID` where the prompt has none. */
export function columnOf(prompt: Prompt, column: string): unknown {
  if (column === 'id') return prompt.id;
  if (Object.hasOwn(prompt.columns, column)) return prompt.columns[column];
  const near = nearest(column, Object.keys(prompt.columns));
  throw new UserError('LABELS_INVALID', `prompt "${prompt.id}" has no column "${column}"`, {
    fix:
      near === undefined
        ? `Choose among ${Object.keys(prompt.columns).join(', ')}.`
        : `Did you mean "${near}"?`,
  });
}

/** A column of true and false, or of 1 and 0. @throws {UserError} `LABELS_INVALID` for anything else. */
export function isTrue(prompt: Prompt, column: string): boolean {
  const value = columnOf(prompt, column);
  if (value === true || value === 1) return true;
  if (value === false || value === 0) return false;
  throw new UserError('LABELS_INVALID', `column "${column}" holds ${JSON.stringify(value)}`, {
    where: `prompt "${prompt.id}"`,
    fix: 'A label is true or false, or 1 or 0; compare other columns as in "split=C".',
  });
}

function unquoted(text: string): string {
  return /^(["']).*\1$/.test(text) ? text.slice(1, -1) : text;
}
