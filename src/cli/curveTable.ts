/** Layer curves in the terminal: one line a curve, with what it has to be judged by beside it. */

import type { Baseline, ProbeCurve, ProbePoint } from '../contract/report.ts';
import { saturated } from '../study/baselines.ts';
import { sparkline, table, type Column } from './tables.ts';

export function curveLines(curves: readonly ProbeCurve[]): string[] {
  const isJudged = curves.some(({ baselines = [] }) => baselines.length > 0);
  const beside = [
    { title: 'words', cell: (curve) => baselineText(curve, 'bag_of_words') },
    { title: 'length', cell: (curve) => baselineText(curve, 'prompt_length') },
    { title: 'best of random', cell: (curve) => randomText(lastOf(curve)) },
  ] satisfies Column<ProbeCurve>[];
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
    ...(isJudged ? beside : []),
    { title: 'n', cell: (curve) => String(lastOf(curve).n), align: 'right' },
  ]);
  return [...lines, ...curves.flatMap(askedLines), ...remarkLines(curves)];
}

/** What was asked for besides the curve itself. */
function askedLines(curve: ProbeCurve): string[] {
  const { checkpoint, position, label, baselines = [], nested } = curve;
  const { control_task: control } = lastOf(curve);
  const embedding = baselines.find(({ name }) => name === 'embedding');
  const asked = [
    ...(embedding === undefined ? [] : [`embedding layer ${embedding.auroc.toFixed(3)}`]),
    ...(nested === undefined ? [] : [`nested ${pointText(nested)}`]),
    ...(control === undefined
      ? []
      : [
          `control task ${control.control.toFixed(3)}, selectivity ${control.selectivity.toFixed(3)}`,
        ]),
  ];
  if (asked.length === 0) return [];
  return [`${label} in ${checkpoint} at ${position}, beside it: ${asked.join(' · ')}`];
}

/** What a reader must be told, each sentence once for all checkpoints that it is true of. */
function remarkLines(curves: readonly ProbeCurve[]): string[] {
  const checkpoints = new Map<string, string[]>();
  for (const curve of curves) {
    const { label, where, position, checkpoint } = curve;
    const subject = `${label}${where === '' ? '' : ` | ${where}`} at ${position}`;
    for (const remark of remarksOf(curve)) {
      const line = `${subject}: ${remark}`;
      checkpoints.set(line, [...(checkpoints.get(line) ?? []), checkpoint]);
    }
  }
  return Array.from(checkpoints, ([line, names]) => `${line} (${names.join(', ')})`);
}

function remarksOf(curve: ProbeCurve): readonly string[] {
  if (curve.remarks !== undefined) return curve.remarks;
  return isSaturated(curve)
    ? [`it is read at ${saturated} or more everywhere: that is saturation and decides nothing`]
    : [];
}

function baselineText({ baselines = [] }: ProbeCurve, wanted: Baseline['name']): string {
  return baselines.find(({ name }) => name === wanted)?.auroc.toFixed(3) ?? '';
}

function randomText({ random_directions: drawn }: ProbePoint): string {
  return drawn?.best.toFixed(3) ?? '';
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
