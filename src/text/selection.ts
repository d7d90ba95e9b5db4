/** Is what would be read what was meant? The data behind the table that `extract --dry-run` prints. */

import type { PositionSelector } from './positions.ts';
import type { Prepared } from './prepare.ts';

export interface SelectionSummary {
  readonly position: string;
  /** Prompts that have the position, and how many tokens are read in them altogether. */
  readonly rows: number;
  readonly tokens: number;
  /** Prompts without it, one entry for each reason. */
  readonly leftOut: readonly Remark[];
  /** What a reader should know of rows that do have it. */
  readonly notes: readonly Remark[];
  readonly examples: readonly SelectionExample[];
}

export interface Remark {
  readonly text: string;
  readonly count: number;
  /** The first few prompts concerned. */
  readonly ids: readonly string[];
}

export interface SelectionExample {
  readonly id: string;
  readonly index: number;
  /** The tokens around it, the chosen one as «token»; ids stand in where there is no tokenizer. */
  readonly window: string;
}

/** What each position selects, for people to look at before hours are spent. */
export function describeSelection(
  prepared: readonly Prepared[],
  selectors: readonly PositionSelector[],
): SelectionSummary[] {
  return selectors.map(({ name }, i) => {
    const having = prepared.filter((row) => row.positions[i].indices !== null);
    return {
      position: name,
      rows: having.length,
      tokens: having.reduce((sum, row) => sum + (row.positions[i].indices?.length ?? 0), 0),
      leftOut: remarks(prepared, (row) => row.positions[i].reason),
      notes: remarks(prepared, (row) => row.positions[i].note),
      examples: having
        .slice(0, 3)
        .map((row) => example(row, row.positions[i].indices?.at(-1) ?? 0)),
    };
  });
}

/** Rows in which words are outside the vocabulary: the model reads the same token for all of them. */
export function describeUnknown(prepared: readonly Prepared[]): Remark | null {
  const text = 'words outside the vocabulary';
  return remarks(prepared, ({ unknown }) => (unknown > 0 ? text : null))[0] ?? null;
}

function remarks(
  prepared: readonly Prepared[],
  remarkOn: (row: Prepared) => string | null,
): Remark[] {
  const rows = new Map<string, string[]>();
  for (const row of prepared) {
    const text = remarkOn(row);
    if (text === null) continue;
    const ids = rows.get(text) ?? [];
    ids.push(row.id);
    rows.set(text, ids);
  }
  return Array.from(rows, ([text, ids]) => ({ text, count: ids.length, ids: ids.slice(0, 5) }));
}

function example(row: Prepared, index: number): SelectionExample {
  const from = Math.max(0, index - 4);
  const to = Math.min(row.ids.length, index + 4);
  const shown = row.ids.slice(from, to).map((id, k) => {
    const token = row.tokens[from + k] ?? String(id);
    return from + k === index ? `«${token}»` : token;
  });
  const window = [from > 0 ? '…' : '', ...shown, to < row.ids.length ? '…' : ''];
  return { id: row.id, index, window: window.filter((part) => part !== '').join(' ') };
}
