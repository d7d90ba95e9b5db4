/** Shifts over several seeds in the terminal: what may be said of training, and with how few seeds what may not. */

import type { PooledNumber, PooledPoint, PooledReport, PooledShift } from '../contract/pooled.ts';
import { comparedLines, estimateText, numberText, pText, sizeColumns } from './contrastTable.ts';
import { table, type Column } from './tables.ts';

/** All places of a pooled report, each with its control and its n. */
export function pooledLines(report: PooledReport): string[] {
  const { runs, control } = report;
  return [
    `${report.pair} over ${runs.length} seeds: ${runs.map(({ name }) => name).join(', ')}`,
    ...remarks(report),
    ...report.shifts.flatMap((shift) => ['', ...shiftLines(report, shift)]),
    ...(control === null
      ? ['', 'no control loaded: name a checkpoint that was trained otherwise with --control']
      : []),
  ];
}

/** The smallest p there can be, and what so many seeds cannot show. */
function remarks({
  runs,
  smallest_p: least,
  shares_start: sharesStart,
  pair,
}: PooledReport): string[] {
  const few = `${runs.length} seeds cannot reach p = .05: signs alone give ${pText(least)}`;
  const enough = `no p can be smaller than ${pText(least)}, what all seeds agreeing gives`;
  return [
    `  ${least > 0.05 ? few : enough}`,
    ...(runs.length < 10 ? ['  intervals over so few seeds are too narrow'] : []),
    ...(sharesStart
      ? [`  runs share their ${pair.split('..')[0]}: only what follows it varies with the seed`]
      : []),
  ];
}

function shiftLines(report: PooledReport, { position, points }: PooledShift): string[] {
  const [{ n, n_groups: groups }] = points;
  const { where, benign, settings, control } = report;
  return [
    `${report.pair} at ${position}`,
    ...comparedLines(
      { where, benign },
      n.map(({ n: count }) => count),
      ' in each run',
    ),
    `  ${groups} groups by ${settings.groups}, drawn ${settings.bootstraps} times once for all drawn seeds`,
    '',
    'size, averaged over seeds [95 % over seeds and groups]',
    ...table(
      points,
      sizeColumns(({ numbers }, s) => numbers.sizes[s]),
    ),
    '',
    'triggered against untriggered',
    ...table(points, [
      siteColumn,
      { title: 'cosine', cell: ({ numbers }) => estimateText(numbers.cosine) },
      { title: 'projection', cell: ({ numbers }) => estimateText(numbers.projection) },
      { title: 'cosine less harmless', cell: ({ numbers }) => testText(numbers.residual_cosine) },
    ]),
    '',
    'size of triggered rows less that of harmless ones, without what noise adds',
    ...table(
      points,
      bySeed(({ numbers }) => numbers.over_benign[0]),
    ),
    ...(control === null
      ? []
      : [
          '',
          `size of triggered rows less that under ${control}`,
          ...table(
            points,
            bySeed(({ over_control: over }) => over?.sizes[0]),
          ),
          '',
          `projection less that under ${control}`,
          ...table(
            points,
            bySeed(({ over_control: over }) => over?.projection),
          ),
        ]),
  ];
}

const siteColumn: Column<PooledPoint> = { title: 'site', cell: ({ site }) => site };

function bySeed(read: (point: PooledPoint) => PooledNumber | undefined): Column<PooledPoint>[] {
  const of =
    (text: (number: PooledNumber) => string) =>
    (point: PooledPoint): string => {
      const number = read(point);
      return number === undefined ? '–' : text(number);
    };
  return [
    siteColumn,
    { title: 'difference', cell: of(testText) },
    { title: 'by seed', cell: of(({ by_seed: values }) => values.map(numberText).join(' ')) },
  ];
}

function testText(number: PooledNumber): string {
  return number.p === null ? estimateText(number) : `${estimateText(number)} p=${pText(number.p)}`;
}
