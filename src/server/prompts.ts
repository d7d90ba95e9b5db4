/**
 * What of a prompt set may go to the page unasked, and what only on request?
 *
 * Columns that classify rows (booleans, numbers, short strings) go with the rows; text stays here
 * until the reader lifts its veil, for the prompts of this field are harmful by construction.
 */

import type { PromptRecord } from './schemas.ts';

type Scalar = boolean | number | string | null;

/** Longest string that still classifies; a sentence of a prompt is longer. */
const longestClass = 32;

/** Scalar columns of `records`, without those in `veiled`. */
export function scalarColumns(
  records: readonly PromptRecord[],
  veiled: ReadonlySet<string>,
): Record<string, Scalar[]> {
  const names = new Set(records.flatMap((record) => Object.keys(record)));
  const columns: [string, Scalar[]][] = [];
  for (const name of names) {
    if (veiled.has(name)) continue;
    const values = records.map((record) => record[name] ?? null);
    if (values.every(isScalar)) columns.push([name, values]);
  }
  return Object.fromEntries(columns);
}

/** A prompt as a person reads it: its text, its conversation, or its token ids. */
export function textOf(record: PromptRecord): string {
  if (record.text !== undefined) return record.text;
  if (record.messages !== undefined) {
    return record.messages.map(({ role, content }) => `${role}: ${content}`).join('\n\n');
  }
  if (record.ids !== undefined) return `token ids ${JSON.stringify(record.ids)}`;
  return 'This row was imported without its text.';
}

function isScalar(value: unknown): value is Scalar {
  return (
    value === null ||
    typeof value === 'boolean' ||
    typeof value === 'number' ||
    (typeof value === 'string' && value.length <= longestClass)
  );
}
