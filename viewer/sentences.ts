/**
 * Says in words what a plot shows, from the numbers that it is drawn from.
 *
 * The sentences are the plot's description for those who do not see it, and they say what a reader
 * in a hurry would overlook: a curve at its ceiling, a twin that is as good, a peak picked after the
 * fact.
 */

import type { ProbeCurve, ProbePoint, Projection, Report } from '../src/contract/report.ts';
import { count, fixed, list, percent, ranges, withInterval } from './format.ts';
import type { Question, Scene } from './model.ts';
import { arrow } from './model.ts';
import type { Region } from './regions.ts';

/** At or above this, an area under the curve can tell nothing apart any more. */
const ceiling = 0.999;

export const estimatorWords: Readonly<Record<ProbeCurve['estimator'], string>> = {
  logistic: 'logistic regression',
  mean_difference: 'difference of means',
  lda: 'linear discriminant',
  ridge: 'ridge regression',
  nearest_centroid: 'nearest centroid',
  contrast_pair: 'contrast pairs',
  lat: 'LAT reader',
  attention_pool: 'attention over all tokens',
};

/** What its baselines say of each curve; one sentence for all checkpoints of which the same is true. */
function remarkSentences(curves: readonly ProbeCurve[]): string[] {
  const places = new Map<string, string[]>();
  for (const { checkpoint, remarks = [] } of curves) {
    for (const remark of remarks) places.set(remark, [...(places.get(remark) ?? []), checkpoint]);
  }
  return (
    [...places]
      // Said in words of their own above and below.
      .filter(([remark]) => !/saturation|^it is told apart/.test(remark))
      .map(([remark, checkpoints]) => `In ${list(checkpoints)} ${remark}.`)
  );
}

/** What the layer curve shows. */
export function curveSentences(question: Question, report: Report): string[] {
  const twins = new Set(report.run.checkpoints.filter((c) => c.is_twin).map(({ name }) => name));
  const drawn = question.curves.filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return ['This question has no points.'];
  const trained = drawn.filter(({ checkpoint }) => !twins.has(checkpoint));
  return [
    peakSentence(trained.length > 0 ? trained : drawn),
    ...nullSentences(drawn),
    ...remarkSentences(drawn),
    ...ceilingSentences(trained),
    ...twinSentences(drawn, trained, twins),
  ];
}

function peakSentence(curves: readonly ProbeCurve[]): string {
  const peaks = curves.map((curve) => {
    const peak = highest(curve.points);
    return `${curve.checkpoint} ${withInterval(peak.auroc, peak.low, peak.high)} at layer ${peak.layer}`;
  });
  const { n, n_groups: groups } = curves[0].points[0];
  return `Highest AUROC: ${list(peaks)} (n = ${count(n)} rows in ${count(groups)} groups). A highest point is picked after looking, so its interval is too narrow.`;
}

/** At which a reading over all sites of its curve is told apart from those of shuffled labels. */
const alpha = 0.05;

/**
 * By the largest reading over the curve's sites, as the command line judges it; where a report does not know that, by
 * the intervals, in words of its own.
 */
function nullSentences(curves: readonly ProbeCurve[]): string[] {
  const high = Math.max(...curves.flatMap(({ points }) => points.map((point) => point.null.high)));
  const band = `With shuffled labels 95 % of runs stay below ${fixed(high)}`;
  const isJudged = curves.every(({ points }) =>
    points.every((point) => point.null.p_adjusted !== undefined),
  );
  const inside = curves.flatMap((curve) => {
    const layers = curve.points
      .filter((point) =>
        isJudged ? (point.null.p_adjusted ?? 1) > alpha : point.low <= point.null.high,
      )
      .map(({ layer }) => layer);
    if (layers.length === 0) return [];
    const where = layers.length === curve.points.length ? 'all layers' : layerWords(layers);
    return [`${curve.checkpoint} (${where})`];
  });
  if (isJudged) {
    return inside.length === 0
      ? [`${band}; every layer is told apart from them (max-T over the sites of each curve, 5 %).`]
      : [
          `${band}. Not told apart from shuffled labels (max-T over the sites of each curve, 5 %): ${list(inside)}.`,
        ];
  }
  if (inside.length === 0) return [`${band}; every interval lies above its own null band.`];
  return [`${band}. The interval reaches into its null band: ${list(inside)}.`];
}

function ceilingSentences(curves: readonly ProbeCurve[]): string[] {
  const full = curves.filter(({ points }) => points.every(({ auroc }) => auroc >= ceiling));
  if (full.length === 0) return [];
  const names = list(full.map(({ checkpoint }) => checkpoint));
  return [
    `Saturated: AUROC is ${fixed(ceiling)} or more at every layer in ${names}. Such a curve cannot rank layers or checkpoints, and a label that is read from the first layer on may be read from the prompt's tokens alone.`,
  ];
}

function twinSentences(
  drawn: readonly ProbeCurve[],
  trained: readonly ProbeCurve[],
  twins: ReadonlySet<string>,
): string[] {
  return drawn
    .filter(({ checkpoint }) => twins.has(checkpoint))
    .flatMap((twin) => {
      const layers = twin.points
        .filter(({ layer, auroc }) => trained.some((curve) => reaches(curve, layer, auroc)))
        .map(({ layer }) => layer);
      if (layers.length === 0) return [];
      const where = layers.length === twin.points.length ? 'every layer' : layerWords(layers);
      return [
        `${twin.checkpoint} has random weights and reads the label as well as a trained checkpoint at ${where}: there the probe shows what the tokens give away, not what training made.`,
      ];
    });
}

/** Whether random weights reach the trained curve's interval, above chance. */
function reaches(curve: ProbeCurve, layer: number, auroc: number): boolean {
  const point = curve.points.find((of) => of.layer === layer);
  return point !== undefined && auroc >= point.low && point.low > point.null.high;
}

/** Mean shift of a set of rows in the plane. */
export interface MeanShift {
  readonly name: string;
  readonly n: number;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  /** About `to`, of the mean shift; null where groups are too few. */
  readonly region?: Region | null;
  /** Share of the rows' squared shifts that lies in the plane; null where it is not known. */
  readonly inPlane?: number | null;
}

/** What the plane shows. */
export function planeSentences(scene: Scene, means: readonly MeanShift[]): string[] {
  const { projection, pair } = scene;
  if (projection === null) return [];
  const share =
    projection.pair === pair
      ? `${percent(projection.in_plane)} of the squared shift ${arrow(pair)} lies in this plane; the rest is not seen here.`
      : `The plane was made for ${arrow(projection.pair)}; how much of the shift ${arrow(pair)} it shows is not known.`;
  if (means.length === 0) return [share];
  const sizes = means.map(
    (mean) => `${mean.name} ${fixed(length(mean), 2)} (n = ${count(mean.n)})`,
  );
  const parts = [share, `Length of the mean shift in the plane: ${list(sizes)}.`];
  if (means.length === 2 && means.every((mean) => length(mean) > 0)) {
    parts.push(`The two mean shifts point ${fixed(angle(means[0], means[1]), 0)}° apart.`);
  }
  return parts;
}

/** "PCs of pooled a + b, n = 320 rows each, EV 31 % + 12 %". */
export function basisText(projection: Projection): string {
  const [x = 0, y = 0] = projection.explained;
  return `${basisName(projection)}, n = ${count(projection.rows)} rows each, EV ${percent(x)} + ${percent(y)}`;
}

/** What the axes were fitted on. */
function basisName({ pair, basis }: Projection): string {
  const both = pair.replace('..', ' + ');
  return basis === 'temporal'
    ? `temporal PCs of ${both} and their shifts`
    : `PCs of pooled ${both}`;
}

/** What the shift curves show at the chosen layer. */
export function shiftSentences(scene: Scene): string[] {
  const parts = scene.shifts.flatMap((shift) => {
    const point = shift.points.find(({ layer }) => layer === scene.layer);
    if (point === undefined || point.sets.length === 0) return [];
    const sets = point.sets.toSorted((a, b) => b.relative_size - a.relative_size);
    const [most] = sets;
    const least = sets.at(-1) ?? most;
    return [
      `${arrow(shift.pair)} moves “${most.name}” most, by ${withInterval(most.relative_size, most.low, most.high)} of its size before, and “${least.name}” least, by ${withInterval(least.relative_size, least.low, least.high)}.`,
    ];
  });
  return parts.length === 0 ? [] : [`At layer ${scene.layer}: ${parts.join(' ')}`];
}

function highest(points: readonly ProbePoint[]): ProbePoint {
  return points.reduce((best, point) => (point.auroc > best.auroc ? point : best));
}

function layerWords(layers: readonly number[]): string {
  return `${layers.length === 1 ? 'layer' : 'layers'} ${ranges(layers)}`;
}

/** Length of a mean shift, in the plane. */
export function length({ from, to }: MeanShift): number {
  return Math.hypot(to[0] - from[0], to[1] - from[1]);
}

function angle(a: MeanShift, b: MeanShift): number {
  const turn =
    Math.atan2(a.to[1] - a.from[1], a.to[0] - a.from[0]) -
    Math.atan2(b.to[1] - b.from[1], b.to[0] - b.from[0]);
  return Math.abs(Math.atan2(Math.sin(turn), Math.cos(turn))) * (180 / Math.PI);
}
