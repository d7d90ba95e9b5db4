/**
 * How far did each set of rows move, layer by layer, in each second stage?
 *
 * One panel for each set, one line for each pair, one scale for all panels, so that triggered can be
 * held against untriggered and one second stage against another.
 */

import { area, line, scaleLinear, select } from 'd3';
import type { ScaleLinear } from 'd3';
import type { ShiftCurve, ShiftSet } from '../../src/contract/report.ts';
import { bottomAxis, leftAxis, shorten, text } from '../marks.ts';
import type { Group, Size } from '../marks.ts';
import { arrow } from '../model.ts';
import type { Palette, SeriesStyle } from '../palette.ts';
import { layerTicks } from './layers.ts';

export interface ShiftsPlot {
  readonly shifts: readonly ShiftCurve[];
  readonly styles: readonly SeriesStyle[];
  /** Names of sets, in the order of the report. */
  readonly sets: readonly string[];
  readonly layers: readonly number[];
  readonly layer: number;
  readonly cursor: { readonly panel: number; readonly layer: number } | null;
}

interface Cell {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const margins = { top: 30, right: 12, bottom: 26, left: 38 };

/** Draws one panel a set. */
export function drawShifts(
  svg: SVGSVGElement,
  plot: ShiftsPlot,
  size: Size,
  palette: Palette,
): void {
  const root = select(svg).attr('width', size.width).attr('height', size.height);
  root.selectAll('*').remove();
  const top = Math.max(
    0.01,
    ...plot.shifts.flatMap((shift) =>
      shift.points.flatMap(({ sets }) => sets.map(({ high }) => high)),
    ),
  );
  for (const [i, cell] of panels(plot, size).entries()) {
    const group: Group = root
      .append('g')
      .attr('transform', `translate(${cell.left + margins.left},${cell.top + margins.top})`);
    drawPanel(group, plot, i, cell, top, palette);
  }
}

function drawPanel(
  group: Group,
  plot: ShiftsPlot,
  panel: number,
  cell: Cell,
  top: number,
  palette: Palette,
): void {
  const { x, y, width, height } = panelScales(plot, cell, top);
  text(group, shorten(plot.sets[panel], 34), { x: -margins.left + 4, y: -14 }, palette.ink, 600);
  leftAxis(group.append('g'), y, y.ticks(4), (value) => String(value), width, palette);
  if (plot.layers.includes(plot.layer)) vertical(group, x(plot.layer), height, palette.accent, 1.5);
  if (plot.cursor !== null && plot.cursor.layer !== plot.layer) {
    vertical(group, x(plot.cursor.layer), height, palette.muted, 1);
  }
  const ticks = layerTicks(plot.layers, width);
  const bottom = group.append('g').attr('transform', `translate(0,${height})`);
  bottomAxis(bottom, x, ticks, String, palette);
  for (const [i, shift] of plot.shifts.entries()) {
    drawLine(group, points(shift, plot.sets[panel]), plot.styles[i], x, y);
  }
}

function drawLine(
  group: Group,
  at: readonly SetPoint[],
  style: SeriesStyle,
  x: ScaleLinear<number, number>,
  y: ScaleLinear<number, number>,
): void {
  const band = area<SetPoint>()
    .x(({ layer }) => x(layer))
    .y0(({ set }) => y(set.low))
    .y1(({ set }) => y(set.high));
  const path = line<SetPoint>()
    .x(({ layer }) => x(layer))
    .y(({ set }) => y(set.relative_size));
  group
    .append('path')
    .attr('d', band([...at]))
    .attr('fill', style.colour)
    .attr('fill-opacity', 0.16);
  group
    .append('path')
    .attr('d', path([...at]))
    .attr('fill', 'none')
    .attr('stroke', style.colour)
    .attr('stroke-width', 2)
    .attr('stroke-linecap', 'round')
    .attr('stroke-dasharray', style.dash === '' ? null : style.dash);
  if (at.length * 12 > x.range()[1]) return;
  group
    .append('g')
    .attr('fill', style.colour)
    .selectAll('circle')
    .data(at)
    .join('circle')
    .attr('cx', ({ layer }) => x(layer))
    .attr('cy', ({ set }) => y(set.relative_size))
    .attr('r', 2.4);
}

function vertical(group: Group, x: number, height: number, colour: string, width: number): void {
  group
    .append('line')
    .attr('x1', x)
    .attr('x2', x)
    .attr('y1', -4)
    .attr('y2', height)
    .attr('stroke', colour)
    .attr('stroke-width', width);
}

function panelScales(
  { layers }: ShiftsPlot,
  cell: Cell,
  top: number,
): {
  x: ScaleLinear<number, number>;
  y: ScaleLinear<number, number>;
  width: number;
  height: number;
} {
  const width = cell.width - margins.left - margins.right;
  const height = cell.height - margins.top - margins.bottom;
  const first = layers[0] ?? 0;
  const last = Math.max(layers.at(-1) ?? 0, first + 1);
  return {
    x: scaleLinear()
      .domain([first, last])
      .range([5, width - 5]),
    y: scaleLinear().domain([0, top]).nice(4).range([height, 0]),
    width,
    height,
  };
}

/** Panels in a row: as many as have room, and no row with a single one left over where it can be. */
export function columnsFor(n: number, width: number): number {
  const most = Math.max(1, Math.floor(width / 230));
  if (most >= n) return n;
  return n % 2 === 0 && most > 2 ? 2 * Math.floor(most / 2) : most;
}

/** Where the panels lie. */
function panels({ sets }: ShiftsPlot, { width, height }: Size): Cell[] {
  const columns = columnsFor(sets.length, width);
  const rows = Math.ceil(sets.length / columns);
  return sets.map((_, i) => ({
    left: (i % columns) * (width / columns),
    top: Math.floor(i / columns) * (height / rows),
    width: width / columns,
    height: height / rows,
  }));
}

/** One set of rows at one layer. */
export interface SetPoint {
  readonly layer: number;
  readonly set: ShiftSet;
}

/** The points of one set. */
export function points(shift: ShiftCurve, name: string): SetPoint[] {
  return shift.points.flatMap(({ layer, sets }) => {
    const set = sets.find((of) => of.name === name);
    return set === undefined ? [] : [{ layer, set }];
  });
}

/** The lines' names in a row above the panels, for paper; gives back the height that it takes. */
export function drawKey(
  svg: SVGSVGElement,
  plot: {
    readonly shifts: readonly { readonly pair: string }[];
    readonly styles: readonly SeriesStyle[];
  },
  size: Size,
  palette: Palette,
): number {
  const group: Group = select(svg).append('g');
  let x = 4;
  let y = 14;
  for (const [i, { pair }] of plot.shifts.entries()) {
    const width = 46 + 7 * arrow(pair).length;
    if (x + width > size.width && x > 4) {
      x = 4;
      y += 18;
    }
    group
      .append('path')
      .attr('d', `M${x},${y - 4}h24`)
      .attr('stroke', plot.styles[i].colour)
      .attr('stroke-width', 3)
      .attr('stroke-dasharray', plot.styles[i].dash === '' ? null : plot.styles[i].dash);
    text(group, arrow(pair), { x: x + 30, y }, palette.ink);
    x += width;
  }
  return y + 10;
}
