/** Layer curves in the terminal: one line a curve, with what it has to be judged by beside it. */

import type { ProbeCurve, ProbePoint } from '../contract/report.ts';
import { saturated } from '../study/baselines.ts';
import { sparkline, table } from './tables.ts';

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
  return [...lines, ...curves.flatMap(besideLines)];
}

/** What stands beside a curve, where it was measured. */
function besideLines(curve: ProbeCurve): string[] {
  const { checkpoint, position, label, baselines = [], nested, remarks } = curve;
  const { random_directions: drawn, control_task: control } = lastOf(curve);
  const beside = [
    ...baselines.map((each) => `${each.name.replaceAll('_', ' ')} ${each.auroc.toFixed(3)}`),
    ...(drawn === undefined
      ? []
      : [
          `random directions ${drawn.median.toFixed(2)}, best of ${drawn.count} ${drawn.best.toFixed(3)}`,
        ]),
    ...(nested === undefined ? [] : [`nested ${pointText(nested)}`]),
    ...(control === undefined
      ? []
      : [
          `control task ${control.control.toFixed(3)}, selectivity ${control.selectivity.toFixed(3)}`,
        ]),
  ];
  const said =
    remarks ??
    (isSaturated(curve)
      ? [`it is read at ${saturated} or more everywhere: that is saturation and decides nothing`]
      : []);
  const name = `${label} in ${checkpoint} at ${position}`;
  return [
    ...(beside.length === 0 ? [] : [`${name}, beside it: ${beside.join(' · ')}`]),
    ...said.map((remark) => `${name}: ${remark}`),
  ];
}

function isSaturated({ points }: ProbeCurve): boolean {
  return points.every(({ auroc }) => auroc >= saturated);
}

/** The last site, and not the best: choosing a site by its score would flatter the score. */
function lastOf({ points }: ProbeCurve): ProbePoint {
  return points[points.length - 1];
}

function rangeText({ points }: ProbeCurve): string {
  const areas = points.map(({ auroc }) => auroc);
  return `${Math.min(...areas).toFixed(3)}–${Math.max(...areas).toFixed(3)}`;
}

function pointText({ auroc, low, high }: Pick<ProbePoint, 'auroc' | 'low' | 'high'>): string {
  return `${auroc.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

function bandText({ null: { low, high } }: ProbePoint): string {
  return `${low.toFixed(2)}–${high.toFixed(2)}`;
}
