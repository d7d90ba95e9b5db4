/** Contrasts of shifts in the terminal: never a shift without its harmless control and its n. */

import type { ContrastPoint, Estimate, ShiftContrast, ShiftMap } from '../contract/contrasts.ts';
import { table, type Column } from './tables.ts';

/** For each contrast what is compared and how many rows, then its sites in tables of 80 characters. */
export function contrastLines(contrasts: readonly ShiftContrast[]): string[] {
  const lines = contrasts.flatMap((contrast) => [...linesOf(contrast), '']);
  const hasControl = contrasts.some(({ control }) => control !== null);
  return hasControl
    ? lines.slice(0, -1)
    : [...lines, 'no control loaded: name a checkpoint that was trained otherwise with --control'];
}

function linesOf(contrast: ShiftContrast): string[] {
  const { points } = contrast;
  return [
    ...headLines(contrast),
    '',
    'size: length of the mean shift over the activation’s length before [95 %]',
    ...table(
      points,
      sizeColumns(({ sets }, s) => sets[s].relative_size),
    ),
    '',
    'triggered against untriggered',
    ...table(points, [
      siteColumn,
      { title: 'cosine', cell: ({ cosine }) => estimateText(cosine) },
      { title: 'ceiling', cell: ({ cosine }) => numberText(cosine.ceiling) },
      { title: 'rid of noise', cell: ({ cosine }) => numberText(cosine.disattenuated) },
      { title: 'projection', cell: ({ projection }) => estimateText(projection) },
      { title: 'affine', cell: affineText },
    ]),
    '',
    'less the mean shift of harmless rows with the same trigger',
    ...table(points, [
      siteColumn,
      { title: 'size, triggered', cell: residualText },
      { title: 'cosine', cell: ({ residual_cosine: cosine }) => estimateText(cosine) },
      { title: 'projection', cell: ({ residual_projection: share }) => estimateText(share) },
    ]),
    ...nullLines(points),
  ];
}

function headLines({
  pair,
  position,
  control,
  where,
  benign,
  settings,
  points,
}: ShiftContrast): string[] {
  const [{ sets, n_groups: groups }] = points;
  const beside = control === null ? '' : `, beside ${control}`;
  return [
    `${pair} at ${position}${beside}`,
    ...comparedLines(
      { where, benign },
      sets.map(({ n }) => n),
    ),
    `  ${groups} groups by ${settings.groups}, drawn ${settings.bootstraps} times`,
  ];
}

/** Which rows are compared with which, and how many there are of the four sets. */
export function comparedLines(
  { where, benign }: Pick<ShiftContrast, 'where' | 'benign'>,
  n: readonly number[],
  each: string = '',
): string[] {
  const target = where.trim() === '' ? 'all that are not harmless' : where;
  return [
    `  target rows: ${target}; n = ${n[0]} triggered, ${n[1]} untriggered${each}`,
    `  harmless rows: ${benign}; n = ${n[2]} triggered, ${n[3]} untriggered`,
  ];
}

/** A column for each of the four sets, beside the site. */
export function sizeColumns<Point extends { readonly site: string }>(
  read: (point: Point, set: number) => Estimate,
): Column<Point>[] {
  const titles = ['triggered', 'untriggered', 'harmless, trig.', 'harmless, untr.'];
  return [
    { title: 'site', cell: ({ site }) => site },
    ...titles.map((title, s) => ({ title, cell: (point: Point) => estimateText(read(point, s)) })),
  ];
}

/** The raw cosine beside what directions that mean nothing reach in the place of the triggered shift. */
function nullLines(points: readonly ContrastPoint[]): string[] {
  const families = [
    ...new Set(points.flatMap(({ cosine: { nulls = [] } }) => nulls.map(({ family }) => family))),
  ];
  if (families.length === 0) return [];
  return [
    '',
    'would a meaningless shift agree as well? 95 % of |cosines| lie below',
    ...table(points, [
      siteColumn,
      { title: 'cosine', cell: ({ cosine }) => numberText(cosine.value), align: 'right' },
      ...families.map((family) => ({
        title: shortFamilies[family],
        cell: ({ cosine: { nulls = [] } }: ContrastPoint) => {
          const found = nulls.find((each) => each.family === family);
          return found === undefined ? '–' : `${numberText(found.p95)} p=${pText(found.p)}`;
        },
      })),
    ]),
  ];
}

const shortFamilies = {
  isotropic: 'isotropic',
  covariance: 'covariance',
  'random difference': 'halves',
  'shuffled labels': 'shuffled',
  'benign shift': 'harmless',
} as const;

/** The cells of a map that survive all tests, and how many there were. */
export function mapLines({ cells, pair, permutations }: ShiftMap): string[] {
  const found = cells.filter(({ p_adjusted: p }) => p <= 0.05);
  const head = [
    `${pair}: target rows moved otherwise than harmless ones in ${found.length} of ${cells.length} cells`,
    `(mean over groups of ‖Δ‖/‖h‖; max-T over ${permutations} divisions of groups, p ≤ .05)`,
  ];
  if (found.length === 0) return head;
  return [
    ...head,
    ...table(found, [
      { title: 'position', cell: ({ position, part }) => position + (part ? ` ${part}` : '') },
      { title: 'site', cell: ({ site }) => site },
      { title: 'rows', cell: ({ set }) => set },
      { title: 'size', cell: (cell) => numberText(cell.size), align: 'right' },
      { title: 'harmless', cell: (cell) => numberText(cell.benign_size), align: 'right' },
      { title: 'groups', cell: (cell) => `${cell.n_groups} + ${cell.n_benign_groups}` },
      { title: 'p', cell: ({ p_adjusted: p }) => pText(p), align: 'right' },
    ]),
  ];
}

const siteColumn: Column<ContrastPoint> = { title: 'site', cell: ({ site }) => site };

/** `.56 [.49, .64]`, or `–` for what is undefined. */
export function estimateText({ value, low, high }: Estimate): string {
  if (low === null || high === null) return numberText(value);
  return `${numberText(value)} [${numberText(low)}, ${numberText(high)}]`;
}

/** Two decimals without a leading zero, or `–` for what is undefined. */
export function numberText(value: number | null): string {
  return value === null ? '–' : bare(value.toFixed(2));
}

/** Three decimals without a leading zero. */
export function pText(p: number): string {
  return bare(p.toFixed(3));
}

function bare(text: string): string {
  return text.replace(/^(-?)0\./, '$1.').replace(/^-(\.0+)$/, '$1');
}

function residualText({ residuals: [{ relative_size: length, p }] }: ContrastPoint): string {
  return `${estimateText(length)} p=${pText(p)}`;
}

function affineText({ affine }: ContrastPoint): string {
  if (affine === null) return '–';
  return `${numberText(affine.r2_untriggered)}/${numberText(affine.r2_triggered)}`;
}
