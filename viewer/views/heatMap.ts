/**
 * How far did rows move at each layer and position, beside benign rows and a control?
 *
 * One panel for each set of rows, one band of panels for each pair, one scale for all of them. What a
 * correction leaves out is struck through instead of coloured, its number still there.
 */

import { select } from 'd3';
import { fixed } from '../format.ts';
import { shorten, text } from '../marks.ts';
import type { Group, Size } from '../marks.ts';
import { cellAt, fewGroups, groupsText, isMasked, valueOf } from '../maps.ts';
import type { MapCursor, MapPlot } from '../maps.ts';
import type { Palette } from '../palette.ts';
import { amounts, inkOn, signed } from '../ramps.ts';
import type { Ramp } from '../ramps.ts';
import { coloured, corner, framed, halo, strike } from './cellMarks.ts';
import type { Box } from './cellMarks.ts';
import { drawLegend, legendHeight } from './heatLegend.ts';

const left = 56;
const panelGap = 10;
const bandGap = 30;
const widestCell = 96;
const narrowestPanel = 80;
const longestName = 18;
/** Bold words, as the chosen position's. */
const boldLetter = 7;

/** Where everything lies, for pointer and drawing alike. */
export interface MapLayout extends Size {
  readonly cell: Size;
  readonly areas: readonly MapArea[];
  /** Height that the legend takes above the panels. */
  readonly legend: number;
  /** Lines of each position's name; null where they stand upright. */
  readonly names: readonly (readonly string[])[] | null;
}

interface MapArea {
  readonly band: number;
  readonly panel: number;
  readonly x: number;
  readonly y: number;
  /** Whether it stands first in its line, where layers are named. */
  readonly isFirst: boolean;
}

/** Bands side by side where there is room, else one below the other. */
export function mapLayout(plot: MapPlot, width: number): MapLayout {
  const { bands, panels, columns, layers } = plot;
  const cellWidth = (perLine: number, across: number): number =>
    (width / across - left - (across > 1 ? bandGap : 0) - (perLine - 1) * panelGap) /
    (perLine * columns.length);
  // Cells too low for a number need not be wide enough for one.
  const least = hasRoom({ width: 38, height: cellHeight(layers.length) }) ? 38 : 20;
  const smallest = Math.max(least, narrowestPanel / columns.length);
  const choices = [
    ...bands.map((_, i) => ({ across: bands.length - i, perLine: panels.length })),
    { across: 1, perLine: 2 },
  ];
  const { across, perLine } =
    choices.find((of) => cellWidth(of.perLine, of.across) >= smallest) ??
    choices[choices.length - (width < 560 ? 1 : 2)];
  const cell = {
    width: Math.max(4, Math.min(widestCell, cellWidth(perLine, across))),
    height: cellHeight(layers.length),
  };
  const words = columns.map((column) => column.words);
  const names = namesWithin(words, cell.width);
  const longest = Math.max(...words.map((name) => Math.min(name.length, longestName)));
  const tallest = Math.max(...(names ?? []).map((lines) => lines.length));
  const foot = names === null ? longest * boldLetter + 12 : 8 + 14 * tallest;
  const panelWidth = cell.width * columns.length;
  const lineHeight = 34 + layers.length * cell.height + foot;
  const lines = Math.ceil(panels.length / perLine);
  const bandWidth = left + perLine * panelWidth + (perLine - 1) * panelGap;
  const bandHeight = 22 + lines * lineHeight + 8;
  const legend = legendHeight(width);
  const areas = bands.flatMap((_, band) =>
    panels.map((_of, panel) => ({
      band,
      panel,
      x:
        (band % across) * (bandWidth + bandGap) +
        left +
        (panel % perLine) * (panelWidth + panelGap),
      y:
        legend +
        Math.floor(band / across) * bandHeight +
        22 +
        Math.floor(panel / perLine) * lineHeight +
        34,
      isFirst: panel % perLine === 0,
    })),
  );
  const height = legend + Math.ceil(bands.length / across) * bandHeight;
  return { width, height, cell, areas, legend, names };
}

/** Names in one line, or broken where words join; null where one does not fit even so. */
function namesWithin(positions: readonly string[], width: number): string[][] | null {
  const fits = (word: string): boolean => word.length * boldLetter <= width - 2;
  const lines = positions.map((name) => (fits(name) ? [name] : name.split(/(?<=[_:])/)));
  return lines.every((words) => words.length < 4 && words.every(fits)) ? lines : null;
}

/** Whether a number can be written in a cell. */
function hasRoom({ width, height }: Size): boolean {
  return width >= 36 && height >= 17;
}

function cellHeight(layers: number): number {
  if (layers <= 6) return 34;
  if (layers <= 16) return 23;
  return layers <= 48 ? 14 : 9;
}

/** The cell under a point; null beside them. */
export function cursorAt(
  plot: MapPlot,
  { areas, cell }: MapLayout,
  x: number,
  y: number,
): MapCursor | null {
  for (const area of areas) {
    const column = Math.floor((x - area.x) / cell.width);
    const line = Math.floor((y - area.y) / cell.height);
    if (!(column >= 0 && column < plot.columns.length)) continue;
    if (!(line >= 0 && line < plot.layers.length)) continue;
    const layer = plot.layers[plot.layers.length - 1 - line];
    return { band: area.band, panel: area.panel, layer, column: plot.columns[column].key };
  }
  return null;
}

/** Draws legend, panels and cursor. */
export function drawHeatMap(
  svg: SVGSVGElement,
  plot: MapPlot,
  layout: MapLayout,
  palette: Palette,
): void {
  const root = select(svg).attr('width', layout.width).attr('height', layout.height);
  root.selectAll('*').remove();
  const isSigned = plot.measure === 'difference';
  const ramp = isSigned ? signed(palette, plot.bound) : amounts(palette, plot.bound);
  drawLegend(root.append('g'), plot, layout.width, ramp, palette);
  for (const area of layout.areas) {
    const group: Group = root.append('g').attr('transform', `translate(${area.x},${area.y})`);
    drawHeads(group, plot, layout, area, palette);
    drawCells(group, plot, layout, area, ramp, palette);
    drawMarks(group, plot, layout, area, palette);
  }
}

function drawHeads(
  group: Group,
  plot: MapPlot,
  layout: MapLayout,
  area: MapArea,
  palette: Palette,
): void {
  const { cell, names } = layout;
  const { side, set } = plot.panels[area.panel];
  if (area.panel === 0) {
    const { title, map } = plot.bands[area.band];
    const name = text(group, shorten(title, 40), { x: -left + 2, y: -42 }, palette.ink, 700);
    name
      .append('tspan')
      .attr('font-weight', 400)
      .attr('fill', palette.muted)
      .attr('dx', 9)
      .text(layout.width < 340 ? groupsText(map).replace(' groups', '') : groupsText(map));
  }
  text(group, side, { x: 1, y: -20 }, palette.ink, 600);
  text(group, set, { x: 1, y: -7 }, palette.muted);
  if (area.isFirst) {
    text(group, '↑ layer', { x: -left + 2, y: -7 }, palette.muted);
    const step = Math.ceil(15 / cell.height);
    for (const [i, layer] of plot.layers.toReversed().entries()) {
      const isHere = layer === plot.layer;
      if (!isHere && (plot.layers.length - 1 - i) % step !== 0) continue;
      const y = (i + 0.5) * cell.height + 4;
      const colour = isHere ? palette.accent : palette.muted;
      text(group, String(layer), { x: -8, y, anchor: 'end' }, colour, isHere ? 700 : 400);
    }
  }
  const foot = plot.layers.length * cell.height;
  for (const [i, { position, words: wanted }] of plot.columns.entries()) {
    const isHere = position === plot.position;
    const x = (i + 0.5) * cell.width;
    const colour = isHere ? palette.accent : palette.muted;
    const weight = isHere ? 700 : 400;
    for (const [k, words] of (names?.[i] ?? []).entries()) {
      text(group, words, { x, y: foot + 16 + 14 * k, anchor: 'middle' }, colour, weight);
    }
    if (names !== null) continue;
    text(group, shorten(wanted, longestName), { x: 0, y: 0, anchor: 'end' }, colour, weight).attr(
      'transform',
      `translate(${x + 4},${foot + 7})rotate(-90)`,
    );
  }
}

function drawCells(
  group: Group,
  plot: MapPlot,
  { cell }: MapLayout,
  area: MapArea,
  ramp: Ramp,
  palette: Palette,
): void {
  const band = plot.bands[area.band];
  const panel = plot.panels[area.panel];
  const hasNumbers = hasRoom(cell);
  for (const [line, layer] of plot.layers.toReversed().entries()) {
    for (const [i, column] of plot.columns.entries()) {
      const found = cellAt(band, panel, layer, column);
      const box = { x: i * cell.width, y: line * cell.height, ...cell };
      if (found === undefined) {
        emptyCell(group, box, palette);
        continue;
      }
      const value = valueOf(found, panel.side);
      const isOut = isMasked(found, panel.side, plot.mask);
      const fill = isOut ? palette.ground : ramp(value);
      coloured(group, box, fill, isOut ? palette.grid : fill);
      if (isOut) strike(group, box, palette);
      if (found.n_groups < fewGroups || found.n_benign_groups < fewGroups) {
        corner(group, box, isOut ? palette.muted : inkOn(fill));
      }
      if (!hasNumbers) continue;
      const at = {
        x: box.x + cell.width / 2,
        y: box.y + cell.height / 2 + 4,
        anchor: 'middle',
      } as const;
      const words = text(group, fixed(value, 2), at, isOut ? palette.muted : inkOn(fill));
      if (isOut) halo(words, palette.ground);
    }
  }
}

function emptyCell(group: Group, box: Box, palette: Palette): void {
  coloured(group, box, 'none', palette.grid);
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 + 4, anchor: 'middle' } as const;
  if (box.height >= 14) text(group, '·', at, palette.muted);
}

/** The chosen layer and position, and the cursor, as frames. */
function drawMarks(
  group: Group,
  plot: MapPlot,
  { cell }: MapLayout,
  area: MapArea,
  palette: Palette,
): void {
  const frame = (layer: number, column: number, colour: string): void => {
    const line = plot.layers.length - 1 - plot.layers.indexOf(layer);
    if (column < 0 || !plot.layers.includes(layer)) return;
    const box = { x: column * cell.width, y: line * cell.height, ...cell };
    framed(group, box, colour, palette);
  };
  for (const [i, { position }] of plot.columns.entries()) {
    if (position === plot.position) frame(plot.layer, i, palette.accent);
  }
  const { cursor } = plot;
  if (cursor?.band === area.band && cursor.panel === area.panel) {
    const column = plot.columns.findIndex(({ key }) => key === cursor.column);
    frame(cursor.layer, column, palette.ink);
  }
}
