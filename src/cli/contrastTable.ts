/** Contrasts of shifts in the terminal: never a shift without its harmless control and its n. */

import type { ContrastPoint, Estimate, ShiftContrast, ShiftMap } from '../contract/contrasts.ts';
import { table } from './tables.ts';

interface Line {
  readonly contrast: ShiftContrast;
  readonly point: ContrastPoint;
}

/** One line a site: the target's size and its control's, then how the sides agree. */
export function contrastLines(contrasts: readonly ShiftContrast[]): string[] {
  const lines: readonly Line[] = contrasts.flatMap((contrast) =>
    contrast.points.map((point) => ({ contrast, point })),
  );
  const size =
    (s: number) =>
    ({ point }: Line) =>
      `${estimateText(point.sets[s].relative_size)} n=${point.sets[s].n}`;
  return [
    'size of the mean shift, over the activation’s size before [95 % over groups]:',
    ...table(lines, [
      { title: 'pair', cell: ({ contrast }) => contrast.pair },
      { title: 'position', cell: ({ contrast }) => contrast.position },
      { title: 'site', cell: ({ point }) => point.site },
      { title: 'triggered', cell: size(0) },
      { title: 'harmless, triggered', cell: size(2) },
      { title: 'untriggered', cell: size(1) },
      { title: 'harmless, untriggered', cell: size(3) },
    ]),
    '',
    'triggered against untriggered; “less harmless” takes the harmless rows’ mean shift away on both sides:',
    ...table(lines, [
      { title: 'pair', cell: ({ contrast }) => contrast.pair },
      { title: 'position', cell: ({ contrast }) => contrast.position },
      { title: 'site', cell: ({ point }) => point.site },
      { title: 'cosine', cell: ({ point }) => estimateText(point.cosine) },
      { title: 'ceiling', cell: ({ point }) => numberText(point.cosine.ceiling) },
      { title: 'without noise', cell: ({ point }) => numberText(point.cosine.disattenuated) },
      { title: 'less harmless', cell: ({ point }) => estimateText(point.residual_cosine) },
      { title: 'projection', cell: ({ point }) => estimateText(point.projection) },
      { title: 'less harmless', cell: ({ point }) => estimateText(point.residual_projection) },
      { title: 'residual size (triggered)', cell: residualText },
      { title: 'affine R² u/t', cell: affineText },
    ]),
  ];
}

/** The cells of a map that survive all tests, and how many there were. */
export function mapLines({ cells, pair, permutations }: ShiftMap): string[] {
  const found = cells.filter(({ p_adjusted: p }) => p <= 0.05);
  const head = `${pair}: target rows moved otherwise than harmless ones in ${found.length} of ${cells.length} cells (max-T, ${permutations} divisions, p ≤ .05)`;
  return found.length === 0
    ? [head]
    : [
        head,
        ...table(found, [
          { title: 'position', cell: ({ position }) => position },
          { title: 'site', cell: ({ site }) => site },
          { title: 'rows', cell: ({ set }) => set },
          { title: '‖Δ‖/‖h‖', cell: ({ size }) => size.toFixed(3), align: 'right' },
          { title: 'harmless', cell: ({ benign_size: size }) => size.toFixed(3), align: 'right' },
          { title: 'groups', cell: (cell) => `${cell.n_groups} + ${cell.n_benign_groups}` },
          { title: 'p adjusted', cell: ({ p_adjusted: p }) => p.toFixed(3), align: 'right' },
        ]),
      ];
}

/** `0.56 [0.49, 0.64]`, or `–` for what is undefined. */
function estimateText({ value, low, high }: Estimate): string {
  if (low === null || high === null) return numberText(value);
  return `${numberText(value)} [${numberText(low)}, ${numberText(high)}]`;
}

/** Two decimals, or `–` for what is undefined. */
export function numberText(value: number | null): string {
  return value === null ? '–' : value.toFixed(2);
}

function residualText({ point }: Line): string {
  const [{ relative_size: size, p }] = point.residuals;
  return `${estimateText(size)} p=${p.toFixed(3)}`;
}

function affineText({ point: { affine } }: Line): string {
  if (affine === null) return '–';
  return `${numberText(affine.r2_untriggered)}/${numberText(affine.r2_triggered)}`;
}
