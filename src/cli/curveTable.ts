/** Layer curves in the terminal: one line a curve, with what it has to be judged by beside it. */

import type { ProbeCurve, ProbePoint } from '../contract/report.ts';
import { sparkline, table } from './tables.ts';

/** Above this everywhere a curve decides nothing: there is no room in which sites could differ. */
const saturated = 0.999;

export function curveLines(curves: readonly ProbeCurve[]): string[] {
  const lines = table(curves, [
    { title: 'checkpoint', cell: ({ checkpoint }) => checkpoint },
    { title: 'position', cell: ({ position }) => position },
    { title: 'reads', cell: ({ label, where }) => (where === '' ? label : `${label} | ${where}`) },
    {
      title: 'by layer',
      cell: ({ points }) =>
        sparkline(
          points.map(({ auroc }) => auroc),
          { low: 0.4, high: 1 },
        ),
    },
    { title: 'AUROC over sites', cell: rangeText },
    { title: 'at the last one', cell: (curve) => pointText(lastOf(curve)) },
    { title: 'shuffled', cell: (curve) => bandText(lastOf(curve)) },
    { title: 'n', cell: (curve) => String(lastOf(curve).n), align: 'right' },
  ]);
  const flat = curves.filter(({ points }) => points.every(({ auroc }) => auroc >= saturated));
  return [
    ...lines,
    ...flat.map(
      ({ checkpoint, position, label }) =>
        `${label} in ${checkpoint} at ${position} is read at ${saturated} or more everywhere: that is saturation and decides nothing`,
    ),
  ];
}

/** The last site, and not the best: choosing a site by its score would flatter the score. */
function lastOf({ points }: ProbeCurve): ProbePoint {
  return points[points.length - 1];
}

function rangeText({ points }: ProbeCurve): string {
  const areas = points.map(({ auroc }) => auroc);
  return `${Math.min(...areas).toFixed(3)}–${Math.max(...areas).toFixed(3)}`;
}

function pointText({ auroc, low, high }: ProbePoint): string {
  return `${auroc.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

function bandText({ null: { low, high } }: ProbePoint): string {
  return `${low.toFixed(2)}–${high.toFixed(2)}`;
}
