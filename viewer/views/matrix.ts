/**
 * Cosines of directions, each with what directions without meaning give.
 *
 * The lower triangle: every pair once. What its null reaches as well is struck through.
 */

import { fixed } from '../format.ts';
import type { GeometryPlot, MatrixCell } from '../geometry.ts';
import { shorten, text } from '../marks.ts';
import type { Group, Size } from '../marks.ts';
import type { Palette } from '../palette.ts';
import { inkOn, signed } from '../ramps.ts';
import { coloured, framed, halo, strike } from './cellMarks.ts';
import type { Box } from './cellMarks.ts';

const names = 92;
const head = 46;
const foot = 92;
const letter = 6.5;

export interface MatrixLayout extends Size {
  readonly cell: Size;
}

/** The room that the matrix takes in `width` pixels. */
export function matrixLayout({ cells }: GeometryPlot, width: number): MatrixLayout {
  const n = Math.max(1, cells.length);
  const cell = { width: Math.min(112, (width - names) / n), height: n > 8 ? 30 : 46 };
  return { width: names + n * cell.width, height: head + n * cell.height + foot, cell };
}

/** Row and column of the lower triangle under a point; null beside it. */
export function matrixAt(
  { cells }: GeometryPlot,
  { cell }: MatrixLayout,
  x: number,
  y: number,
): { readonly row: number; readonly column: number } | null {
  const row = Math.floor((y - head) / cell.height);
  const column = Math.floor((x - names) / cell.width);
  return cells[row]?.[column] === undefined ? null : { row, column };
}

/** Draws names, cells, cursor and key. */
export function drawMatrix(
  group: Group,
  plot: GeometryPlot,
  layout: MatrixLayout,
  palette: Palette,
): void {
  const { cell } = layout;
  const ramp = signed(palette, 1);
  const title = plot.kind === 'whitened' ? 'whitened cosine' : 'cosine';
  text(group, `${title}, layer ${plot.layer}`, { x: 2, y: 12 }, palette.ink, 600);
  drawKey(group, ramp, layout, palette);
  for (const [i, row] of plot.cells.entries()) {
    const y = head + i * cell.height;
    const name = isTight(layout) ? `${i + 2} ${row[0].row}` : row[0].row;
    twoLines(group, name, { x: names - 8, y: y + cell.height / 2 - 3 }, 'end', 13, palette);
    for (const [j, found] of row.entries()) {
      const box = { x: names + j * cell.width, y, ...cell };
      drawCell(group, found, box, ramp, palette);
      if (plot.cursor?.row === i && plot.cursor.column === j)
        framed(group, box, palette.ink, palette);
    }
  }
  const below = head + plot.cells.length * cell.height;
  for (const [i, words] of footnotes(plot, layout).entries()) {
    text(group, words, { x: 2, y: below + 50 + 16 * i }, palette.muted);
  }
  const last = plot.cells.at(-1) ?? [];
  for (const [j, { column }] of last.entries()) {
    const at = {
      x: names + (j + 0.5) * cell.width,
      y: below + 15,
    };
    const name = isTight(layout) ? String(j + 1) : column;
    twoLines(group, name, at, 'middle', Math.floor(cell.width / letter), palette);
  }
}

/** Whether columns have no room for names: then they carry the numbers of the rows. */
function isTight({ cell }: MatrixLayout): boolean {
  return cell.width < 50;
}

function footnotes({ kind, cells }: GeometryPlot, layout: MatrixLayout): string[] {
  const all = cells.flat();
  const first = isTight(layout) && all.length > 0 ? [`1: ${all[0].column}`] : [];
  if (kind === 'whitened' && all.every(({ band }) => band === null)) {
    return [...first, 'No null in the report for these: not judged.'];
  }
  return [
    ...first,
    ...(all.some(({ isInside }) => isInside) ? ['Struck through: no more than its null.'] : []),
    ...(all.some(({ band }) => band?.isWeak === true)
      ? ['* isotropic: the only null known, a weak one.']
      : []),
  ];
}

function drawCell(
  group: Group,
  { value, band, isInside }: MatrixCell,
  box: Box,
  ramp: (value: number) => string,
  palette: Palette,
): void {
  const { x, y, width, height } = box;
  const fill = value === null || isInside ? palette.ground : ramp(value);
  coloured(group, box, fill, isInside || value === null ? palette.grid : fill);
  if (isInside) strike(group, box, palette);
  const ink = isInside || value === null ? palette.muted : inkOn(fill);
  const middle = x + width / 2;
  const isTall = height >= 40 && band !== null;
  const at = { x: middle, y: y + height / 2 + (isTall ? -2 : 4), anchor: 'middle' } as const;
  const isNarrow = width < 42;
  const number = value === null ? '–' : fixed(value, 2);
  // Without its zero a negative number has room in the narrowest cell.
  const words = isNarrow ? number.replace(/^(\D?)0\./, '$1.') : number;
  halo(text(group, words, at, ink, 600), fill).attr('font-size', isNarrow ? 11 : 13);
  if (!isTall || width < 44) return;
  const weak = band.isWeak ? '*' : '';
  const reached = `${width >= 84 ? 'null ' : ''}±${fixed(band.p95, 2).replace(/^0/, '')}${weak}`;
  halo(text(group, reached, { ...at, y: y + height / 2 + 14 }, ink), fill);
}

/** "harmful in planb" as "harmful" over "in planb". */
function twoLines(
  group: Group,
  name: string,
  { x, y }: { readonly x: number; readonly y: number },
  anchor: 'middle' | 'end',
  longest: number,
  palette: Palette,
): void {
  const joint = Math.max(name.lastIndexOf(' in '), name.lastIndexOf(' of '));
  const at = joint >= 0 || name.length <= longest ? joint : name.lastIndexOf(' ');
  if (at < 0) {
    text(group, shorten(name, longest), { x, y: y + 7, anchor }, palette.ink);
    return;
  }
  text(group, shorten(name.slice(0, at), longest), { x, y, anchor }, palette.ink);
  text(group, shorten(name.slice(at + 1), longest), { x, y: y + 13, anchor }, palette.muted);
}

function drawKey(
  group: Group,
  ramp: (value: number) => string,
  { width }: Size,
  palette: Palette,
): void {
  const bar = 120;
  const left = Math.max(names + 40, width - bar - 4);
  for (let i = 0; i < 40; i++) {
    group
      .append('rect')
      .attr('x', left + (i * bar) / 40)
      .attr('y', 3)
      .attr('width', bar / 40 + 0.5)
      .attr('height', 9)
      .attr('fill', ramp(((i + 0.5) / 40) * 2 - 1));
  }
  for (const [i, words] of ['−1', '0', '1'].entries()) {
    const anchor = (['start', 'middle', 'end'] as const)[i];
    text(group, words, { x: left + (i * bar) / 2, y: 25, anchor }, palette.muted);
  }
}
