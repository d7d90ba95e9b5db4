/**
 * From the report's maps to what the heat map draws, and what is said of it.
 *
 * Pure. Every panel of every pair has the same bounds, and no map stands without its benign rows.
 */

import type { Estimate, ShiftContrast, ShiftMap, ShiftMapCell } from '../src/contract/contrasts.ts';
import { familiesOf, familyKey } from './families.ts';
import { count, roundUp } from './format.ts';
import { arrow, unique } from './model.ts';
import type { Scene } from './model.ts';
import type { MapMask, MapMeasure } from './state.ts';

/** Significant is what a correction leaves at or below this. */
export const levels: Readonly<Record<MapMask, number>> = { 'max-t': 0.05, fdr: 0.1, none: 1 };

export const maskWords: Readonly<Record<MapMask, string>> = {
  'max-t': 'max-T, p ≤ .05',
  fdr: 'FDR, q ≤ .1',
  none: 'always',
};

export const measureWords: Readonly<Record<MapMeasure, string>> = {
  size: 'sizes',
  difference: 'target − benign',
};

/** Cells with fewer groups than this on either side are marked. */
export const fewGroups = 20;

export type Side = 'target' | 'benign' | 'difference';

/** One matrix of layers by positions. */
export interface MapPanel {
  readonly side: Side;
  readonly set: ShiftMapCell['set'];
  readonly title: string;
}

/** All panels of one pair. */
export interface MapBand {
  readonly map: ShiftMap;
  readonly role: 'pair' | 'control' | 'beside';
  readonly title: string;
}

/** A position, or one class of tokens at it. */
export interface MapColumn {
  readonly key: string;
  readonly position: string;
  readonly part: ShiftMapCell['part'];
  readonly words: string;
}

export interface MapPlot {
  readonly bands: readonly MapBand[];
  readonly panels: readonly MapPanel[];
  readonly layers: readonly number[];
  readonly columns: readonly MapColumn[];
  readonly measure: MapMeasure;
  readonly mask: MapMask;
  /** The largest absolute value of any panel, rounded up: the end of the scale. */
  readonly bound: number;
  readonly layer: number;
  readonly position: string;
  readonly cursor: MapCursor | null;
}

export interface MapCursor {
  readonly band: number;
  readonly panel: number;
  readonly layer: number;
  /** Key of a column. */
  readonly column: string;
}

/** The maps at hand: those of the chosen rows and kind of site, and the families to choose from. */
export function mapsOf({ report, state, siteKind }: Scene): {
  readonly maps: readonly ShiftMap[];
  readonly family: string;
  readonly families: readonly (readonly [string, string])[];
} {
  const all = (report.maps ?? []).filter((map) => map.site_kind === siteKind);
  const families = familiesOf(all);
  const family = families.some(([key]) => key === state.rows) ? state.rows : families[0]?.[0];
  return {
    maps: all.filter((map) => familyKey(map) === family),
    family: family ?? '',
    families,
  };
}

/** What to draw; null where there is no map of the chosen pair. */
export function mapPlot(scene: Scene, cursor: MapCursor | null): MapPlot | null {
  const { maps } = mapsOf(scene);
  const own = maps.findLast((map) => map.pair === scene.pair);
  if (own === undefined) return null;
  const { measure, mask } = scene.state;
  const controls = controlsOf(scene, own);
  const role = (map: ShiftMap): MapBand['role'] =>
    map === own ? 'pair' : controls.includes(map.pair) ? 'control' : 'beside';
  const latest = unique(maps.map(({ pair }) => pair)).map(
    (pair) => maps.findLast((map) => map.pair === pair) ?? own,
  );
  const order = ['pair', 'control', 'beside'];
  const bands = latest
    .map((map): MapBand => ({ map, role: role(map), title: bandTitle(map, role(map)) }))
    .toSorted((a, b) => order.indexOf(a.role) - order.indexOf(b.role));
  const cells = bands.flatMap(({ map }) => map.cells);
  return {
    bands,
    panels: panelsOf(measure),
    layers: unique(cells.map(({ layer }) => layer)).sort((a, b) => a - b),
    columns: columnsOf(cells),
    measure,
    mask,
    bound: roundUp(Math.max(...cells.flatMap((cell) => boundsOf(cell, measure)), 1e-6)),
    layer: scene.layer,
    position: scene.position,
    cursor,
  };
}

/** Pairs that a contrast of these rows names as the control of `map`. */
function controlsOf({ report }: Scene, map: ShiftMap): string[] {
  return (report.contrasts ?? []).flatMap((contrast) =>
    contrast.pair === map.pair &&
    familyKey(contrast) === familyKey(map) &&
    contrast.control !== null
      ? [contrast.control]
      : [],
  );
}

/** "20 + 120 groups", target and benign; ranges where cells differ. */
export function groupsText({ cells }: ShiftMap): string {
  const range = (counts: readonly number[]): string => {
    const [low, high] = [Math.min(...counts), Math.max(...counts)];
    return low === high ? count(low) : `${count(low)}–${count(high)}`;
  };
  const target = range(cells.map((cell) => cell.n_groups));
  return `n = ${target} + ${range(cells.map((cell) => cell.n_benign_groups))} groups`;
}

function bandTitle({ pair }: ShiftMap, role: MapBand['role']): string {
  return role === 'control' ? `control: ${arrow(pair)}` : arrow(pair);
}

function columnsOf(cells: readonly ShiftMapCell[]): MapColumn[] {
  const columns = cells.map(({ position, part }): MapColumn => {
    const words = part ?? position;
    return { key: part === undefined ? position : `${position} ${part}`, position, part, words };
  });
  return columns.filter(({ key }, i) => columns.findIndex((of) => of.key === key) === i);
}

function panelsOf(measure: MapMeasure): MapPanel[] {
  const sets = ['triggered', 'untriggered'] as const;
  return sets.flatMap((set): MapPanel[] =>
    measure === 'size'
      ? [
          { side: 'target', set, title: `target, ${set}` },
          { side: 'benign', set, title: `benign, ${set}` },
        ]
      : [{ side: 'difference', set, title: set }],
  );
}

function boundsOf({ size, benign_size: benign }: ShiftMapCell, measure: MapMeasure): number[] {
  return measure === 'size' ? [size, benign] : [Math.abs(size - benign)];
}

/** A cell of one panel; undefined where the map has none there. */
export function cellAt(
  { map }: MapBand,
  { set }: MapPanel,
  layer: number,
  { position, part }: MapColumn,
): ShiftMapCell | undefined {
  return map.cells.find(
    (cell) =>
      cell.layer === layer && cell.position === position && cell.part === part && cell.set === set,
  );
}

export function valueOf(cell: ShiftMapCell, side: Side): number {
  if (side === 'benign') return cell.benign_size;
  return side === 'target' ? cell.size : cell.size - cell.benign_size;
}

/** Whether the cell is left out under the chosen correction. Benign rows are what is compared with. */
export function isMasked(cell: ShiftMapCell, side: Side, mask: MapMask): boolean {
  return side !== 'benign' && mask !== 'none' && adjusted(cell, mask) > levels[mask];
}

/** The number that a correction gives. */
export function adjusted({ p_adjusted: p, q }: ShiftMapCell, mask: MapMask): number {
  return mask === 'fdr' ? q : p;
}

/** The interval that the contrasts hold for the mean over the same rows, where one does. */
export function intervalOf(
  { report }: Scene,
  map: ShiftMap,
  cell: ShiftMapCell,
  side: Side,
): Estimate | null {
  // Contrasts are of whole positions.
  if (side === 'difference' || cell.part !== undefined) return null;
  const isHere = (of: ShiftContrast): boolean =>
    of.pair === map.pair &&
    of.position === cell.position &&
    of.site_kind === map.site_kind &&
    of.settings.groups === map.groups &&
    familyKey(of) === familyKey(map);
  const point = (report.contrasts ?? [])
    .findLast(isHere)
    ?.points.find(({ site }) => site === cell.site);
  const name = side === 'benign' ? `benign_${cell.set}` : cell.set;
  return point?.sets.find((of) => of.name === name)?.row_size ?? null;
}
