/** Tables and small plots as text, aligned by the columns that characters take in a terminal. */

import { plainLine, widthOf } from './text.ts';

/** One column of a table of `Row`s. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Numbers are set to the right; default left. */
  readonly align?: 'left' | 'right';
}

/** Lines of an aligned table with its titles, two spaces between columns; cells are made plain. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => plainLine(cell(row)))),
  ];
  const widths = columns.map((_, j) => Math.max(...cells.map((line) => widthOf(line[j]))));
  return cells.map((line) =>
    line
      .map((text, j) => padded(text, widths[j], columns[j].align ?? 'left'))
      .join('  ')
      .trimEnd(),
  );
}

/** `text` filled up with spaces to `width` columns. */
function padded(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'left' ? text + space : space + text;
}

const levels = '▁▂▃▄▅▆▇█';

/** A range of values that a plot covers. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/**
 * One character for each value, from ▁ at `low` to █ at `high`; values beyond are drawn at the edge,
 * and one that is not finite leaves a gap. A curve over layers says its range beside it.
 */
export function sparkline(values: readonly number[], { low, high }: Range): string {
  const top = levels.length - 1;
  const level = (value: number): string => {
    if (!Number.isFinite(value)) return ' ';
    const part = high > low ? (value - low) / (high - low) : 0;
    return levels[Math.round(Math.min(1, Math.max(0, part)) * top)];
  };
  return values.map(level).join('');
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar from `low` to `value`, `width` columns at `high`, to an eighth of a column. */
export function bar(value: number, width: number, { low, high }: Range): string {
  if (!Number.isFinite(value) || high <= low) return '';
  const part = Math.min(1, Math.max(0, (value - low) / (high - low)));
  const whole = Math.round(part * width * 8);
  return '█'.repeat(Math.floor(whole / 8)) + eighths[whole % 8];
}
