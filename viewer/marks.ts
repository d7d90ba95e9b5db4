/** Pieces of SVG that the plots share: axes, direct labels that keep apart, sizes. */

import { axisBottom, axisLeft } from 'd3';
import type { AxisScale, Selection } from 'd3';
import type { Palette } from './palette.ts';

export type Group = Selection<SVGGElement, unknown, null, undefined>;

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Margins {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

/** Smallest text in a plot, in CSS pixels. */
const smallText = 11.5;
export const fontFamily =
  'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';

/** The bottom axis: quiet line, ticks, and its name with an arrow at the far end. */
export function bottomAxis(
  group: Group,
  scale: AxisScale<number>,
  ticks: readonly number[],
  format: (value: number) => string,
  palette: Palette,
): void {
  const axis = axisBottom(scale).tickValues(ticks).tickFormat(format).tickSize(4).tickPadding(5);
  group.call(axis);
  quieten(group, palette);
}

/** The left axis with grid lines `across` pixels long. */
export function leftAxis(
  group: Group,
  scale: AxisScale<number>,
  ticks: readonly number[],
  format: (value: number) => string,
  across: number,
  palette: Palette,
): void {
  const axis = axisLeft(scale).tickValues(ticks).tickFormat(format).tickSize(0).tickPadding(7);
  group.call(axis);
  group.select('.domain').remove();
  group.selectAll('.tick line').attr('x2', across).attr('stroke', palette.grid);
  quieten(group, palette);
}

function quieten(group: Group, palette: Palette): void {
  group.attr('font-family', fontFamily).attr('font-size', smallText);
  group.selectAll('.tick text').attr('fill', palette.muted);
  group.select('.domain').attr('stroke', palette.muted);
  group.selectAll('.tick line').attr('stroke', palette.grid);
}

/** Text with the plots' font. */
export function text(
  group: Group,
  words: string,
  at: { readonly x: number; readonly y: number; readonly anchor?: 'start' | 'middle' | 'end' },
  colour: string,
  weight: number = 400,
): Selection<SVGTextElement, unknown, null, undefined> {
  return group
    .append('text')
    .attr('x', at.x)
    .attr('y', at.y)
    .attr('text-anchor', at.anchor ?? 'start')
    .attr('font-family', fontFamily)
    .attr('font-size', smallText)
    .attr('font-weight', weight)
    .attr('fill', colour)
    .text(words);
}

/** Moves wanted heights apart so that neighbours are `gap` apart and all lie in [low, high]. */
export function keepApart(
  wanted: readonly number[],
  gap: number,
  low: number,
  high: number,
): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b] || a - b);
  const placed = [...wanted];
  let floor = low;
  for (const i of order) {
    placed[i] = Math.max(placed[i], floor);
    floor = placed[i] + gap;
  }
  let roof = high;
  for (const i of order.toReversed()) {
    placed[i] = Math.min(placed[i], roof);
    roof = placed[i] - gap;
  }
  return placed;
}

/** "a long name" → "a long n…" where it has more than `longest` letters. */
export function shorten(words: string, longest: number): string {
  return words.length <= longest ? words : `${words.slice(0, longest - 1)}…`;
}
