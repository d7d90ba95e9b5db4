/**
 * Are the directions and subspaces before still there after?
 *
 * A matrix of cosines at the chosen layer, and beside it the same comparison layer by layer, each in
 * front of what chance gives. All cosine panels share one scale.
 */

import { select } from 'd3';
import { agreementAt, degrees, nullAt } from '../geometry.ts';
import type { GeometryPlot, MatrixCursor } from '../geometry.ts';
import type { Group, Size } from '../marks.ts';
import type { Palette, SeriesStyle } from '../palette.ts';
import { drawMatrix, matrixAt, matrixLayout } from './matrix.ts';
import type { MatrixLayout } from './matrix.ts';
import { drawPanel, panelAt } from './panels.ts';
import type { Panel } from './panels.ts';

/** The plot with the colours of its pairs, in the order of `plot.beside`. */
export interface StyledGeometry extends GeometryPlot {
  readonly styles: readonly SeriesStyle[];
}

export interface DirectionsLayout extends Size {
  readonly matrix: MatrixLayout;
  readonly cells: readonly { readonly x: number; readonly y: number; readonly size: Size }[];
}

const gap = 36;
const panelHeight = 186;

/** Matrix on the left and panels beside it, or below where there is no room. */
export function directionsLayout(plot: GeometryPlot, width: number): DirectionsLayout {
  const n = plot.geometry.labels.length + 2;
  const isWide = width >= 860;
  const matrix = matrixLayout(plot, isWide ? Math.min(560, width * 0.42) : width);
  const left = isWide ? matrix.width + gap : 0;
  const top = isWide ? 0 : matrix.height + 16;
  const room = width - left;
  const columns = columnsFor(n, room);
  const size = { width: room / columns, height: panelHeight };
  const cells = Array.from({ length: n }, (_, i) => ({
    x: left + (i % columns) * size.width,
    y: top + Math.floor(i / columns) * panelHeight,
    size,
  }));
  const below = top + Math.ceil(n / columns) * panelHeight;
  return { width, height: Math.max(matrix.height, below), matrix, cells };
}

/** As many as have room, and none left over alone where that can be. */
function columnsFor(n: number, room: number): number {
  const most = Math.max(1, Math.min(n, Math.floor(room / 250)));
  return most === 3 && n % 3 === 1 ? 2 : most;
}

/** Draws everything into `svg`. */
export function drawDirections(
  svg: SVGSVGElement,
  plot: StyledGeometry,
  layout: DirectionsLayout,
  palette: Palette,
): void {
  const root = select(svg).attr('width', layout.width).attr('height', layout.height);
  root.selectAll('*').remove();
  drawMatrix(root.append('g'), plot, layout.matrix, palette);
  for (const [i, panel] of panelsOf(plot).entries()) {
    const { x, y, size } = layout.cells[i];
    const group: Group = root.append('g').attr('transform', `translate(${x},${y})`);
    drawPanel(group, panel, size, palette);
  }
}

/** What lies under a point: a cell of the matrix, a layer, or nothing. */
export function underPoint(
  plot: StyledGeometry,
  layout: DirectionsLayout,
  x: number,
  y: number,
): { readonly cell: MatrixCursor | null; readonly layer: number | null } {
  const cell = matrixAt(plot, layout.matrix, x, y);
  const at = layout.cells.findIndex(
    (of) => x >= of.x && x < of.x + of.size.width && y >= of.y && y < of.y + of.size.height,
  );
  const panel = at < 0 ? undefined : panelsOf(plot)[at];
  if (panel === undefined || panel.here === null) return { cell, layer: null };
  const { size, x: left } = layout.cells[at];
  return { cell, layer: panelAt(panel, size, x - left) };
}

/** One panel for each label, one of overlaps, one of angles at the chosen layer. */
function panelsOf(plot: StyledGeometry): Panel[] {
  return [
    ...plot.geometry.labels.map((label) => cosinePanel(plot, label)),
    overlapPanel(plot),
    anglePanel(plot),
  ];
}

function cosinePanel(plot: StyledGeometry, label: string): Panel {
  const { beside, layers, layer, styles, geometry } = plot;
  const lines = beside.map((of, i) => ({
    style: styles[i],
    points: layers.flatMap((x) => {
      const value = agreementAt(of, label, x);
      return value === null ? [] : [{ x, value }];
    }),
  }));
  const values = geometry.labels.flatMap((name) =>
    beside.flatMap((of) => layers.map((x) => agreementAt(of, name, x) ?? 0)),
  );
  const isSigned = Math.min(...values) < 0;
  return {
    title: `${label}: cosine of before and after`,
    xs: layers,
    xName: 'layer →',
    domain: isSigned ? [-1, 1] : [0, 1],
    ticks: isSigned ? [-1, -0.5, 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1],
    format: (value) => String(value).replace('-', '−'),
    band: layers.flatMap((x) => {
      const p95 = nullAt(beside, label, x);
      return p95 === null ? [] : [{ x, low: isSigned ? -p95 : 0, high: p95 }];
    }),
    rules: [],
    lines,
    here: layer,
  };
}

function overlapPanel({ beside, layers, layer, styles, geometry }: StyledGeometry): Panel {
  const at = (of: (typeof beside)[number], x: number): (typeof of.points)[number] | undefined =>
    of.points.find((point) => point.layer === x);
  const known = beside.flatMap((of) => of.points);
  return {
    title: `overlap of the leading ${geometry.points[0]?.subspaces.k ?? 0} components`,
    xs: layers,
    xName: 'layer →',
    domain: [0, 1],
    ticks: [0, 0.25, 0.5, 0.75, 1],
    format: String,
    band: layers.flatMap((x) => {
      const here = known.filter((point) => point.layer === x);
      const high = Math.max(...here.map(({ subspaces }) => subspaces.matched_p95));
      return here.length === 0 ? [] : [{ x, low: 0, high }];
    }),
    rules: layers.flatMap((x) => {
      const here = at(geometry, x);
      return here === undefined ? [] : [{ x, value: here.subspaces.chance }];
    }),
    lines: beside.map((of, i) => ({
      style: styles[i],
      points: layers.flatMap((x) => {
        const here = at(of, x);
        return here === undefined ? [] : [{ x, value: here.subspaces.overlap }];
      }),
    })),
    here: layer,
  };
}

/** Ordered angles; the dashed rule is the angle whose cos² is the chance overlap. */
function anglePanel({ beside, layer, styles, point }: StyledGeometry): Panel {
  const here = beside.map((of) => of.points.find((at) => at.layer === layer));
  const most = Math.max(1, ...here.map((at) => at?.subspaces.angles.length ?? 0));
  const xs = Array.from({ length: most }, (_, i) => i + 1);
  const chance = point?.subspaces.chance ?? null;
  return {
    title: `principal angles, layer ${layer}`,
    xs,
    xName: 'smallest first →',
    domain: [0, 90],
    ticks: [0, 30, 60, 90],
    format: (value) => `${value}°`,
    band: [],
    rules:
      chance === null
        ? []
        : xs.map((x) => ({ x, value: degrees(Math.acos(Math.sqrt(Math.min(1, chance)))) })),
    lines: here.map((at, i) => ({
      style: styles[i],
      points: (at?.subspaces.angles ?? []).map((angle, k) => ({ x: k + 1, value: degrees(angle) })),
    })),
    here: null,
  };
}
