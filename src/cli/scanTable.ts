/** What detectors without labels would have found, in the terminal: one line a detector, site and checkpoint. */

import type { Detection, DetectorScan } from '../contract/readings.ts';
import { fittedTable, shade, shadeLegend, type Column } from './tables.ts';

const range = { low: 0.5, high: 1 };

interface Line {
  readonly scan: DetectorScan;
  readonly found: Detection;
}

const columns: readonly Column<Line>[] = [
  { title: 'checkpoint', cell: ({ scan }) => scan.checkpoint },
  { title: 'site', cell: ({ scan }) => scan.site },
  { title: 'detector', cell: ({ found }) => found.detector.replaceAll('_', ' ') },
  {
    title: 'AUROC [95 %]',
    cell: ({ found: { auroc, low, high } }) =>
      `${shade(auroc, range)} ${auroc.toFixed(3)} [${low.toFixed(2)}, ${high.toFixed(2)}]`,
  },
  {
    title: 'TPR at 1 % FPR',
    cell: ({ found }) => {
      const { rate, low, high } = found.at_1_percent_fpr.tpr;
      return `${rate.toFixed(3)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
    },
  },
];

/** @param width Columns of the terminal; a wider table is set in blocks. */
export function scanLines(scans: readonly DetectorScan[], width: number): string[] {
  const subjects = new Map<string, DetectorScan[]>();
  for (const scan of scans) {
    const name = subjectOf(scan);
    subjects.set(name, [...(subjects.get(name) ?? []), scan]);
  }
  return [
    ...Array.from(subjects, ([name, own]) => [
      name,
      ...fittedTable(linesOf(own), columns, { width, keys: 3 }),
      '',
      ...fittedTable(own, clusterColumns, { width, keys: 2 }),
      '',
    ]).flat(),
    `shades: ${shadeLegend(range)}; rates with Clopper–Pearson intervals; two clusters always exist, and`,
    'a silhouette that clean rows alone reach says nothing of suspects',
  ];
}

const clusterColumns: readonly Column<DetectorScan>[] = [
  { title: 'checkpoint', cell: ({ checkpoint }) => checkpoint },
  { title: 'site', cell: ({ site }) => site },
  { title: 'silhouette', cell: ({ clusters }) => clusters.silhouette.toFixed(2), align: 'right' },
  {
    title: 'of clean rows',
    cell: ({ clusters }) => clusters.clean_silhouette.toFixed(2),
    align: 'right',
  },
  { title: 'smaller cluster', cell: ({ clusters }) => clusters.smaller.toFixed(2), align: 'right' },
];

function linesOf(scans: readonly DetectorScan[]): Line[] {
  return scans.flatMap((scan) => scan.detections.map((found) => ({ scan, found })));
}

function subjectOf({ label, where, position, ...n }: DetectorScan): string {
  const subject = where === '' ? label : `${label} | ${where}`;
  return `${subject} at ${position}: ${n.n_suspect} suspects against ${n.n_clean} clean rows, ${n.n_reference} others as reference`;
}
