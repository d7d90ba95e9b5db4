/** All curves of a report as small plots: one block a question, one line a checkpoint, one cell a layer. */

import type { ProbeCurve } from '../contract/report.ts';
import { claimsOf, type Claims } from '../study/claims.ts';
import { shapeOf } from './curveTable.ts';
import { fittedTable, shade, shadeLegend, type Column } from './tables.ts';

const range = { low: 0.5, high: 1 };

interface Line {
  readonly curve: ProbeCurve;
  readonly claims: Claims;
}

/** @param width Columns of the terminal; more layers than fit are set in blocks. */
export function layerLines(curves: readonly ProbeCurve[], width: number): string[] {
  const claims = claimsOf(curves);
  const questions = new Map<string, Line[]>();
  curves.forEach((curve, i) => {
    const name = questionOf(curve);
    questions.set(name, [...(questions.get(name) ?? []), { curve, claims: claims[i] }]);
  });
  return [
    ...Array.from(questions, ([name, lines]) => [name, ...block(lines, width), '']).flat(),
    `shades: ${shadeLegend(range)}; ( ) not told apart from the shuffled labels of all curves here at 5 %`,
    '“shuffled” is the largest 97.5th percentile of shuffled labels over the sites, “words” the bag of words',
  ];
}

function block(lines: readonly Line[], width: number): string[] {
  const layers = Math.max(...lines.map(({ curve }) => curve.points.length));
  const columns: readonly Column<Line>[] = [
    { title: 'checkpoint', cell: ({ curve }) => curve.checkpoint },
    { title: 'by layer', cell: ({ curve }) => shapeOf(curve) },
    ...Array.from({ length: layers }, (_, at) => ({
      title: `  ${lines[0].curve.points[at]?.layer ?? ''}`,
      cell: (line: Line) => cellText(line, at),
    })),
    { title: 'shuffled', cell: ({ curve }) => highest(curve).toFixed(3), align: 'right' },
    { title: 'words', cell: ({ curve }) => wordsText(curve), align: 'right' },
    { title: 'n', cell: ({ curve }) => String(curve.points[0].n), align: 'right' },
  ];
  return fittedTable(lines, columns, { width, keys: 2 });
}

function cellText({ curve, claims }: Line, at: number): string {
  const point = curve.points.at(at);
  if (point === undefined) return '';
  const value = point.auroc.toFixed(3).replace(/^0/, '');
  const isTold = claims.toldAt[at] ?? true;
  return `${shade(point.auroc, range)} ${isTold ? value : `(${value})`}`;
}

function questionOf({ label, where, position, site_kind: kind, ...curve }: ProbeCurve): string {
  const { c, standardise, folds, shuffles, seed } = curve.settings;
  const subject = where === '' ? label : `${label} | ${where}`;
  const fit = [
    curve.estimator.replaceAll('_', ' '),
    ...(c === null ? [] : [`C = ${c}`]),
    ...(standardise ? ['standardised'] : []),
  ].join(', ');
  return `${subject} at ${position}, ${kind}: AUROC of ${fit} (${folds} folds, ${shuffles} shuffles, seed ${seed})`;
}

function highest({ points }: ProbeCurve): number {
  return Math.max(...points.map((point) => point.null.high));
}

function wordsText({ baselines = [] }: ProbeCurve): string {
  return baselines.find(({ name }) => name === 'bag_of_words')?.auroc.toFixed(3) ?? '';
}
