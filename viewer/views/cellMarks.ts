/** Marks that cells of all matrices share: fill, stroke through, corner, frame. */

import type { Selection } from 'd3';
import type { Group, Size } from '../marks.ts';
import type { Palette } from '../palette.ts';

/** A cell's place. */
export interface Box extends Size {
  readonly x: number;
  readonly y: number;
}

/** A cell with its fill and edge. */
export function coloured(group: Group, box: Box, fill: string, edge: string): void {
  group
    .append('rect')
    .attr('x', box.x + 0.5)
    .attr('y', box.y + 0.5)
    .attr('width', Math.max(1, box.width - 1))
    .attr('height', Math.max(1, box.height - 1))
    .attr('fill', fill)
    .attr('stroke', edge)
    .attr('stroke-width', fill === edge ? 0 : 1);
}

/** Strokes from corner to corner of what is not significant. */
export function strike(group: Group, { x, y, width, height }: Box, palette: Palette): void {
  // In cells too small for numbers a short stroke will do: long ones would be a pattern of their own.
  const isSmall = height < 17 || width < 30;
  const [w, h] = isSmall ? [5, 5] : [width - 6, height - 6];
  group
    .append('path')
    .attr('d', `M${x + (width - w) / 2},${y + (height + h) / 2}l${w},${-h}`)
    .attr('stroke', palette.muted)
    .attr('stroke-opacity', 0.55)
    .attr('stroke-width', 1);
}

/** Marks a cell that few groups stand behind. */
export function corner(group: Group, { x, y, width }: Box, colour: string): void {
  group
    .append('path')
    .attr('d', `M${x + width - 8},${y + 1.5}h6.5v6.5z`)
    .attr('fill', colour)
    .attr('fill-opacity', 0.75);
}

/** Keeps words apart from the lines that they lie on. */
export function halo(
  words: Selection<SVGTextElement, unknown, null, undefined>,
  ground: string,
): Selection<SVGTextElement, unknown, null, undefined> {
  return words
    .attr('stroke', ground)
    .attr('stroke-width', 4)
    .attr('stroke-linejoin', 'round')
    .attr('paint-order', 'stroke');
}

/** A line around a cell, on a wider one of the ground. */
export function framed(group: Group, box: Box, colour: string, palette: Palette): void {
  for (const [tone, width] of [
    [palette.ground, 4],
    [colour, 2],
  ] as const) {
    group
      .append('rect')
      .attr('x', box.x)
      .attr('y', box.y)
      .attr('width', box.width)
      .attr('height', box.height)
      .attr('fill', 'none')
      .attr('stroke', tone)
      .attr('stroke-width', width);
  }
}
