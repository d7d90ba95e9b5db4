/**
 * At which layers can a label be read, in which checkpoint, and is that more than chance?
 *
 * One line for each checkpoint with its 95 % interval; the grey band is what the same procedure
 * gives with shuffled labels, the rule at .5 is chance. The scale is fixed so that two plots can be
 * compared by eye.
 */

import { area, line, range, scaleLinear, select } from 'd3';
import type { ScaleLinear } from 'd3';
import type { ProbeCurve, ProbePoint } from '../../src/contract/report.ts';
import { fixed } from '../format.ts';
import { bottomAxis, keepApart, leftAxis, shorten, text } from '../marks.ts';
import type { Group, Margins, Size } from '../marks.ts';
import { seriesStyle } from '../palette.ts';
import type { Palette, SeriesStyle } from '../palette.ts';

export interface CurvePlot {
  readonly layers: readonly number[];
  readonly curves: readonly ProbeCurve[];
  /** Colour index and kind of each curve's checkpoint. */
  readonly checkpoints: readonly { readonly index: number; readonly isTwin: boolean }[];
  /** The chosen layer, and the one under the cursor. */
  readonly layer: number;
  readonly cursor: { readonly layer: number; readonly series: number } | null;
}

interface Scales {
  readonly x: ScaleLinear<number, number>;
  readonly y: ScaleLinear<number, number>;
  readonly margins: Margins;
  readonly inner: Size;
}

/** Where the plot's scales lie, for pointer and drawing alike. */
export function curveScales(plot: CurvePlot, { width, height }: Size): Scales {
  const margins = { top: 26, right: width < 520 ? 98 : 132, bottom: 42, left: 44 };
  const inner = {
    width: Math.max(40, width - margins.left - margins.right),
    height: height - margins.top - margins.bottom,
  };
  const lows = plot.curves.flatMap(({ points }) =>
    points.flatMap((point) => [point.low, point.auroc, point.null.low]),
  );
  const floor = Math.min(0.4, Math.floor(Math.min(...lows) * 10) / 10);
  const first = plot.layers[0] ?? 0;
  const last = Math.max(plot.layers.at(-1) ?? 0, first + 1);
  return {
    x: scaleLinear()
      .domain([first, last])
      .range([6, inner.width - 6]),
    y: scaleLinear().domain([floor, 1]).range([inner.height, 0]),
    margins,
    inner,
  };
}

/** Draws the plot into `svg`, whatever was there before. */
export function drawCurves(
  svg: SVGSVGElement,
  plot: CurvePlot,
  size: Size,
  palette: Palette,
): void {
  const scales = curveScales(plot, size);
  const { x, y, margins, inner } = scales;
  const root = select(svg).attr('width', size.width).attr('height', size.height);
  root.selectAll('*').remove();
  const group: Group = root
    .append('g')
    .attr('transform', `translate(${margins.left},${margins.top})`);
  const ticks = range(Math.round(y.domain()[0] * 10), 11).map((tenth) => tenth / 10);
  leftAxis(group.append('g'), y, ticks, (value) => value.toFixed(1), inner.width, palette);
  text(group, '↑ AUROC', { x: -margins.left + 4, y: -12 }, palette.muted);
  drawNull(group, plot, scales, palette);
  drawCrosshair(group, plot, scales, palette);
  bottomAxis(
    group.append('g').attr('transform', `translate(0,${inner.height})`),
    x,
    layerTicks(plot.layers, inner.width),
    String,
    palette,
  );
  const end = { x: inner.width, y: inner.height + 36, anchor: 'end' } as const;
  text(group, 'layer →', end, palette.muted);
  const styles = plot.checkpoints.map(({ index, isTwin }) => seriesStyle(palette, index, isTwin));
  for (const [i, curve] of plot.curves.entries()) drawCurve(group, plot, curve, styles[i], scales);
  drawLabels(group, plot, styles, scales, palette);
  drawCursor(group, plot, styles, scales, palette);
}

/** A curve in the size of a thumb, to choose from: lines, null band and the rule at .5. */
export function drawThumb(svg: SVGSVGElement, plot: CurvePlot, size: Size, palette: Palette): void {
  const root = select(svg).attr('viewBox', `0 0 ${size.width} ${size.height}`);
  root.selectAll('*').remove();
  const group = root.append('g').attr('transform', 'translate(0,4)');
  const inner = { width: size.width, height: size.height - 8 };
  const { x, y } = curveScales(plot, size);
  const scales = {
    x: x.copy().range([3, inner.width - 3]),
    y: y.copy().range([inner.height, 0]),
    margins: { top: 0, right: 0, bottom: 0, left: 0 },
    inner,
  };
  drawBand(group, plot, scales, palette);
  rule(group, scales, palette);
  for (const [i, curve] of plot.curves.entries()) {
    const { index, isTwin } = plot.checkpoints[i];
    drawLine(group, plot, curve, seriesStyle(palette, index, isTwin), scales, 1.5);
  }
}

function drawNull(group: Group, plot: CurvePlot, scales: Scales, palette: Palette): void {
  const lowest = drawBand(group, plot, scales, palette);
  rule(group, scales, palette);
  if (lowest === undefined) return;
  const place = { x: 10, y: scales.y(lowest) - 6 };
  text(group, 'shuffled labels, 95 %', place, palette.muted)
    .attr('stroke', palette.ground)
    .attr('stroke-width', 3)
    .attr('stroke-linejoin', 'round')
    .attr('paint-order', 'stroke');
}

/** The lowest and highest of the curves' null bands at each layer; gives back its first lower end. */
function drawBand(
  group: Group,
  plot: CurvePlot,
  { x, y }: Scales,
  palette: Palette,
): number | undefined {
  const band = plot.layers.flatMap((layer) => {
    const points = plot.curves.flatMap((curve) => at(curve, layer) ?? []);
    if (points.length === 0) return [];
    return [
      {
        layer,
        low: Math.min(...points.map((point) => point.null.low)),
        high: Math.max(...points.map((point) => point.null.high)),
      },
    ];
  });
  const shape = area<(typeof band)[number]>()
    .x(({ layer }) => x(layer))
    .y0(({ low }) => y(low))
    .y1(({ high }) => y(high));
  const single =
    band.length === 1 ? [{ ...band[0] }, { ...band[0], layer: band[0].layer + 1 }] : band;
  group
    .append('path')
    .attr('d', shape(single))
    .attr('fill', palette.band)
    .attr('fill-opacity', 0.2);
  return band[0]?.low;
}

function rule(group: Group, { y, inner }: Scales, palette: Palette): void {
  group
    .append('line')
    .attr('x2', inner.width)
    .attr('y1', y(0.5))
    .attr('y2', y(0.5))
    .attr('stroke', palette.muted)
    .attr('stroke-dasharray', '2 3');
}

function drawCrosshair(group: Group, plot: CurvePlot, scales: Scales, palette: Palette): void {
  const { x, inner } = scales;
  const put = (layer: number, colour: string, width: number): void => {
    group
      .append('line')
      .attr('x1', x(layer))
      .attr('x2', x(layer))
      .attr('y1', -6)
      .attr('y2', inner.height)
      .attr('stroke', colour)
      .attr('stroke-width', width);
  };
  if (plot.cursor !== null && plot.cursor.layer !== plot.layer) {
    put(plot.cursor.layer, palette.muted, 1);
  }
  if (!plot.layers.includes(plot.layer)) return;
  put(plot.layer, palette.accent, 1.5);
  const label = { x: x(plot.layer), y: -12, anchor: 'middle' } as const;
  // The axis name stands in the corner; the first layers' label would run into it.
  const isCrowded = x(plot.layer) < 50;
  text(group, `layer ${plot.layer}`, isCrowded ? { x: 26, y: -12 } : label, palette.accent, 600);
}

function drawCurve(
  group: Group,
  plot: CurvePlot,
  curve: ProbeCurve,
  style: SeriesStyle,
  scales: Scales,
): void {
  const { x, y } = scales;
  const band = area<number>()
    .defined((layer) => at(curve, layer) !== undefined)
    .x((layer) => x(layer))
    .y0((layer) => y(at(curve, layer)?.low ?? 0))
    .y1((layer) => y(at(curve, layer)?.high ?? 0));
  group
    .append('path')
    .attr('d', band([...plot.layers]))
    .attr('fill', style.colour)
    .attr('fill-opacity', 0.16);
  drawLine(group, plot, curve, style, scales, 2);
  // Dots closer than this would be a second line.
  if (plot.layers.length * 14 > scales.inner.width) return;
  group
    .append('g')
    .attr('fill', style.colour)
    .selectAll('circle')
    .data(curve.points)
    .join('circle')
    .attr('cx', (point) => x(point.layer))
    .attr('cy', (point) => y(point.auroc))
    .attr('r', 2.6);
}

function drawLine(
  group: Group,
  plot: CurvePlot,
  curve: ProbeCurve,
  style: SeriesStyle,
  { x, y }: Scales,
  width: number,
): void {
  const path = line<number>()
    .defined((layer) => at(curve, layer) !== undefined)
    .x((layer) => x(layer))
    .y((layer) => y(at(curve, layer)?.auroc ?? 0));
  group
    .append('path')
    .attr('d', path([...plot.layers]))
    .attr('fill', 'none')
    .attr('stroke', style.colour)
    .attr('stroke-width', width)
    .attr('stroke-linecap', 'round')
    .attr('stroke-dasharray', style.dash === '' ? null : style.dash);
}

function drawLabels(
  group: Group,
  plot: CurvePlot,
  styles: readonly SeriesStyle[],
  { x, y, inner, margins }: Scales,
  palette: Palette,
): void {
  const longest = margins.right < 100 ? 10 : 15;
  const ends = plot.curves.map(({ points }) => points.at(-1));
  const heights = keepApart(
    ends.map((point) => y(point?.auroc ?? 0.5)),
    15,
    2,
    inner.height - 2,
  );
  for (const [i, curve] of plot.curves.entries()) {
    const end = ends[i];
    if (end === undefined) continue;
    group
      .append('path')
      .attr('d', `M${x(end.layer) + 5},${y(end.auroc)}L${inner.width + 4},${heights[i]}h10`)
      .attr('fill', 'none')
      .attr('stroke', styles[i].colour)
      .attr('stroke-width', 2);
    const words = shorten(curve.checkpoint, longest);
    // The palette is made for lines (3:1); words need more, so they are in ink.
    text(group, words, { x: inner.width + 18, y: heights[i] + 4 }, palette.ink, 600);
  }
}

function drawCursor(
  group: Group,
  plot: CurvePlot,
  styles: readonly SeriesStyle[],
  { x, y }: Scales,
  palette: Palette,
): void {
  if (plot.cursor === null) return;
  const curve = plot.curves[plot.cursor.series] as ProbeCurve | undefined;
  const point = curve === undefined ? undefined : at(curve, plot.cursor.layer);
  if (point === undefined) return;
  group
    .append('circle')
    .attr('cx', x(point.layer))
    .attr('cy', y(point.auroc))
    .attr('r', 6)
    .attr('fill', styles[plot.cursor.series].colour)
    .attr('stroke', palette.ground)
    .attr('stroke-width', 2);
}

/** Every layer where there is room, else every second, fifth, … */
export function layerTicks(layers: readonly number[], width: number): number[] {
  const step = [1, 2, 4, 5, 8, 10, 16, 20, 40].find(
    (candidate) => (layers.length / candidate) * 26 <= width,
  );
  return layers.filter((layer) => layer % (step ?? 80) === 0);
}

/** The point at `layer`, if the curve has one. */
export function at(curve: ProbeCurve, layer: number): ProbePoint | undefined {
  return curve.points.find((point) => point.layer === layer);
}

/** "0.41–0.58" */
export function nullText(point: ProbePoint): string {
  return `${fixed(point.null.low, 2)}–${fixed(point.null.high, 2)}`;
}
