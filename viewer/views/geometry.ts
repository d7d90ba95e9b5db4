/** The view around directions and subspaces: its cursor, its key, and the numbers at the chosen layer. */

import { element, segments } from '../dom.ts';
import { fixed } from '../format.ts';
import type { Table } from '../format.ts';
import {
  geometryMethod,
  geometryPlot,
  geometrySentences,
  geometryTable,
  matrixWords,
  noGeometry,
  similarityRows,
} from '../geometry.ts';
import type { GeometryPlot, MatrixCursor } from '../geometry.ts';
import { arrow } from '../model.ts';
import type { Scene } from '../model.ts';
import { light } from '../palette.ts';
import type { Palette } from '../palette.ts';
import { cosineKinds } from '../state.ts';
import type { State } from '../state.ts';
import { directionsLayout, drawDirections, underPoint } from './directions.ts';
import type { StyledGeometry } from './directions.ts';
import { followCursor } from './follow.ts';
import { Frame } from './frame.ts';
import type { FrameActions } from './frame.ts';
import { keyedPaper, pairKeys, stylesOf } from './keys.ts';
import { wideTable } from './smallTable.ts';

type Act = (patch: Partial<State>) => void;

const title = 'Are the directions from before still there after?';
const hint = 'Point at a cell, or use the arrow keys in the plot, for its null and n.';

export class GeometryView {
  readonly frame: Frame;
  readonly #act: Act;
  readonly #svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  readonly #reading = element('p', { class: 'reading' }, hint);
  readonly #tables = element('div', { class: 'beside-tables' });
  readonly #legend = element('div', { class: 'legend' });
  readonly #kind = segments(
    'Cosines',
    cosineKinds.map((value) => [value, value] as const),
    (value) => this.#act({ cosines: cosineKinds.find((known) => known === value) ?? 'plain' }),
  );
  #scene: Scene | null = null;
  #palette: Palette = light;
  #cursor: MatrixCursor | null = null;

  constructor(act: Act, actions: FrameActions) {
    this.#act = act;
    this.frame = new Frame('geometry', actions, {
      svg: () => this.#paper(),
      table: () => this.#table(),
    });
    this.#svg.setAttribute('aria-hidden', 'true');
    this.frame.plot.append(this.#svg);
    this.#listen();
  }

  update(scene: Scene, palette: Palette): void {
    const before = this.#scene;
    this.#scene = scene;
    this.#palette = palette;
    if (before?.pair !== scene.pair || before.position !== scene.position) this.#cursor = null;
    const plot = this.#plot(palette);
    if (plot === null) {
      this.frame.extra.replaceChildren();
      this.frame.say(title, [], '');
      this.frame.refuse(noGeometry(scene));
      return;
    }
    this.#kind.choose(scene.state.cosines);
    this.#drawLegend(plot);
    this.frame.say(title, geometrySentences(plot), geometryMethod(plot));
    this.frame.show(scene.state.tables.includes('geometry') ? geometryTable(plot) : null);
    this.frame.readout.replaceChildren(this.#reading, this.#tables);
    this.#tables.replaceChildren(...tablesOf(plot));
    this.draw();
  }

  draw(): void {
    const plot = this.#plot(this.#palette);
    if (plot === null) return;
    if (!this.frame.plot.hidden) {
      const layout = directionsLayout(plot, this.frame.plot.clientWidth);
      drawDirections(this.#svg, plot, layout, this.#palette);
    }
    const words = this.#cursor === null ? hint : matrixWords(plot, this.#cursor).join(' · ');
    if (this.#reading.textContent !== words) this.#reading.textContent = words;
  }

  #plot(palette: Palette): StyledGeometry | null {
    const scene = this.#scene;
    const plot = scene === null ? null : geometryPlot(scene, this.#cursor);
    if (scene === null || plot === null) return null;
    return { ...plot, styles: stylesOf(scene.report, plot.beside, palette) };
  }

  #drawLegend(plot: StyledGeometry): void {
    const keys = pairKeys(plot.beside, plot.styles);
    const chance = element(
      'span',
      { class: 'key' },
      element('span', { class: 'band-key', 'aria-hidden': true }),
      '95 % of directions or subspaces without meaning; dotted: isotropic chance',
    );
    this.#legend.replaceChildren(...keys, chance);
    if (this.#kind.element.isConnected) return;
    this.frame.extra.replaceChildren(
      element('div', { class: 'switches' }, this.#kind.element, this.#legend),
    );
  }

  #listen(): void {
    followCursor<ReturnType<typeof underPoint>>(this.frame.plot, {
      under: (x, y) => this.#under(x, y),
      moveTo: (place) => this.#moveTo(place?.cell ?? null),
      click: (place) => {
        this.#moveTo(place?.cell ?? null);
        if (place !== null && place.layer !== null) this.#act({ layer: place.layer });
      },
      key: (key) => this.#key(key),
    });
  }

  #under(x: number, y: number): ReturnType<typeof underPoint> | null {
    const plot = this.#plot(this.#palette);
    if (plot === null || this.frame.plot.hidden) return null;
    return underPoint(plot, directionsLayout(plot, this.frame.plot.clientWidth), x, y);
  }

  #moveTo(cursor: MatrixCursor | null): void {
    if (cursor?.row === this.#cursor?.row && cursor?.column === this.#cursor?.column) return;
    this.#cursor = cursor;
    this.draw();
  }

  /** Moves the cursor over the triangle; false for a key that means nothing here. */
  #key(key: string): boolean {
    const plot = this.#plot(this.#palette);
    if (plot === null || plot.cells.length === 0 || this.frame.plot.hidden) return false;
    const last = plot.cells.length - 1;
    const { row, column } = this.#cursor ?? { row: 0, column: 0 };
    const within = (r: number, c: number): MatrixCursor => {
      const to = Math.min(last, Math.max(0, r));
      return { row: to, column: Math.min(to, Math.max(0, c)) };
    };
    const moves: Readonly<Record<string, () => MatrixCursor>> = {
      ArrowLeft: () => within(row, column - 1),
      ArrowRight: () => within(row, column + 1),
      ArrowUp: () => within(row - 1, column),
      ArrowDown: () => within(row + 1, column),
      Home: () => within(0, 0),
      End: () => within(last, last),
    };
    if (!Object.hasOwn(moves, key)) return false;
    const next = this.#cursor === null ? within(0, 0) : moves[key]();
    this.#moveTo(next);
    this.frame.announce(matrixWords(plot, next).join(', '));
    return true;
  }

  #paper(): SVGSVGElement | null {
    const plot = this.#plot(light);
    if (plot === null) return null;
    const still = { ...plot, cursor: null };
    const layout = directionsLayout(still, 960);
    const words = [
      ...geometrySentences(plot),
      'Grey: 95 % of directions or subspaces without meaning; dotted: isotropic chance.',
      geometryMethod(plot),
    ];
    const size = { width: layout.width, height: layout.height + 34 };
    const key = { shifts: plot.beside, styles: plot.styles };
    return keyedPaper({ title, words, size }, key, (svg) =>
      drawDirections(svg, still, layout, light),
    );
  }

  #table(): Table | null {
    const plot = this.#plot(this.#palette);
    return plot === null ? null : geometryTable(plot);
  }
}

/** At the chosen layer: every family of nulls, and similarities up to rotation. */
function tablesOf(plot: GeometryPlot): HTMLElement[] {
  return plot.point === null ? [] : [nullsTable(plot), similarityTable(plot)];
}

function nullsTable({ point, layer, geometry }: GeometryPlot): HTMLElement {
  const agreements = point?.agreements ?? [];
  const families = [...new Set(agreements.flatMap(({ nulls }) => nulls.map((of) => of.family)))];
  const rows = agreements.map(({ label, cosine, nulls }) => [
    label,
    cosine === null ? '–' : fixed(cosine, 2),
    ...families.map((family) => {
      const found = nulls.find((of) => of.family === family);
      return found === undefined ? '–' : `${fixed(found.p95, 2)} (p = ${fixed(found.p)})`;
    }),
  ]);
  return wideTable(
    `${arrow(geometry.pair)}, layer ${layer}: before ∠ after, and the 95 % of each family of nulls`,
    ['direction', 'cosine', ...families],
    rows,
  );
}

function similarityTable({ beside, layer }: GeometryPlot): HTMLElement {
  const rows = similarityRows.map(([key, name, chance]) => [
    name,
    ...beside.map((of) => {
      const value = of.points.find((point) => point.layer === layer)?.similarity[key];
      return value === undefined || value === null ? '–' : fixed(value);
    }),
    chance,
  ]);
  return wideTable(
    `Arrangement of rows up to rotation, layer ${layer}: a weaker question`,
    ['measure', ...beside.map(({ pair }) => arrow(pair)), 'rows without relation'],
    rows,
  );
}
