/** What detectors without labels would have found, in the terminal: one line a site and checkpoint. */

import type { Detection, DetectorScan } from '../contract/readings.ts';
import { fittedTable, shade, shadeLegend, type Column } from './tables.ts';

const range = { low: 0.5, high: 1 };

/** @param width Columns of the terminal; a wider table is set in blocks. */
export function scanLines(scans: readonly DetectorScan[], width: number): string[] {
  const detectors = [
    ...new Set(scans.flatMap(({ detections }) => detections.map(({ detector }) => detector))),
  ];
  const columns: readonly Column<DetectorScan>[] = [
    { title: 'checkpoint', cell: ({ checkpoint }) => checkpoint },
    { title: 'site', cell: ({ site }) => site },
    { title: 'suspects', cell: subjectOf },
    ...detectors.map((detector) => ({
      title: detector.replaceAll('_', ' '),
      cell: (scan: DetectorScan) => areaText(scan, detector),
    })),
    { title: 'silhouette (clean)', cell: silhouetteText },
    { title: 'clean', cell: ({ n_clean: n }) => String(n), align: 'right' },
    { title: 'suspect', cell: ({ n_suspect: n }) => String(n), align: 'right' },
  ];
  const rates: readonly Column<DetectorScan>[] = [
    ...columns.slice(0, 3),
    ...detectors.map((detector) => ({
      title: detector.replaceAll('_', ' '),
      cell: (scan: DetectorScan) => rateText(scan, detector),
    })),
  ];
  return [
    'AUROC of suspects against clean rows that made no reference [95 % over groups]:',
    ...fittedTable(scans, columns, { width, keys: 3 }),
    '',
    'share of suspects above the threshold that 1 % of clean rows exceed (Clopper–Pearson):',
    ...fittedTable(scans, rates, { width, keys: 3 }),
    '',
    `shades: ${shadeLegend(range)}`,
  ];
}

function subjectOf({ label, where, position }: DetectorScan): string {
  return `${where === '' ? label : `${label} | ${where}`} at ${position}`;
}

function found(scan: DetectorScan, wanted: string): Detection | undefined {
  return scan.detections.find(({ detector }) => detector === wanted);
}

function areaText(scan: DetectorScan, detector: string): string {
  const one = found(scan, detector);
  if (one === undefined) return '';
  const { auroc, low, high } = one;
  return `${shade(auroc, range)} ${auroc.toFixed(3)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
}

function rateText(scan: DetectorScan, detector: string): string {
  const one = found(scan, detector);
  if (one === undefined) return '';
  const { rate, low, high } = one.at_1_percent_fpr.tpr;
  return `${rate.toFixed(3)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
}

function silhouetteText({ clusters }: DetectorScan): string {
  return `${clusters.silhouette.toFixed(2)} (${clusters.clean_silhouette.toFixed(2)})`;
}
