/** Directions and subspaces in the terminal, each beside what chance gives, in lines of 80 characters. */

import type {
  DirectionAgreement,
  DirectionNullBand,
  Geometry,
  GeometryPoint,
} from '../contract/contrasts.ts';
import { numberText, pText } from './contrastTable.ts';
import { table, type Column } from './tables.ts';

interface Line {
  readonly point: GeometryPoint;
  readonly agreement: DirectionAgreement;
}

/** For each entry what is compared, directions with the strongest null that could be drawn, and subspaces. */
export function geometryLines(geometries: readonly Geometry[]): string[] {
  return geometries.flatMap((geometry, i) => [...(i === 0 ? [] : ['']), ...linesOf(geometry)]);
}

function linesOf({ pair, position, where, groups, draws, points }: Geometry): string[] {
  const lines = points.flatMap((point) =>
    point.agreements.map((agreement) => ({ point, agreement })),
  );
  const [{ n, subspaces, bands }] = points;
  const rows = where.trim() === '' ? 'all rows' : where;
  return [
    `${pair} at ${position}`,
    `  ${rows}; n = ${n} in each checkpoint, ${draws} draws of each null, groups by ${groups}`,
    '',
    'direction before with direction after; 95 % of meaningless |cosines| lie below the null',
    ...table<Line>(lines, [
      { title: 'site', cell: ({ point }) => point.site },
      { title: 'direction', cell: ({ agreement }) => agreement.label },
      { title: 'cosine', cell: ({ agreement }) => numberText(agreement.cosine), align: 'right' },
      { title: 'whitened', cell: (line) => whitenedText(pair, line), align: 'right' },
      { title: 'strongest null', cell: ({ agreement }) => strongestText(agreement) },
    ]),
    '',
    `${subspaces.k} leading components: overlap (mean cos² of their angles) beside chance k/d and`,
    'what subspaces like the data reach; likeness of the rows up to rotation',
    ...table(points, subspaceColumns),
    ...(bands === undefined ? [] : ['', ...shiftLines(points)]),
  ];
}

const subspaceColumns: readonly Column<GeometryPoint>[] = [
  { title: 'site', cell: ({ site }) => site },
  { title: 'overlap', cell: ({ subspaces }) => numberText(subspaces.overlap), align: 'right' },
  { title: 'k/d', cell: ({ subspaces }) => numberText(subspaces.chance), align: 'right' },
  { title: 'data', cell: ({ subspaces }) => numberText(subspaces.matched_p95), align: 'right' },
  { title: 'largest angle', cell: angleText, align: 'right' },
  { title: 'CKA', cell: ({ similarity }) => numberText(similarity.cka_debiased), align: 'right' },
  {
    title: 'Procrustes',
    cell: ({ similarity }) => numberText(similarity.procrustes),
    align: 'right',
  },
  { title: 'RSA', cell: ({ similarity }) => numberText(similarity.rsa), align: 'right' },
];

/** The shift against every label’s direction before, beside the band of meaningless cosines. */
function shiftLines(points: readonly GeometryPoint[]): string[] {
  const [{ directions, agreements }] = points;
  const shift = directions.includes('residual shift') ? 'residual shift' : 'shift';
  const what = shift === 'shift' ? 'the shift' : 'the shift less that of harmless rows';
  return [
    `cosine of ${what} with each direction before; 95 % of meaningless ones lie within the bands`,
    ...table(points, [
      { title: 'site', cell: ({ site }) => site },
      ...agreements.map(({ label }, l) => ({
        title: label,
        // Directions stand in pairs, before and after, label by label.
        cell: ({ cosines }: GeometryPoint) => numberText(cosines[directions.indexOf(shift)][2 * l]),
        align: 'right' as const,
      })),
      {
        title: '± ball',
        cell: ({ bands }) => numberText(bands?.isotropic ?? null),
        align: 'right',
      },
      {
        title: '± data',
        cell: ({ bands }) => numberText(bands?.covariance ?? null),
        align: 'right',
      },
    ]),
  ];
}

function strongestText({ nulls }: DirectionAgreement): string {
  const stronger = (most: DirectionNullBand, each: DirectionNullBand): DirectionNullBand =>
    each.p95 > most.p95 ? each : most;
  if (nulls.length === 0) return '–';
  const { p95, family, p } = nulls.reduce(stronger);
  return `${numberText(p95)} (${family}, p=${pText(p)})`;
}

function whitenedText(pair: string, { point, agreement }: Line): string {
  const [from, to] = pair
    .split('..')
    .map((name) => point.directions.indexOf(`${agreement.label} in ${name}`));
  return numberText(point.whitened[from][to]);
}

function angleText({ subspaces }: GeometryPoint): string {
  return `${((180 / Math.PI) * (subspaces.angles.at(-1) ?? 0)).toFixed(0)}°`;
}
