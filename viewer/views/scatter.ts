/**
 * Where did each row go between two checkpoints, in one fixed plane?
 *
 * Points are pixels (raster.ts), axes and mean arrows are SVG over them. Both axes have the same
 * unit, and the scale holds for every checkpoint, so a short arrow is a short shift. Rows outside a
 * filter stay as a grey ground.
 */

import { scaleLinear, select, ticks as niceTicks } from 'd3';
import type { ScaleLinear } from 'd3';
import { bottomAxis, fontFamily, keepApart, leftAxis, text } from '../marks.ts';
import type { Group, Margins, Size } from '../marks.ts';
import { bytesOf } from '../palette.ts';
import type { Palette } from '../palette.ts';
import { Raster, makeStamp } from '../raster.ts';
import type { Shape, Stamp } from '../raster.ts';
import type { Region } from '../regions.ts';
import type { MeanShift } from '../sentences.ts';
import type { ArrowKind } from '../state.ts';

/** One row of the plane at two checkpoints. */
export interface ShiftPlot {
  /** x, y of each row: before and after. [2 rows] each */
  readonly before: Float32Array;
  readonly after: Float32Array;
  readonly isTriggered: readonly (boolean | null)[];
  /** Whether the row passes the filters. */
  readonly isShown: readonly boolean[];
  /** Extent over all checkpoints: x low, x high, y low, y high. */
  readonly extent: readonly [number, number, number, number];
  readonly beforeColour: string;
  readonly afterColour: string;
  readonly axes: readonly [string, string];
  readonly means: readonly MeanShift[];
  /** A tail for each row, or rows faded behind the means. */
  readonly arrows: ArrowKind;
  /** The row under the cursor and the pinned one. */
  readonly cursor: number | null;
  readonly pinned: number | null;
}

export interface PlaneScales {
  readonly x: ScaleLinear<number, number>;
  readonly y: ScaleLinear<number, number>;
  readonly margins: Margins;
  readonly inner: Size;
}

/** Above this, one tail a row would be a thicket; mean arrows on a grid are drawn instead. */
export const mostTails = 2000;
const gridCells = { columns: 24, rows: 16 };

/** Scales with one unit for both axes, the extent in the middle. */
export function planeScales({ extent }: Pick<ShiftPlot, 'extent'>, size: Size): PlaneScales {
  const margins = { top: 26, right: 12, bottom: 42, left: 50 };
  const inner = {
    width: Math.max(40, size.width - margins.left - margins.right),
    height: size.height - margins.top - margins.bottom,
  };
  const [xLow, xHigh, yLow, yHigh] = extent;
  const unit = Math.min(
    (inner.width - 24) / (xHigh - xLow || 1),
    (inner.height - 24) / (yHigh - yLow || 1),
  );
  const middle = [(xLow + xHigh) / 2, (yLow + yHigh) / 2];
  const reach = [inner.width / 2 / unit, inner.height / 2 / unit];
  return {
    x: scaleLinear()
      .domain([middle[0] - reach[0], middle[0] + reach[0]])
      .range([0, inner.width]),
    y: scaleLinear()
      .domain([middle[1] - reach[1], middle[1] + reach[1]])
      .range([inner.height, 0]),
    margins,
    inner,
  };
}

/** Draws tails and points; gives back the raster, which knows the row under each pixel. */
export function drawPoints(
  canvas: HTMLCanvasElement,
  plot: ShiftPlot,
  size: Size,
  palette: Palette,
  ratio: number,
): Raster {
  const scales = planeScales(plot, size);
  const width = Math.round(scales.inner.width * ratio);
  const height = Math.round(scales.inner.height * ratio);
  canvas.width = width;
  canvas.height = height;
  const raster = new Raster(width, height);
  const context = canvas.getContext('2d');
  if (context === null) return raster;
  context.scale(ratio, ratio);
  if (plot.arrows === 'rows') drawTails(context, plot, scales);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.globalAlpha = 1;
  stampRows(raster, plot, scales, palette, ratio);
  // putImageData would erase the tails; a second canvas is blended over them.
  const layer = document.createElement('canvas');
  layer.width = width;
  layer.height = height;
  layer.getContext('2d')?.putImageData(new ImageData(raster.pixels, width, height), 0, 0);
  context.drawImage(layer, 0, 0);
  return raster;
}

function stampRows(
  raster: Raster,
  plot: ShiftPlot,
  { x, y }: PlaneScales,
  palette: Palette,
  ratio: number,
): void {
  const n = plot.isShown.length;
  const radius = (n <= 400 ? 4 : n <= mostTails ? 3 : 2.2) * ratio;
  const stamps: Record<Shape, { hollow: Stamp; full: Stamp }> = {
    disc: stampPair('disc', radius, ratio),
    triangle: stampPair('triangle', radius * 1.15, ratio),
  };
  const put = (row: number, isAfter: boolean, colour: string, alpha: number): void => {
    const at = isAfter ? plot.after : plot.before;
    const { hollow, full } = stamps[plot.isTriggered[row] === true ? 'triangle' : 'disc'];
    const stamp = isAfter ? full : hollow;
    const px = x(at[2 * row]) * ratio;
    const py = y(at[2 * row + 1]) * ratio;
    raster.put(stamp, px, py, bytesOf(colour), alpha, plot.isShown[row] ? row : -1);
  };
  const full = n <= 400 ? 0.9 : n <= mostTails ? 0.75 : 0.5;
  const alpha = plot.arrows === 'rows' ? full : 0.4 * full;
  for (let row = 0; row < n; row++) {
    if (plot.isShown[row]) continue;
    put(row, false, palette.neutral, 0.22);
    put(row, true, palette.neutral, 0.22);
  }
  for (let row = 0; row < n; row++) {
    if (plot.isShown[row]) put(row, false, plot.beforeColour, alpha);
  }
  for (let row = 0; row < n; row++) {
    if (plot.isShown[row]) put(row, true, plot.afterColour, alpha);
  }
}

function stampPair(shape: Shape, radius: number, ratio: number): { hollow: Stamp; full: Stamp } {
  return {
    hollow: makeStamp(shape, radius, true, 1.3 * ratio),
    full: makeStamp(shape, radius, false),
  };
}

function drawTails(context: CanvasRenderingContext2D, plot: ShiftPlot, scales: PlaneScales): void {
  const shown = plot.isShown.flatMap((isShown, row) => (isShown ? [row] : []));
  context.strokeStyle = plot.afterColour;
  context.globalAlpha = shown.length > 400 ? 0.15 : 0.35;
  context.lineWidth = 1;
  if (shown.length > mostTails) {
    context.globalAlpha = 0.9;
    drawGridArrows(context, plot, shown, scales);
    return;
  }
  context.beginPath();
  for (const row of shown) {
    context.moveTo(scales.x(plot.before[2 * row]), scales.y(plot.before[2 * row + 1]));
    context.lineTo(scales.x(plot.after[2 * row]), scales.y(plot.after[2 * row + 1]));
  }
  context.stroke();
}

/** The mean shift of the rows that begin in each cell, as wide as the root of their number. */
function drawGridArrows(
  context: CanvasRenderingContext2D,
  plot: ShiftPlot,
  shown: readonly number[],
  { x, y, inner }: PlaneScales,
): void {
  const { columns, rows } = gridCells;
  const sums = new Float64Array(columns * rows * 5);
  for (const row of shown) {
    const from = [x(plot.before[2 * row]), y(plot.before[2 * row + 1])];
    const to = [x(plot.after[2 * row]), y(plot.after[2 * row + 1])];
    const column = Math.min(
      columns - 1,
      Math.max(0, Math.floor((from[0] / inner.width) * columns)),
    );
    const line = Math.min(rows - 1, Math.max(0, Math.floor((from[1] / inner.height) * rows)));
    const at = (line * columns + column) * 5;
    for (const [i, value] of [...from, ...to, 1].entries()) sums[at + i] += value;
  }
  for (let at = 0; at < sums.length; at += 5) {
    const n = sums[at + 4];
    if (n < 3) continue;
    context.lineWidth = Math.min(4, 0.6 + Math.sqrt(n) / 6);
    context.beginPath();
    context.moveTo(sums[at] / n, sums[at + 1] / n);
    context.lineTo(sums[at + 2] / n, sums[at + 3] / n);
    context.stroke();
  }
}

/** Draws axes, mean arrows and the cursor over the points. */
export function drawFrameworks(
  svg: SVGSVGElement,
  plot: ShiftPlot,
  size: Size,
  palette: Palette,
): void {
  const scales = planeScales(plot, size);
  const { x, y, margins, inner } = scales;
  const root = select(svg).attr('width', size.width).attr('height', size.height);
  root.selectAll('.overlay').remove();
  const group: Group = root
    .append('g')
    .attr('class', 'overlay')
    .attr('transform', `translate(${margins.left},${margins.top})`);
  const format = x.tickFormat(8);
  leftAxis(group.append('g'), y, ticksFor(y.domain(), inner.height), format, 0, palette);
  bottomAxis(
    group.append('g').attr('transform', `translate(0,${inner.height})`),
    x,
    ticksFor(x.domain(), inner.width),
    format,
    palette,
  );
  text(group, `↑ ${plot.axes[1]}`, { x: -margins.left + 4, y: -12 }, palette.muted);
  const end = { x: inner.width, y: inner.height + 36, anchor: 'end' } as const;
  text(group, `${plot.axes[0]} →`, end, palette.muted);
  drawMeans(group, plot, scales, palette);
  for (const row of [plot.pinned, plot.cursor]) {
    if (row !== null && row < plot.isShown.length) ring(group, plot, row, scales, palette);
  }
}

/** About one tick every 64 pixels. */
function ticksFor(domain: readonly number[], pixels: number): number[] {
  return niceTicks(domain[0], domain[1], Math.max(2, Math.round(pixels / 64)));
}

function drawMeans(group: Group, plot: ShiftPlot, scales: PlaneScales, palette: Palette): void {
  const { x, y, inner } = scales;
  const heights = keepApart(
    plot.means.map(({ to }) => y(to[1])),
    18,
    10,
    inner.height - 10,
  );
  for (const { to, region } of plot.means) {
    if (region !== null && region !== undefined) drawRegion(group, to, region, scales, palette);
  }
  for (const [i, { name, from, to }] of plot.means.entries()) {
    const start = [x(from[0]), y(from[1])];
    const tip = [x(to[0]), y(to[1])];
    const shape = arrowPath(start, tip);
    for (const [colour, width] of [
      [palette.ground, 6],
      [palette.ink, 2.4],
    ] as const) {
      group
        .append('path')
        .attr('d', shape)
        .attr('fill', 'none')
        .attr('stroke', colour)
        .attr('stroke-width', width)
        .attr('stroke-linecap', 'round')
        .attr('stroke-linejoin', 'round')
        // Harmless rows are what the others are held against.
        .attr('stroke-dasharray', name.startsWith('harmless') ? '5 4' : null);
    }
    // Beyond the tip, where the shaft is not; but never out of the plot.
    // Where names have no room, the number of the table below stands for the class.
    const words = inner.width < 420 && plot.means.length > 1 ? String(i + 1) : name;
    const room = 30 + 7 * words.length;
    const isLeftward = tip[0] - start[0] < -6 && tip[0] > room;
    const isRight = isLeftward || tip[0] > inner.width - room;
    group
      .append('text')
      .attr('x', tip[0] + (isRight ? -12 : 12))
      .attr('y', heights[i] + 4)
      .attr('text-anchor', isRight ? 'end' : 'start')
      .attr('font-family', fontFamily)
      .attr('font-size', 12)
      .attr('font-weight', 600)
      .attr('fill', palette.ink)
      .attr('stroke', palette.ground)
      .attr('stroke-width', 4)
      .attr('stroke-linejoin', 'round')
      .attr('paint-order', 'stroke')
      .text(words);
  }
}

/** The 95 % region of a mean shift, about its tip. */
function drawRegion(
  group: Group,
  to: readonly [number, number],
  { u, v }: Region,
  { x, y }: PlaneScales,
  palette: Palette,
): void {
  const points = Array.from({ length: 49 }, (_, i) => {
    const turn = (i / 48) * 2 * Math.PI;
    const at = (axis: 0 | 1): number =>
      to[axis] + u[axis] * Math.cos(turn) + v[axis] * Math.sin(turn);
    return `${x(at(0)).toFixed(2)},${y(at(1)).toFixed(2)}`;
  });
  for (const [colour, width, fill] of [
    [palette.ground, 4.5, 'none'],
    [palette.ink, 1.5, palette.ink],
  ] as const) {
    group
      .append('path')
      .attr('class', 'region')
      .attr('d', `M${points.join('L')}Z`)
      .attr('fill', fill)
      .attr('fill-opacity', 0.14)
      .attr('stroke', colour)
      .attr('stroke-width', width);
  }
}

function arrowPath(start: readonly number[], tip: readonly number[]): string {
  const turn = Math.atan2(tip[1] - start[1], tip[0] - start[0]);
  const head = Math.min(9, Math.hypot(tip[0] - start[0], tip[1] - start[1]) / 2);
  const wing = (side: number): string => {
    const at = turn + side * 2.6;
    return `${tip[0] + head * Math.cos(at)},${tip[1] + head * Math.sin(at)}`;
  };
  return `M${start.join()}L${tip.join()}M${wing(1)}L${tip.join()}L${wing(-1)}`;
}

function ring(
  group: Group,
  plot: ShiftPlot,
  row: number,
  { x, y }: PlaneScales,
  palette: Palette,
): void {
  const from = [x(plot.before[2 * row]), y(plot.before[2 * row + 1])];
  const to = [x(plot.after[2 * row]), y(plot.after[2 * row + 1])];
  group
    .append('path')
    .attr('d', `M${from.join()}L${to.join()}`)
    .attr('stroke', palette.accent)
    .attr('stroke-width', 2);
  for (const [cx, cy] of [from, to]) {
    group
      .append('circle')
      .attr('cx', cx)
      .attr('cy', cy)
      .attr('r', 8)
      .attr('fill', 'none')
      .attr('stroke', palette.accent)
      .attr('stroke-width', 2);
  }
}

/** The nearest shown row in a direction from `row`, within 45° of it; `row` where there is none. */
export function neighbour(
  plot: Pick<ShiftPlot, 'after' | 'isShown'>,
  row: number,
  dx: number,
  dy: number,
): number {
  let best = row;
  let bestDistance = Infinity;
  for (let other = 0; other < plot.isShown.length; other++) {
    if (other === row || !plot.isShown[other]) continue;
    const x = plot.after[2 * other] - plot.after[2 * row];
    const y = plot.after[2 * other + 1] - plot.after[2 * row + 1];
    const along = x * dx + y * dy;
    const across = Math.abs(x * dy - y * dx);
    const distance = x * x + y * y;
    if (along > 0 && across <= along && distance < bestDistance) {
      best = other;
      bestDistance = distance;
    }
  }
  return best;
}
