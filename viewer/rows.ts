/** What the rows of a position say about themselves: triggered, harmful, and which pass a filter. */

import type { RowColumns } from '../src/contract/api.ts';
import type { State } from './state.ts';

/** Null where the prompt set does not say. */
export type Flag = boolean | null;

/** A column of yes and no, in whatever way it was written; null where there is no such column. */
export function flags(rows: RowColumns, name: string): Flag[] | null {
  const column = Object.hasOwn(rows.columns, name) ? rows.columns[name] : undefined;
  if (column === undefined) return null;
  return column.map((value) => {
    if (value === true || value === 1 || value === '1' || value === 'true') return true;
    if (value === false || value === 0 || value === '0' || value === 'false') return false;
    return null;
  });
}

/** Which rows pass the filters of `state`. */
export function shownRows(rows: RowColumns, state: Pick<State, 'trigger' | 'harm'>): boolean[] {
  const triggered = flags(rows, 'triggered');
  const harmful = flags(rows, 'harmful');
  return rows.ids.map(
    (_, i) =>
      passes(triggered?.[i] ?? null, state.trigger, 'triggered') &&
      passes(harmful?.[i] ?? null, state.harm, 'harmful'),
  );
}

/** Rows that do not say stay in only where nothing is asked. */
function passes(flag: Flag, asked: string, yes: string): boolean {
  if (asked === 'all') return true;
  return flag === (asked === yes);
}
