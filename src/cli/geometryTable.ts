/** Directions and subspaces in the terminal, each beside what chance gives. */

import type { DirectionAgreement, Geometry, GeometryPoint } from '../contract/contrasts.ts';
import { numberText } from './contrastTable.ts';
import { table } from './tables.ts';

interface Line {
  readonly geometry: Geometry;
  readonly point: GeometryPoint;
}

/** Two tables: directions with the strongest null that could be drawn, and subspaces with theirs. */
export function geometryLines(geometries: readonly Geometry[]): string[] {
  const lines: readonly Line[] = geometries.flatMap((geometry) =>
    geometry.points.map((point) => ({ geometry, point })),
  );
  const directions = lines.flatMap((line) =>
    line.point.agreements.map((agreement) => ({ ...line, agreement })),
  );
  return [
    'direction before with direction after; 95 % of |cosines| with meaningless directions lie below the null:',
    ...table(directions, [
      { title: 'pair', cell: ({ geometry }) => geometry.pair },
      { title: 'position', cell: ({ geometry }) => geometry.position },
      { title: 'site', cell: ({ point }) => point.site },
      { title: 'direction', cell: ({ agreement }) => agreement.label },
      { title: 'cosine', cell: ({ agreement }) => numberText(agreement.cosine), align: 'right' },
      { title: 'whitened', cell: whitenedText, align: 'right' },
      { title: 'strongest null', cell: ({ agreement }) => strongestText(agreement) },
      { title: 'n', cell: ({ point }) => String(point.n), align: 'right' },
    ]),
    '',
    'leading components before and after; overlap is the mean cos² of their angles:',
    ...table(lines, [
      { title: 'pair', cell: ({ geometry }) => geometry.pair },
      { title: 'position', cell: ({ geometry }) => geometry.position },
      { title: 'site', cell: ({ point }) => point.site },
      { title: 'k', cell: ({ point }) => String(point.subspaces.k), align: 'right' },
      { title: 'overlap', cell: ({ point }) => numberText(point.subspaces.overlap) },
      { title: 'chance k/d', cell: ({ point }) => numberText(point.subspaces.chance) },
      { title: 'like the data', cell: ({ point }) => numberText(point.subspaces.matched_p95) },
      { title: 'largest angle', cell: angleText },
      { title: 'CKA debiased', cell: ({ point }) => numberText(point.similarity.cka_debiased) },
      { title: 'Procrustes', cell: ({ point }) => numberText(point.similarity.procrustes) },
    ]),
  ];
}

function strongestText({ nulls }: DirectionAgreement): string {
  const strongest = nulls.reduce((most, each) => (each.p95 > most.p95 ? each : most));
  return `${numberText(strongest.p95)} (${strongest.family}, p=${strongest.p.toFixed(3)})`;
}

function whitenedText({
  geometry,
  point,
  agreement,
}: Line & { readonly agreement: DirectionAgreement }): string {
  const [from, to] = geometry.pair
    .split('..')
    .map((name) => point.directions.indexOf(`${agreement.label} in ${name}`));
  return numberText(point.whitened[from][to]);
}

function angleText({ point: { subspaces } }: Line): string {
  return `${((180 / Math.PI) * (subspaces.angles.at(-1) ?? 0)).toFixed(0)}°`;
}
