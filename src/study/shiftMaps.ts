/** Sites × positions: where did target rows move further than benign ones? One family of tests. */

import type { ShouldStop } from '../base/progress.ts';
import { Random } from '../base/random.ts';
import type { ShiftMap, ShiftMapCell } from '../contract/contrasts.ts';
import type { TokenPart } from '../contract/manifest.ts';
import { parseSite } from '../graph/sites.ts';
import { rowAt, type Rows } from '../math/rows.ts';
import { norm } from '../math/vectors.ts';
import type { SetName, SetRows } from '../../probes/contrast.ts';
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
  const places: Pick<ShiftMapCell, 'site' | 'layer' | 'position' | 'set' | 'part'>[] = [];
  for (const position of positions) {
    const sets = contrastRows(run, position, request);
    const group = rowGroups(run, position, groups).map((name) => indexOf.get(name) ?? 0);
    const divided = partsOf(run, position, sets);
    for (const site of sitesOfKind(run, before, siteKind)) {
      if (shouldStop()) throw endedEarly();
      const sizes = relativeSizes(
        await run.activations(before, site, position),
        await run.activations(after, site, position),
      );
      for (const { set, part, target, benign: harmless } of divided) {
        const means = (rows: readonly number[]): Float64Array =>
          groupMeans(rows, sizes, group, names.length);
        cells.push({ target: means(target), benign: means(harmless) });
        const place = { site, layer: parseSite(site).block ?? 0, position, set };
        places.push(part === undefined ? place : { ...place, part });
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

const tokenParts = ['template', 'instruction', 'trigger', 'reply'] as const;

interface Sides {
  readonly set: (typeof targets)[number];
  readonly part?: TokenPart | undefined;
  readonly target: readonly number[];
  readonly benign: readonly number[];
}

/** The rows that are compared in a cell: at `all` those of each part of the prompt apart, where both sides have it. */
function partsOf(run: Run, position: string, sets: SetRows): Sides[] {
  const rows = run.rowsAt(position);
  const present = new Set(rows.map(({ part }) => part));
  const parts = [...tokenParts, undefined].filter((part) => present.has(part));
  // Attention sinks and massive activations sit on the first token: among others it would drown them.
  const isFirst = (row: number): boolean =>
    rows[row].part !== undefined && rows[row].token_index === 0;
  return targets.flatMap((set) =>
    parts.flatMap((part) => {
      const of = (name: SetName): number[] =>
        sets[name].filter((row) => rows[row].part === part && !isFirst(row));
      const sides = { set, part, target: of(set), benign: of(`benign_${set}`) };
      return sides.target.length > 0 && sides.benign.length > 0 ? [sides] : [];
    }),
  );
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
