/**
 * Small plots in a row, all of one height: lines over layers, the band of their null behind them.
 */

import { area, line, scaleLinear } from 'd3';
import type { ScaleLinear } from 'd3';
import { bottomAxis, leftAxis, shorten, text } from '../marks.ts';
import type { Group, Size } from '../marks.ts';
import type { Palette, SeriesStyle } from '../palette.ts';
import { layerTicks } from './layers.ts';

export interface PanelPoint {
  readonly x: number;
  readonly value: number;
  /** The interval, where there is one. */
  readonly low?: number;
  readonly high?: number;
}

export interface Panel {
  readonly title: string;
  readonly xs: readonly number[];
  readonly xName: string;
  readonly domain: readonly [number, number];
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
  /** What chance gives, 95 % of it. */
  readonly band: readonly { readonly x: number; readonly low: number; readonly high: number }[];
  /** Dashed: what one number of chance gives. */
  readonly rules: readonly PanelPoint[];
  readonly lines: readonly {
    readonly style: SeriesStyle;
    readonly points: readonly PanelPoint[];
  }[];
  /** Marked on the x axis; null where x is no layer. */
  readonly here: number | null;
}

const margins = { top: 30, right: 12, bottom: 40, left: 42 };

interface Scales extends Size {
  readonly x: ScaleLinear<number, number>;
  readonly y: ScaleLinear<number, number>;
}

/** Where the panel's scales lie within `cell`. */
function panelScales({ xs, domain }: Panel, cell: Size): Scales {
  const width = Math.max(20, cell.width - margins.left - margins.right);
  const height = cell.height - margins.top - margins.bottom;
  const first = xs[0] ?? 0;
  const last = Math.max(xs.at(-1) ?? 0, first + 1);
  return {
    x: scaleLinear()
      .domain([first, last])
      .range([6, width - 6]),
    y: scaleLinear()
      .domain([...domain])
      .range([height, 0])
      .clamp(true),
    width,
    height,
  };
}

/** The x nearest to a point within `cell`. */
export function panelAt(panel: Panel, cell: Size, x: number): number | null {
  const wanted = panelScales(panel, cell).x.invert(x - margins.left);
  return panel.xs.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0] ?? null;
}

/** Draws one panel with its upper left corner at the origin of `parent`. */
export function drawPanel(parent: Group, panel: Panel, cell: Size, palette: Palette): void {
  const scales = panelScales(panel, cell);
  const { x, y, width, height } = scales;
  const group: Group = parent
    .append('g')
    .attr('transform', `translate(${margins.left},${margins.top})`);
  const longest = Math.floor((cell.width - 8) / 6.3);
  const title = shorten(panel.title, longest);
  text(group, title, { x: -margins.left + 4, y: -14 }, palette.ink, 600);
  drawBand(group, panel, scales, palette);
  leftAxis(group.append('g'), y, apart(panel.ticks, y), panel.format, width, palette);
  drawHere(group, panel, scales, palette);
  const bottom = group.append('g').attr('transform', `translate(0,${height})`);
  const ticks = panel.here === null ? panel.xs : layerTicks(panel.xs, width);
  bottomAxis(bottom, x, ticks, String, palette);
  text(group, panel.xName, { x: width, y: height + 34, anchor: 'end' }, palette.muted);
  drawRule(group, panel.rules, scales, palette);
  for (const { style, points } of panel.lines) drawLine(group, points, style, scales);
}

/** Pixels that the label of a tick needs. */
const labelHeight = 13;

/** Ticks whose labels do not touch; zero goes before all others, and the far before the near. */
export function apart(ticks: readonly number[], y: (value: number) => number): readonly number[] {
  const rank = (value: number): number => (value === 0 ? Infinity : Math.abs(value));
  const kept: number[] = [];
  for (const tick of ticks.toSorted((a, b) => rank(b) - rank(a))) {
    if (kept.every((other) => Math.abs(y(other) - y(tick)) >= labelHeight)) kept.push(tick);
  }
  return kept;
}

function drawBand(group: Group, { band }: Panel, { x, y }: Scales, palette: Palette): void {
  const single = band.length === 1 ? [band[0], { ...band[0], x: band[0].x + 1 }] : band;
  const shape = area<(typeof band)[number]>()
    .x((at) => x(at.x))
    .y0(({ low }) => y(low))
    .y1(({ high }) => y(high));
  group
    .append('path')
    .attr('d', shape([...single]))
    .attr('fill', palette.band)
    .attr('fill-opacity', 0.24);
}

function drawHere(
  group: Group,
  { here, xs }: Panel,
  { x, height }: Scales,
  palette: Palette,
): void {
  if (here === null || !xs.includes(here)) return;
  group
    .append('line')
    .attr('x1', x(here))
    .attr('x2', x(here))
    .attr('y1', -4)
    .attr('y2', height)
    .attr('stroke', palette.accent)
    .attr('stroke-width', 1.5);
}

function drawRule(
  group: Group,
  points: readonly PanelPoint[],
  { x, y }: Scales,
  palette: Palette,
): void {
  const path = line<PanelPoint>()
    .x((at) => x(at.x))
    .y(({ value }) => y(value));
  group
    .append('path')
    .attr('d', path([...points]))
    .attr('fill', 'none')
    .attr('stroke', palette.muted)
    .attr('stroke-dasharray', '2 3');
}

function drawLine(
  group: Group,
  points: readonly PanelPoint[],
  style: SeriesStyle,
  { x, y, width }: Scales,
): void {
  const within = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  const band = area<PanelPoint>()
    .x((at) => x(at.x))
    .y0(({ low = 0 }) => y(low))
    .y1(({ high = 0 }) => y(high));
  const path = line<PanelPoint>()
    .x((at) => x(at.x))
    .y(({ value }) => y(value));
  group
    .append('path')
    .attr('d', band(within))
    .attr('fill', style.colour)
    .attr('fill-opacity', 0.16);
  group
    .append('path')
    .attr('d', path([...points]))
    .attr('fill', 'none')
    .attr('stroke', style.colour)
    .attr('stroke-width', 2)
    .attr('stroke-linecap', 'round')
    .attr('stroke-dasharray', style.dash === '' ? null : style.dash);
  if (points.length * 12 > width) return;
  group
    .append('g')
    .attr('fill', style.colour)
    .selectAll('circle')
    .data(points)
    .join('circle')
    .attr('cx', (at) => x(at.x))
    .attr('cy', ({ value }) => y(value))
    .attr('r', 2.6);
}
