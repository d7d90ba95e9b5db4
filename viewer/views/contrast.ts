/** The view around the contrasts: one panel a measure, the control in each, one cursor for all. */

import { select } from 'd3';
import {
  alignmentMethod,
  alignmentPlot,
  alignmentSentences,
  alignmentTable,
  layerWords,
  measures,
  noContrast,
  pointAt,
} from '../alignments.ts';
import type { AlignmentPlot, Measure } from '../alignments.ts';
import { element } from '../dom.ts';
import { roundUp } from '../format.ts';
import type { Table } from '../format.ts';
import type { Group, Size } from '../marks.ts';
import type { Scene } from '../model.ts';
import { light } from '../palette.ts';
import type { Palette, SeriesStyle } from '../palette.ts';
import type { State } from '../state.ts';
import { followCursor } from './follow.ts';
import { Frame } from './frame.ts';
import type { FrameActions } from './frame.ts';
import { keyedPaper, pairKeys, stylesOf } from './keys.ts';
import { drawPanel, panelAt } from './panels.ts';
import type { Panel } from './panels.ts';
import { columnsFor } from './shifts.ts';

const title = 'Do triggered and untriggered rows move alike?';
const hint = 'Point at a layer, or use the arrow keys in the plot; click or Enter takes it.';
const panelHeight = 196;

export class ContrastView {
  readonly frame: Frame;
  readonly #act: (patch: Partial<State>) => void;
  readonly #svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  readonly #reading = element('p', { class: 'reading' });
  readonly #legend = element('div', { class: 'legend' });
  #scene: Scene | null = null;
  #palette: Palette = light;
  #cursor: number | null = null;

  constructor(act: (patch: Partial<State>) => void, actions: FrameActions) {
    this.#act = act;
    this.frame = new Frame('contrast', actions, {
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
    const plot = alignmentPlot(scene, this.#cursor);
    if (plot === null) {
      this.frame.extra.replaceChildren();
      this.frame.say(title, [], '');
      this.frame.refuse(noContrast(scene));
      return;
    }
    this.#drawLegend(plot);
    this.frame.extra.replaceChildren(this.#legend);
    this.frame.say(title, alignmentSentences(plot), alignmentMethod(plot));
    this.frame.show(scene.state.tables.includes('contrast') ? alignmentTable(plot) : null);
    this.frame.readout.replaceChildren(this.#reading);
    this.draw();
  }

  draw(): void {
    const plot = this.#plot();
    if (plot === null) return;
    const size = sizeFor(this.frame.plot.clientWidth);
    if (!this.frame.plot.hidden)
      drawPanels(this.#svg, plot, this.#styles(plot), size, this.#palette);
    const words = this.#cursor === null ? hint : layerWords(plot, this.#cursor);
    if (this.#reading.textContent !== words) this.#reading.textContent = words;
  }

  #plot(): AlignmentPlot | null {
    return this.#scene === null ? null : alignmentPlot(this.#scene, this.#cursor);
  }

  #styles({ contrasts }: AlignmentPlot, palette: Palette = this.#palette): SeriesStyle[] {
    return this.#scene === null ? [] : stylesOf(this.#scene.report, contrasts, palette);
  }

  #drawLegend(plot: AlignmentPlot): void {
    const { contrasts } = plot;
    this.#legend.replaceChildren(...pairKeys(contrasts, this.#styles(plot), contrasts[0].control));
  }

  #listen(): void {
    followCursor(this.frame.plot, {
      under: (x, y) => this.#layerUnder(x, y),
      moveTo: (layer) => this.#moveTo(layer),
      click: (layer) => {
        if (layer !== null) this.#act({ layer });
      },
      key: (key) => this.#key(key),
    });
  }

  #layerUnder(x: number, y: number): number | null {
    const plot = this.#plot();
    if (plot === null || this.frame.plot.hidden) return null;
    const size = sizeFor(this.frame.plot.clientWidth);
    const found = cellsOf(size).findIndex(
      (of) => x >= of.x && x < of.x + of.width && y >= of.y && y < of.y + of.height,
    );
    if (found < 0) return null;
    const cell = cellsOf(size)[found];
    const panel = panelOf(plot, this.#styles(plot), measures[found]);
    return panelAt(panel, cell, x - cell.x);
  }

  #moveTo(layer: number | null): void {
    if (layer === this.#cursor) return;
    this.#cursor = layer;
    this.draw();
  }

  #key(key: string): boolean {
    const plot = this.#plot();
    if (plot === null || this.frame.plot.hidden) return false;
    const { layers } = plot;
    const place = Math.max(0, layers.indexOf(this.#cursor ?? plot.layer));
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: Math.max(0, place - 1),
      ArrowRight: Math.min(layers.length - 1, place + 1),
      Home: 0,
      End: layers.length - 1,
    };
    if (key === 'Enter' && this.#cursor !== null) {
      this.#act({ layer: this.#cursor });
      return true;
    }
    if (!Object.hasOwn(moves, key)) return false;
    this.#moveTo(layers[moves[key]]);
    this.frame.announce(layerWords(plot, layers[moves[key]]));
    return true;
  }

  #paper(): SVGSVGElement | null {
    const plot = this.#plot();
    if (plot === null) return null;
    const still = { ...plot, cursor: null };
    const styles = this.#styles(plot, light);
    const words = [...alignmentSentences(plot), alignmentMethod(plot)];
    const size = { width: 860, height: 2 * panelHeight + 30 };
    return keyedPaper({ title, words, size }, { shifts: plot.contrasts, styles }, (svg) =>
      drawPanels(svg, still, styles, { width: 860, height: 2 * panelHeight }, light),
    );
  }

  #table(): Table | null {
    const plot = this.#plot();
    return plot === null ? null : alignmentTable(plot);
  }
}

function sizeFor(width: number): Size {
  return {
    width,
    height: Math.ceil(measures.length / columnsFor(measures.length, width)) * panelHeight,
  };
}

/** Where the panels lie. */
function cellsOf({ width }: Size): (Size & { readonly x: number; readonly y: number })[] {
  const columns = columnsFor(measures.length, Math.min(width, width > 1000 ? width : 800));
  return measures.map((_, i) => ({
    x: (i % columns) * (width / columns),
    y: Math.floor(i / columns) * panelHeight,
    width: width / columns,
    height: panelHeight,
  }));
}

function drawPanels(
  svg: SVGSVGElement,
  plot: AlignmentPlot,
  styles: readonly SeriesStyle[],
  size: Size,
  palette: Palette,
): void {
  const root = select(svg).attr('width', size.width).attr('height', size.height);
  root.selectAll('*').remove();
  for (const [i, cell] of cellsOf(size).entries()) {
    const group: Group = root.append('g').attr('transform', `translate(${cell.x},${cell.y})`);
    drawPanel(group, panelOf(plot, styles, measures[i]), cell, palette);
  }
}

/** Lines with their intervals, the chosen pair's ceiling dotted, what chance gives as a band. */
function panelOf(
  { contrasts, layers, layer, cursor }: AlignmentPlot,
  styles: readonly SeriesStyle[],
  { title: name, of, most, chance }: Measure,
): Panel {
  const lines = contrasts.map((contrast, i) => ({
    style: styles[i],
    points: layers.flatMap((x) => {
      const point = pointAt(contrast, x);
      const estimate = point === undefined ? undefined : of(point);
      if (estimate === undefined || estimate.value === null) return [];
      const { value, low, high } = estimate;
      return [low === null || high === null ? { x, value } : { x, value, low, high }];
    }),
  }));
  const rules = layers.flatMap((x) => {
    const point = pointAt(contrasts[0], x);
    const value = point === undefined ? null : most(point);
    return value === null ? [] : [{ x, value }];
  });
  const values = lines.flatMap(({ points }) =>
    points.flatMap(({ value, low = value, high = value }) => [low, high]),
  );
  const isSigned = Math.min(0, ...values) < -0.02;
  const top = roundUp(Math.max(0.01, ...values, ...rules.map(({ value }) => value)));
  const bottom = isSigned ? -roundUp(-Math.min(...values)) : 0;
  return {
    title: name,
    xs: layers,
    xName: 'layer →',
    domain: [bottom, top],
    ticks: [...new Set([bottom, bottom / 2, 0, top / 2, top])],
    format: (value) => String(Number(value.toPrecision(3))).replace('-', '−'),
    band: layers.flatMap((x) => {
      const reached = contrasts.flatMap((contrast) => {
        const point = pointAt(contrast, x);
        return point === undefined ? [] : (chance(point) ?? []);
      });
      const high = Math.max(0, ...reached);
      return reached.length === 0 ? [] : [{ x, low: isSigned ? -high : 0, high }];
    }),
    rules,
    lines,
    here: cursor ?? layer,
  };
}
