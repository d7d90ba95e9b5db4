/** Layer curves in the terminal: one line a curve, with what it has to be judged by beside it. */

import type { Baseline, Margin, ProbeCurve, ProbePoint } from '../contract/report.ts';
import { claimsOf, type Claims } from '../study/claims.ts';
import { fittedTable, sparkline, type Column } from './tables.ts';

interface Line {
  readonly curve: ProbeCurve;
  readonly claims: Claims;
}

/** @param width Columns of the terminal. */
export function curveLines(curves: readonly ProbeCurve[], width: number): string[] {
  const claims = claimsOf(curves);
  const lines = curves.map((curve, i) => ({ curve, claims: claims[i] }));
  return [
    ...fittedTable(lines, [...nameColumns, ...curveColumns(curves)], { width, keys: 3 }),
    ...heldOutLines(lines, width),
    ...after('', curves.flatMap(askedLines)),
    '',
    ...remarkLines(lines),
    ...familyLines(curves),
  ];
}

const nameColumns: readonly Column<Line>[] = [
  { title: 'checkpoint', cell: ({ curve }) => curve.checkpoint },
  { title: 'position', cell: ({ curve }) => curve.position },
  { title: 'reads', cell: ({ curve }) => subjectOf(curve) },
];

function curveColumns(curves: readonly ProbeCurve[]): readonly Column<Line>[] {
  const isJudged = curves.some(({ baselines = [] }) => baselines.length > 0);
  return [
    { title: 'by layer', cell: ({ curve }) => shapeOf(curve) },
    { title: 'AUROC over sites', cell: ({ curve }) => rangeText(curve) },
    { title: 'at the last one', cell: ({ curve }) => pointText(lastOf(curve)) },
    { title: 'shuffled', cell: ({ curve }) => bandText(lastOf(curve)) },
    { title: 'p', cell: ({ claims: { p } }) => p?.toFixed(3) ?? '', align: 'right' },
    ...(isJudged ? besideColumns : []),
    { title: 'n', cell: ({ curve }) => String(lastOf(curve).n), align: 'right' },
  ];
}

const besideColumns: readonly Column<Line>[] = [
  { title: 'words', cell: ({ curve }) => baselineText(curve, 'bag_of_words') },
  { title: 'length', cell: ({ curve }) => baselineText(curve, 'prompt_length') },
  { title: 'best of random', cell: ({ curve }) => randomText(lastOf(curve)) },
];

/** What the last site is worth at a threshold, as probabilities, and against the untrained twin. */
function heldOutLines(lines: readonly Line[], width: number): string[] {
  const known = lines.filter(({ curve }) => lastOf(curve).held_out !== undefined);
  if (known.length === 0) return [];
  const hasTwin = known.some(({ curve }) => twinMargin(curve) !== undefined);
  const hasOdds = known.some(({ curve }) => lastOf(curve).held_out?.probabilities !== null);
  const columns: Column<Line>[] = [
    ...nameColumns,
    { title: 'TPR at 1 % FPR', cell: ({ curve }) => rateText(lastOf(curve)) },
    {
      title: 'average precision',
      cell: ({ curve }) => precisionText(lastOf(curve)),
    },
    ...(hasOdds
      ? [{ title: 'ECE, Brier', cell: ({ curve }: Line) => calibrationText(lastOf(curve)) }]
      : []),
    ...(hasTwin
      ? [{ title: 'less random weights', cell: ({ curve }: Line) => marginText(twinMargin(curve)) }]
      : []),
  ];
  return ['', 'at the last site:', ...fittedTable(known, columns, { width, keys: 3 })];
}

/** Lines with one before them, if there are any. */
function after(first: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [first, ...lines];
}

/** What was asked for besides the curve itself. */
function askedLines(curve: ProbeCurve): string[] {
  const { checkpoint, position, label, baselines = [], nested } = curve;
  const { control_task: control, online_code: code, attention, n } = lastOf(curve);
  const embedding = baselines.find(({ name }) => name === 'embedding');
  const asked = [
    ...(embedding === undefined ? [] : [`embedding layer ${embedding.auroc.toFixed(3)}`]),
    ...(nested === undefined ? [] : [`nested ${pointText(nested)}`]),
    ...(control === undefined
      ? []
      : [
          `control task ${control.control.toFixed(3)}, selectivity ${control.selectivity.toFixed(3)}`,
        ]),
    ...(code === undefined
      ? []
      : [
          `online code ${code.bits.toFixed(1)} bits for ${n} labels (compression ${code.compression.toFixed(2)}; shuffled ${code.shuffled_bits.toFixed(1)} bits)`,
        ]),
    ...(attention === undefined
      ? []
      : [
          `looks at ${attention.effective_tokens.toFixed(1)} of ${attention.tokens.toFixed(1)} tokens (first ${attention.first.toFixed(2)}, last ${attention.last.toFixed(2)})`,
        ]),
  ];
  if (asked.length === 0) return [];
  return [`${label} in ${checkpoint} at ${position}, beside it: ${asked.join(' · ')}`];
}

/** What a reader must be told, each sentence once for all checkpoints that it is true of. */
function remarkLines(lines: readonly Line[]): string[] {
  const checkpoints = new Map<string, string[]>();
  for (const { curve, claims } of lines) {
    for (const remark of claims.remarks) {
      const line = `${subjectOf(curve)} at ${curve.position}: ${remark}`;
      checkpoints.set(line, [...(checkpoints.get(line) ?? []), curve.checkpoint]);
    }
  }
  return Array.from(checkpoints, ([line, names]) => `${line} (${names.join(', ')})`);
}

/** How the words above were kept from being luck. */
function familyLines(curves: readonly ProbeCurve[]): string[] {
  const points = curves.flatMap((curve) => curve.points);
  const margins = points.reduce((sum, { over = [] }) => sum + over.length, 0);
  const kept = curves.flatMap(({ null_maxima: maxima }) =>
    maxima === undefined ? [] : [maxima.length],
  );
  if (kept.length === 0) return [];
  const compared =
    margins === 0 ? '' : `; what beats what is decided by Holm’s rule over ${margins} comparisons`;
  return [
    `p: best of all ${points.length} sites above against the best of ${Math.min(...kept)} shuffles${compared}, at 5 % for all of it together.`,
  ];
}

function subjectOf({ label, where }: ProbeCurve): string {
  return where === '' ? label : `${label} | ${where}`;
}

export function shapeOf({ points }: ProbeCurve): string {
  return sparkline(
    points.map(({ auroc }) => auroc),
    { low: 0.4, high: 1 },
  );
}

function baselineText({ baselines = [] }: ProbeCurve, wanted: Baseline['name']): string {
  return baselines.find(({ name }) => name === wanted)?.auroc.toFixed(3) ?? '';
}

function randomText({ random_directions: drawn }: ProbePoint): string {
  return drawn?.best.toFixed(3) ?? '';
}

function twinMargin(curve: ProbeCurve): Margin | undefined {
  return lastOf(curve).over?.find(({ baseline }) => baseline === 'random_weights');
}

function marginText(margin: Margin | undefined): string {
  if (margin === undefined) return '';
  const { difference, low, high } = margin;
  const sign = difference < 0 ? '' : '+';
  return `${sign}${difference.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

function rateText({ held_out: held }: ProbePoint): string {
  if (held === undefined) return '';
  const { rate, low, high } = held.at_1_percent_fpr.tpr;
  return `${rate.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

function precisionText({ held_out: held, n, n_positive: positive }: ProbePoint): string {
  if (held === undefined) return '';
  return `${held.average_precision.toFixed(3)} (chance ${(positive / n).toFixed(2)})`;
}

function calibrationText({ held_out: held }: ProbePoint): string {
  const said = held?.probabilities ?? null;
  return said === null ? '' : `${said.ece.toFixed(3)}, ${said.brier.toFixed(3)}`;
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
