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
    { title: 'AUROC at best', cell: (curve) => pointText(bestOf(curve)) },
    { title: 'site', cell: (curve) => bestOf(curve).site },
    { title: 'shuffled', cell: (curve) => bandText(bestOf(curve)) },
    { title: 'n', cell: (curve) => String(bestOf(curve).n), align: 'right' },
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

function bestOf({ points }: ProbeCurve): ProbePoint {
  return points.reduce((best, point) => (point.auroc > best.auroc ? point : best));
}

function pointText({ auroc, low, high }: ProbePoint): string {
  return `${auroc.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

function bandText({ null: { low, high } }: ProbePoint): string {
  return `${low.toFixed(2)}–${high.toFixed(2)}`;
}
