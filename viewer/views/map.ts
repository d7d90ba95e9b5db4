/** The view around the shift map: what it shows, what it leaves out, and what the cursor reads. */

import { choice, element, segments } from '../dom.ts';
import type { Table } from '../format.ts';
import { mapPlot, mapsOf, maskWords, measureWords } from '../maps.ts';
import type { MapCursor, MapPlot } from '../maps.ts';
import { cellWords, mapMethod, mapSentences, mapTable, noMap } from '../mapWords.ts';
import type { Scene } from '../model.ts';
import { light } from '../palette.ts';
import type { Palette } from '../palette.ts';
import { mapMasks, mapMeasures } from '../state.ts';
import type { State } from '../state.ts';
import { followCursor } from './follow.ts';
import { Frame } from './frame.ts';
import type { FrameActions } from './frame.ts';
import { cursorAt, drawHeatMap, mapLayout } from './heatMap.ts';
import { paper } from './paper.ts';

type Act = (patch: Partial<State>) => void;

const title = 'Where did target rows move further than benign ones?';
const hint =
  'Point at a cell, or use the arrow keys in the plot; click or Enter takes its layer and position.';

export class MapView {
  readonly frame: Frame;
  readonly #act: Act;
  readonly #svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  readonly #reading = element('p', { class: 'reading' }, hint);
  readonly #measure = segments(
    'Show',
    mapMeasures.map((value) => [value, measureWords[value]] as const),
    (value) => this.#act({ measure: mapMeasures.find((known) => known === value) ?? 'size' }),
  );
  readonly #mask = segments(
    'Coloured if',
    mapMasks.map((value) => [value, maskWords[value]] as const),
    (value) => this.#act({ mask: mapMasks.find((known) => known === value) ?? 'max-t' }),
  );
  readonly #families = element('div');
  /** What the choice of rows was made from: made anew it would lose the focus. */
  #chosen = '';
  #scene: Scene | null = null;
  #palette: Palette = light;
  #cursor: MapCursor | null = null;

  constructor(act: Act, actions: FrameActions) {
    this.#act = act;
    this.frame = new Frame('map', actions, {
      svg: () => this.#paper(),
      table: () => this.#table(),
    });
    this.#svg.setAttribute('aria-hidden', 'true');
    this.frame.plot.append(this.#svg);
    this.#listen();
  }

  update(scene: Scene, palette: Palette): void {
    const isOther = this.#scene?.pair !== scene.pair || this.#scene.siteKind !== scene.siteKind;
    this.#scene = scene;
    this.#palette = palette;
    if (isOther) this.#cursor = null;
    const plot = mapPlot(scene, this.#cursor);
    if (plot === null) {
      this.frame.extra.replaceChildren();
      this.frame.say(title, [], '');
      this.frame.refuse(noMap(scene));
      return;
    }
    this.#showControls(scene);
    this.frame.say(title, mapSentences(plot), mapMethod(plot));
    this.frame.show(scene.state.tables.includes('map') ? mapTable(scene, plot) : null);
    this.frame.readout.replaceChildren(this.#reading);
    this.draw();
  }

  draw(): void {
    const plot = this.#plot();
    if (plot === null) return;
    const width = this.frame.plot.clientWidth;
    if (!this.frame.plot.hidden) {
      drawHeatMap(this.#svg, plot, mapLayout(plot, width), this.#palette);
    }
    this.#readOut(plot);
  }

  #plot(): MapPlot | null {
    return this.#scene === null ? null : mapPlot(this.#scene, this.#cursor);
  }

  #showControls(scene: Scene): void {
    this.#measure.choose(scene.state.measure);
    this.#mask.choose(scene.state.mask);
    const { families, family } = mapsOf(scene);
    const chosen = [family, ...families.map(([key]) => key)].join(' ');
    if (chosen !== this.#chosen) {
      this.#chosen = chosen;
      const take = (rows: string): void => this.#act({ rows });
      const nodes = families.length > 1 ? [choice('Rows', families, family, take)] : [];
      this.#families.replaceChildren(...nodes);
    }
    if (this.#measure.element.isConnected) return;
    this.frame.extra.replaceChildren(
      element(
        'div',
        { class: 'switches' },
        this.#measure.element,
        this.#mask.element,
        this.#families,
      ),
    );
  }

  #readOut(plot: MapPlot): void {
    const words =
      this.#cursor === null || this.#scene === null
        ? hint
        : cellWords(this.#scene, plot, this.#cursor).join(' · ');
    if (this.#reading.textContent !== words) this.#reading.textContent = words;
  }

  #listen(): void {
    followCursor(this.frame.plot, {
      under: (x, y) => this.#cellUnder(x, y),
      moveTo: (cursor) => this.#moveTo(cursor),
      click: (cursor) => {
        if (cursor === null) return;
        this.#moveTo(cursor);
        this.#take(cursor);
      },
      key: (key) => this.#key(key),
    });
  }

  #cellUnder(x: number, y: number): MapCursor | null {
    const plot = this.#plot();
    if (plot === null || this.frame.plot.hidden) return null;
    return cursorAt(plot, mapLayout(plot, this.frame.plot.clientWidth), x, y);
  }

  #moveTo(cursor: MapCursor | null): void {
    if (JSON.stringify(cursor) === JSON.stringify(this.#cursor)) return;
    this.#cursor = cursor;
    this.draw();
  }

  /** Brings all views to the layer and position of a cell. */
  #take({ layer, column }: MapCursor): void {
    const position = this.#plot()?.columns.find(({ key }) => key === column)?.position;
    if (position !== undefined) this.#act({ layer, position, row: null });
  }

  /** Moves the data cursor; false for a key that means nothing here. */
  #key(key: string): boolean {
    const plot = this.#plot();
    if (plot === null || this.frame.plot.hidden) return false;
    if (key === 'Enter' && this.#cursor !== null) {
      this.#take(this.#cursor);
      return true;
    }
    const next = moved(plot, this.#cursor, key);
    if (next === null) return false;
    this.#moveTo(next);
    if (this.#scene !== null) this.frame.announce(cellWords(this.#scene, plot, next).join(', '));
    return true;
  }

  #paper(): SVGSVGElement | null {
    const [scene, plot] = [this.#scene, this.#plot()];
    if (scene === null || plot === null) return null;
    const layout = mapLayout({ ...plot, cursor: null }, 860);
    const words = [...mapSentences(plot), mapMethod(plot)];
    return paper(title, words, layout, (svg) =>
      drawHeatMap(svg, { ...plot, cursor: null }, layout, light),
    );
  }

  #table(): Table | null {
    const [scene, plot] = [this.#scene, this.#plot()];
    return scene === null || plot === null ? null : mapTable(scene, plot);
  }
}

/** Where a key leads: over a panel's edge into the next panel; null for a key that means nothing. */
function moved(plot: MapPlot, from: MapCursor | null, key: string): MapCursor | null {
  const { layers, columns, panels, bands } = plot;
  const here = columns.find(({ position }) => position === plot.position) ?? columns[0];
  const start = {
    band: 0,
    panel: 0,
    layer: layers.includes(plot.layer) ? plot.layer : layers[layers.length - 1],
    column: here.key,
  };
  const at = from ?? start;
  const place = at.panel * columns.length + columns.findIndex((of) => of.key === at.column);
  const across = (step: number): MapCursor => {
    const to = Math.min(panels.length * columns.length - 1, Math.max(0, place + step));
    const panel = Math.floor(to / columns.length);
    return { ...at, panel, column: columns[to % columns.length].key };
  };
  const up = (step: number): MapCursor => {
    const to = Math.min(layers.length - 1, Math.max(0, layers.indexOf(at.layer) + step));
    return { ...at, layer: layers[to] };
  };
  const other = (step: number): MapCursor => ({
    ...at,
    band: (at.band + step + bands.length) % bands.length,
  });
  const moves: Readonly<Record<string, () => MapCursor>> = {
    ArrowLeft: () => across(-1),
    ArrowRight: () => across(1),
    ArrowUp: () => up(1),
    ArrowDown: () => up(-1),
    Home: () => across(-place),
    End: () => across(panels.length * columns.length),
    PageUp: () => other(-1),
    PageDown: () => other(1),
  };
  if (!Object.hasOwn(moves, key)) return null;
  return from === null ? start : moves[key]();
}
