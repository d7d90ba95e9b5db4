/**
 * The view around the shift scatter: which coordinates it has, where the cursor is, and one row's
 * words once the reader asks for them.
 */

import { select } from 'd3';
import type { Problem, RowColumns } from '../../src/contract/api.ts';
import { fetchPrompt } from '../client.ts';
import { element } from '../dom.ts';
import { fixed, percent, visible } from '../format.ts';
import type { Table } from '../format.ts';
import type { Scene } from '../model.ts';
import { light } from '../palette.ts';
import type { Palette } from '../palette.ts';
import type { Raster } from '../raster.ts';
import { flags, shownRows } from '../rows.ts';
import { planeSentences } from '../sentences.ts';
import type { MeanShift } from '../sentences.ts';
import type { State } from '../state.ts';
import {
  axisName,
  coordinates,
  extentOf,
  legendKey,
  meanShifts,
  meansTable,
  noPlane,
  planeMethod,
  planeTable,
  planeTitle,
} from './planeParts.ts';
import type { PlaneData } from './planeParts.ts';
import { PlaneSwitches } from './planeSwitches.ts';
import { veil } from './veil.ts';
import { followCursor } from './follow.ts';
import { Frame } from './frame.ts';
import type { FrameActions } from './frame.ts';
import { styleOf } from './keys.ts';
import { paper } from './paper.ts';
import { drawFrameworks, drawPoints, neighbour, planeScales } from './scatter.ts';
import type { ShiftPlot } from './scatter.ts';

type Act = (patch: Partial<State>) => void;

const svgNamespace = 'http://www.w3.org/2000/svg';

export class PlaneView {
  readonly frame: Frame;
  readonly #act: Act;
  readonly #fail: (error: unknown) => void;
  readonly #canvas = element('canvas', { 'aria-hidden': true });
  readonly #svg = document.createElementNS(svgNamespace, 'svg');
  readonly #legend = element('div', { class: 'legend' });
  readonly #switches: PlaneSwitches;
  #scene: Scene | null = null;
  #data: PlaneData | null = null;
  #palette: Palette = light;
  #plot: ShiftPlot | null = null;
  #raster: Raster | null = null;
  #cursor: number | null = null;
  /** The one text that the veil is lifted from. */
  #revealed: { readonly prompt: number; readonly text: string } | null = null;
  readonly #reading = element('p', { class: 'reading' });
  readonly #veilSlot = element('div');
  readonly #means = element('div', { class: 'means' });
  /** What the veil was drawn for. */
  #veiled = '';
  /** Held down to look at the rows as they were before. */
  #isBefore = false;

  constructor(act: Act, actions: FrameActions, fail: (error: unknown) => void) {
    this.#act = act;
    this.#fail = fail;
    this.frame = new Frame('plane', actions, {
      svg: () => this.#paper(),
      table: () => this.#table(),
    });
    this.#svg.setAttribute('aria-hidden', 'true');
    this.frame.plot.append(this.#canvas, this.#svg);
    this.#switches = new PlaneSwitches(act);
    this.frame.extra.append(this.#switches.element, this.#legend);
    this.#listen();
  }

  /** Draws `data`, or what is known without it. */
  update(scene: Scene, data: PlaneData | null, palette: Palette): void {
    this.#scene = scene;
    this.#palette = palette;
    if (scene.projection === null) {
      this.#data = null;
      this.#plot = null;
      this.frame.say(planeTitle(scene), [], '');
      this.#legend.replaceChildren();
      this.frame.refuse(noPlane(scene));
      return;
    }
    if (data === null) {
      if (this.#data === null) this.#wait(scene);
      return;
    }
    const isOther = this.#data?.rows !== data.rows;
    this.#data = data;
    if (isOther) this.#cursor = null;
    this.#makePlot();
    const means = this.#plot?.means ?? [];
    this.frame.say(planeTitle(scene), this.#sentences(scene, means), planeMethod(scene, data));
    this.frame.show(scene.state.tables.includes('plane') ? this.#table() : null);
    this.#switches.update(scene);
    this.#drawLegend(scene);
    this.#means.replaceChildren(meansTable(means));
    this.draw();
  }

  /** Keeps the room that the plot will take; a plot from before would stay instead. */
  #wait(scene: Scene): void {
    this.frame.say(planeTitle(scene), ['Loading the plane …'], '');
    this.frame.show(null);
    select(this.#svg).attr('width', 1).attr('height', this.#size().height);
  }

  refuse(problem: Pick<Problem, 'title' | 'where' | 'fix'>): void {
    this.#data = null;
    this.#plot = null;
    this.frame.refuse(problem);
  }

  draw(): void {
    const plot = this.#plot;
    if (plot === null || this.frame.plot.hidden) {
      this.#readOut();
      return;
    }
    const size = this.#size();
    const { margins, inner } = planeScales(plot, size);
    Object.assign(this.#canvas.style, {
      left: `${margins.left}px`,
      top: `${margins.top}px`,
      width: `${inner.width}px`,
      height: `${inner.height}px`,
    });
    const seen = this.#isBefore ? { ...plot, after: plot.before } : plot;
    this.#raster = drawPoints(this.#canvas, seen, size, this.#palette, devicePixelRatio);
    this.#drawOverlay();
  }

  /** Shows only where rows were before, while it is held. */
  hold(isBefore: boolean): void {
    if (this.#isBefore === isBefore) return;
    this.#isBefore = isBefore;
    this.draw();
  }

  /** Lifts the veil from the pinned row's prompt, or lets it down. */
  toggleVeil(): void {
    const row = this.#scene?.state.row ?? null;
    if (row === null || this.#data === null || row >= this.#data.rows.ids.length) return;
    const prompt = this.#data.rows.prompts[row];
    if (this.#revealed?.prompt === prompt) {
      this.#revealed = null;
      this.#readOut();
      return;
    }
    fetchPrompt(this.#scene?.state.run ?? '', prompt)
      .then(({ text }) => {
        this.#revealed = { prompt, text };
        this.#readOut();
        return undefined;
      })
      .catch(this.#fail);
  }

  #drawOverlay(): void {
    if (this.#plot === null) return;
    const pinned = this.#scene?.state.row ?? null;
    const plot = { ...this.#plot, cursor: this.#cursor, pinned };
    drawFrameworks(this.#svg, plot, this.#size(), this.#palette);
    this.#readOut();
  }

  #size(): { width: number; height: number } {
    const width = this.frame.plot.clientWidth;
    return { width, height: Math.round(Math.min(600, Math.max(300, width * 0.88))) };
  }

  #sentences(scene: Scene, means: readonly MeanShift[]): string[] {
    const shown = this.#plot?.isShown.filter(Boolean).length ?? 0;
    if (shown > 0) return planeSentences(scene, means);
    return ['No row passes the filters above; press t, or choose other requests.'];
  }

  #makePlot(): void {
    const scene = this.#scene;
    if (scene === null || this.#data === null) return;
    const { projection, plane, rows } = this.#data;
    const [before, after] = [scene.before, scene.after].map((name) =>
      coordinates(plane, projection, projection.checkpoints.indexOf(name)),
    );
    const isTriggered = flags(rows, 'triggered') ?? rows.ids.map(() => null);
    const isShown = shownRows(rows, scene.state);
    const places = { before, after, isTriggered, isShown };
    this.#plot = {
      ...places,
      arrows: scene.state.arrows,
      extent: extentOf(scene, projection, plane),
      ...coloursOf(scene, this.#palette),
      axes: [axisName(projection, 0), axisName(projection, 1)],
      means: meanShifts(places, scene, this.#data),
      cursor: null,
      pinned: null,
    };
  }

  #listen(): void {
    followCursor(this.frame.plot, {
      under: (x, y) => this.#rowAt(x, y),
      moveTo: (row) => this.#moveTo(row),
      click: (row) => this.#act({ row: row === this.#scene?.state.row ? null : row }),
      key: (key) => this.#key(key),
    });
  }

  #moveTo(row: number | null): void {
    if (row === this.#cursor) return;
    this.#cursor = row;
    if (!this.frame.plot.hidden) this.#drawOverlay();
  }

  #rowAt(x: number, y: number): number | null {
    if (this.#plot === null || this.#raster === null || this.frame.plot.hidden) return null;
    const { margins } = planeScales(this.#plot, this.#size());
    const ratio = devicePixelRatio;
    const row = this.#raster.pick((x - margins.left) * ratio, (y - margins.top) * ratio, 10);
    return row < 0 ? null : row;
  }

  /** Moves the data cursor; false for a key that means nothing here. */
  #key(key: string): boolean {
    const plot = this.#plot;
    if (plot === null) return false;
    const shown = plot.isShown.flatMap((isShown, row) => (isShown ? [row] : []));
    if (shown.length === 0) return false;
    const directions: Readonly<Record<string, readonly [number, number] | undefined>> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    };
    const direction = directions[key];
    const from = this.#cursor ?? this.#scene?.state.row ?? null;
    if (key === 'Home') this.#moveTo(shown[0]);
    else if (key === 'End') this.#moveTo(shown[shown.length - 1]);
    else if (key === 'Enter' && this.#cursor !== null) this.#act({ row: this.#cursor });
    else if (direction === undefined) return false;
    else if (from === null || !plot.isShown[from]) this.#moveTo(shown[0]);
    else this.#moveTo(neighbour(plot, from, direction[0], direction[1]));
    if (this.#cursor !== null) this.frame.announce(this.#rowWords(this.#cursor).join(', '));
    return true;
  }

  /** What is known of a row without its text. */
  #rowWords(row: number): string[] {
    const scene = this.#scene;
    if (scene === null || this.#data === null || this.#plot === null) return [];
    const { rows, plane, projection } = this.#data;
    const { before, after } = this.#plot;
    const words = [`row ${row}`, visible(rows.ids[row])];
    const token = rows.tokens[row];
    if (token !== null) words.push(`token “${visible(token)}”`);
    for (const name of ['triggered', 'harmful']) {
      const flag = flags(rows, name)?.[row] ?? null;
      if (flag !== null) words.push(flag ? name : `not ${name}`);
    }
    const place = (at: Float32Array): string =>
      `(${fixed(at[2 * row], 2)}, ${fixed(at[2 * row + 1], 2)})`;
    words.push(`${scene.before} ${place(before)} → ${scene.after} ${place(after)}`);
    if (projection.pair === scene.pair) {
      words.push(`${percent(plane.inPlane.data[row])} of its squared shift in the plane`);
    }
    return words;
  }

  #readOut(): void {
    const pinned = this.#scene?.state.row ?? null;
    const row = this.#cursor ?? pinned;
    const isRow = this.#plot !== null && row !== null && row < this.#plot.isShown.length;
    const hint = 'Point at a row, or use the arrow keys in the plot; click or Enter pins it.';
    this.#reading.textContent = isRow ? this.#rowWords(row).join(' · ') : hint;
    const rows = this.#data?.rows ?? null;
    const isPinned = rows !== null && pinned !== null && pinned < rows.ids.length;
    const key = isPinned ? `${pinned} ${rows.position} ${this.#revealed?.prompt}` : '';
    if (key !== this.#veiled) {
      this.#veiled = key;
      // Only when it changes: a button that is made anew under the pointer takes no click.
      this.#veilSlot.replaceChildren(...(isPinned ? [this.#veil(pinned, rows)] : []));
    }
    if (!this.#reading.isConnected)
      this.frame.readout.replaceChildren(this.#reading, this.#veilSlot, this.#means);
  }

  #veil(row: number, rows: RowColumns): HTMLElement {
    const isOpen = this.#revealed?.prompt === rows.prompts[row];
    const text = isOpen ? (this.#revealed?.text ?? '') : null;
    return veil(rows.ids[row], text, {
      toggle: () => this.toggleVeil(),
      unpin: () => this.#unpin(),
    });
  }

  #unpin(): void {
    this.frame.plot.focus();
    this.#act({ row: null });
  }

  #drawLegend(scene: Scene): void {
    const { muted } = this.#palette;
    const nodes = [
      legendKey('disc', false, this.#plot?.beforeColour ?? muted, `before: ${scene.before}`),
      legendKey('disc', true, this.#plot?.afterColour ?? muted, `after: ${scene.after}`),
    ];
    if (this.#plot?.isTriggered.some((flag) => flag !== null) ?? false) {
      nodes.push(
        legendKey('triangle', true, muted, 'triggered'),
        legendKey('disc', true, muted, 'untriggered'),
      );
    }
    if (this.#plot?.means.some(({ region }) => region !== null) ?? false) {
      nodes.push(legendKey('ellipse', false, this.#palette.ink, 'mean shift, 95 %'));
    }
    this.#legend.replaceChildren(...nodes);
  }

  #paper(): SVGSVGElement | null {
    const [plot, scene, data] = [this.#plot, this.#scene, this.#data];
    if (plot === null || scene === null || data === null) return null;
    const onPaper: ShiftPlot = {
      ...plot,
      ...coloursOf(scene, light),
      cursor: null,
      pinned: scene.state.row,
    };
    const words = [
      `Hollow: before (${scene.before}). Filled: after (${scene.after}). ▲ triggered, ● untriggered.`,
      ...this.#sentences(scene, plot.means),
      planeMethod(scene, data),
    ];
    return paper(planeTitle(scene), words, { width: 860, height: 560 }, (svg, size) => {
      const canvas = document.createElement('canvas');
      drawPoints(canvas, onPaper, size, light, 2);
      const { margins, inner } = planeScales(onPaper, size);
      select(svg)
        .append('image')
        .attr('x', margins.left)
        .attr('y', margins.top)
        .attr('width', inner.width)
        .attr('height', inner.height)
        .attr('href', canvas.toDataURL());
      drawFrameworks(svg, onPaper, size, light);
    });
  }

  #table(): Table | null {
    const [plot, scene, data] = [this.#plot, this.#scene, this.#data];
    if (plot === null || scene === null || data === null) return null;
    return planeTable(plot, scene, data);
  }
}

function coloursOf(
  { report, before, after }: Scene,
  palette: Palette,
): Pick<ShiftPlot, 'beforeColour' | 'afterColour'> {
  const of = (name: string): string => styleOf(report, name, palette).colour;
  return { beforeColour: of(before), afterColour: of(after) };
}
