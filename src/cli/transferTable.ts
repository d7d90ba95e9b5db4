/** A transfer matrix in the terminal: a number and a shade in each cell, its interval below. */

import type { TransferCell, TransferEntry, TransferMatrix } from '../contract/readings.ts';
import { fittedTable, shade, shadeLegend, type Column } from './tables.ts';

/** Chance and nothing better are blank. */
const range = { low: 0.5, high: 1 };

interface Line {
  readonly name: string;
  readonly n: string;
  readonly number: string;
  readonly cells: readonly string[];
}

/** @param width Columns of the terminal; a wider matrix is set in blocks. */
export function transferLines(matrix: TransferMatrix, width: number): string[] {
  const { label, site, position, estimator, cells, entries, remarks } = matrix;
  const lines = cells.flatMap((cell, i): Line[] => [
    {
      number: String(i + 1),
      name: nameOf(cell),
      n: String(cell.n),
      cells: entries[i].map(valueText),
    },
    { number: '', name: '', n: '', cells: entries[i].map(intervalText) },
  ]);
  const columns: readonly Column<Line>[] = [
    { title: '', cell: ({ number }) => number, align: 'right' },
    { title: 'fitted on', cell: ({ name }) => name },
    { title: 'n', cell: ({ n }) => n, align: 'right' },
    ...cells.map((_, j) => ({
      title: `on ${j + 1}`,
      cell: (line: Line) => line.cells[j],
      align: 'right' as const,
    })),
  ];
  return [
    `${label} at ${site}, ${position}, ${estimator.replaceAll('_', ' ')}: AUROC of the row’s probe on the column’s rows, groups held out`,
    '',
    ...fittedTable(lines, columns, { width, keys: 3 }),
    '',
    `shades: ${shadeLegend(range)}; small numbers: 95 % over groups`,
    ...twinLines(matrix, width),
    ...remarks,
  ];
}

function valueText({ auroc }: TransferEntry): string {
  return `${shade(auroc, range)} ${auroc.toFixed(3)}`;
}

function intervalText({ low, high }: TransferEntry): string {
  return `${short(low)}–${short(high)}`;
}

function short(value: number): string {
  return value >= 0.995 ? '1.0' : value.toFixed(2).replace(/^0/, '');
}

/** Inside one checkpoint, against the same in random weights. */
function twinLines({ cells, entries }: TransferMatrix, width: number): string[] {
  const compared = entries.flatMap((row, i) =>
    row.flatMap(({ over_twin: over }, j) =>
      over === undefined ? [] : [{ from: cells[i], to: cells[j], over }],
    ),
  );
  if (compared.length === 0) return [];
  const columns: readonly Column<(typeof compared)[number]>[] = [
    { title: 'fitted on', cell: ({ from }) => nameOf(from) },
    { title: 'read on', cell: ({ to }) => nameOf(to) },
    {
      title: 'less random weights',
      cell: ({ over }) =>
        `${over.difference < 0 ? '' : '+'}${over.difference.toFixed(3)} [${over.low.toFixed(3)}, ${over.high.toFixed(3)}]`,
    },
  ];
  return ['', ...fittedTable(compared, columns, { width, keys: 2 }), ''];
}

function nameOf({ checkpoint, where }: TransferCell): string {
  return where === '' ? checkpoint : `${checkpoint} | ${where}`;
}
