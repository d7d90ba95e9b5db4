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

/**
 * The same in blocks no wider than `width`: columns that do not fit go below, beside the first `keys`
 * columns again. A single column may still be wider.
 */
export function fittedTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { width, keys = 1 }: { readonly width: number; readonly keys?: number },
): string[] {
  const breadth = (column: Column<Row>): number =>
    Math.max(widthOf(column.title), ...rows.map((row) => widthOf(plainLine(column.cell(row)))));
  const named = columns.slice(0, keys);
  const start = named.reduce((sum, column) => sum + breadth(column) + 2, 0);
  const blocks: Column<Row>[][] = [];
  let used = Number.POSITIVE_INFINITY;
  for (const column of columns.slice(keys)) {
    if (used + breadth(column) > width || blocks.length === 0) {
      blocks.push([...named]);
      used = start;
    }
    blocks[blocks.length - 1].push(column);
    used += breadth(column) + 2;
  }
  return blocks.flatMap((block, b) => [...(b === 0 ? [] : ['']), ...table(rows, block)]);
}

/** `text` filled up with spaces to `width` columns. */
function padded(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'left' ? text + space : space + text;
}

const shades = [' ', '░', '▒', '▓', '█'];

/** One character that is the darker the higher the value; five steps from `low` to `high`. */
export function shade(value: number, { low, high }: Range): string {
  if (!Number.isFinite(value)) return '·';
  const part = high > low ? (value - low) / (high - low) : 0;
  return shades[Math.min(shades.length - 1, Math.max(0, Math.floor(part * shades.length)))];
}

/** What the shades stand for, as `░ from 0.60`. */
export function shadeLegend({ low, high }: Range): string {
  const steps = shades.map((mark, i) => {
    const from = (low + (i * (high - low)) / shades.length).toFixed(2);
    return i === 0
      ? `blank below ${(low + (high - low) / shades.length).toFixed(2)}`
      : `${mark} from ${from}`;
  });
  return steps.join(', ');
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
