/** Sites × positions: where did target rows move further than benign ones? One family of tests. */

import type { ShouldStop } from '../base/progress.ts';
import { Random } from '../base/random.ts';
import type { ShiftMap, ShiftMapCell } from '../contract/contrasts.ts';
import { parseSite } from '../graph/sites.ts';
import { rowAt, type Rows } from '../math/rows.ts';
import { norm } from '../math/vectors.ts';
import { distinctGroups } from '../../probes/folds.ts';
import { sizeMap, type CellSides } from '../../probes/sizeMap.ts';
import type { Run } from '../record/run.ts';
import { contrastRows, entryId, rowGroups, type ContrastRows } from './contrasts.ts';
import { sitesOfKind } from './chosen.ts';
import { endedEarly } from './curves.ts';

export interface ShiftMapRequest extends ContrastRows {
  readonly before: string;
  readonly after: string;
  readonly positions: readonly string[];
  readonly siteKind: string;
  readonly groups: string;
  readonly permutations: number;
  readonly seed: number;
}

const targets = ['triggered', 'untriggered'] as const;

export async function shiftMap(
  run: Run,
  request: ShiftMapRequest,
  shouldStop: ShouldStop = () => false,
): Promise<ShiftMap> {
  const { before, after, positions, siteKind, groups, permutations, seed } = request;
  const { where, benign, trigger } = request;
  const names = distinctGroups(positions.flatMap((position) => rowGroups(run, position, groups)));
  const indexOf = new Map(names.map((name, i) => [name, i]));
  const cells: CellSides[] = [];
  const places: Pick<ShiftMapCell, 'site' | 'layer' | 'position' | 'set'>[] = [];
  for (const position of positions) {
    const sets = contrastRows(run, position, request);
    const group = rowGroups(run, position, groups).map((name) => indexOf.get(name) ?? 0);
    for (const site of sitesOfKind(run, before, siteKind)) {
      if (shouldStop()) throw endedEarly();
      const sizes = relativeSizes(
        await run.activations(before, site, position),
        await run.activations(after, site, position),
      );
      for (const set of targets) {
        const means = (rows: readonly number[]): Float64Array =>
          groupMeans(rows, sizes, group, names.length);
        cells.push({ target: means(sets[set]), benign: means(sets[`benign_${set}`]) });
        places.push({ site, layer: parseSite(site).block ?? 0, position, set });
      }
    }
  }
  const random = new Random(seed).fork('map', before, after, siteKind);
  const results = sizeMap(cells, permutations, random);
  return {
    id: entryId(['map', `${before}-${after}`, siteKind], request),
    pair: `${before}..${after}`,
    site_kind: siteKind,
    where,
    benign,
    trigger,
    groups,
    permutations,
    seed,
    cells: places.map((place, i) => ({
      ...place,
      n_groups: results[i].nTarget,
      n_benign_groups: results[i].nBenign,
      size: results[i].target,
      benign_size: results[i].benign,
      t: results[i].t,
      p: results[i].p,
      p_adjusted: results[i].pAdjusted,
      q: results[i].q,
    })),
  };
}

/** ‖Δ‖ / ‖h before‖ of each row. Shape: `[n, d], [n, d] → [n]`. */
function relativeSizes(before: Rows, after: Rows): Float64Array {
  return Float64Array.from({ length: before.n }, (_, i) => {
    const [from, to] = [rowAt(before, i), rowAt(after, i)];
    let squares = 0;
    for (let j = 0; j < from.length; j++) squares += (to[j] - from[j]) ** 2;
    return Math.sqrt(squares) / norm(from);
  });
}

function groupMeans(
  rows: readonly number[],
  values: Float64Array,
  group: readonly number[],
  groups: number,
): Float64Array {
  const [sums, counts] = [new Float64Array(groups), new Float64Array(groups)];
  for (const row of rows) {
    sums[group[row]] += values[row];
    counts[group[row]]++;
  }
  return sums.map((sum, g) => (counts[g] === 0 ? Number.NaN : sum / counts[g]));
}
