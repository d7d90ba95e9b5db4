/** Which directions do two checkpoints hold at one site? By name, in the order of a report's matrices. */

import type { Rows } from '../math/rows.ts';
import { columnMeans } from '../math/vectors.ts';

export interface LabelledRows {
  readonly isBenign: readonly boolean[];
  /** Name of a column → 0 or 1 for each row. */
  readonly labels: ReadonlyMap<string, Uint8Array>;
}

/** Each label’s in either checkpoint, and the shift: of all rows, and where harmless ones are among them of both kinds. */
export function directionsOf(
  before: Rows,
  after: Rows,
  shifts: Rows,
  { labels, isBenign }: LabelledRows,
  names: { readonly before: string; readonly after: string },
): Map<string, Float64Array> {
  const directions = new Map<string, Float64Array>();
  for (const [label, values] of labels) {
    directions.set(`${label} in ${names.before}`, meanDifference(before, values));
    directions.set(`${label} in ${names.after}`, meanDifference(after, values));
  }
  directions.set('shift', columnMeans(shifts));
  const rows = (benign: boolean): number[] =>
    isBenign.flatMap((value, i) => (value === benign ? [i] : []));
  const [harmless, others] = [rows(true), rows(false)];
  if (harmless.length > 0 && others.length > 0) {
    const generic = columnMeans(shifts, harmless);
    const own = columnMeans(shifts, others);
    directions.set('shift of others', own);
    directions.set('shift of harmless', generic);
    directions.set(
      'residual shift',
      own.map((value, j) => value - generic[j]),
    );
  }
  return directions;
}

/** Mean of the rows labelled 1 less that of the others. Shape: `[n, d] → [d]`. */
export function meanDifference(rows: Rows, labels: Uint8Array): Float64Array {
  const side = (value: number): number[] => [...labels.keys()].filter((i) => labels[i] === value);
  const negative = columnMeans(rows, side(0));
  return columnMeans(rows, side(1)).map((value, j) => value - negative[j]);
}
