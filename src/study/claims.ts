/**
 * What may be said of curves that are looked at together? Words made of their numbers and of nothing else.
 *
 * Whoever looks at many sites, checkpoints and baselines finds something. So what is printed together is one
 * family: a site counts as told apart from shuffled labels by the largest reading over all its sites (max-T),
 * and as better than another reading of the same rows only if it is told apart, and by Holm's rule over all
 * comparisons. Where there is nothing to find, a report says so in 95 of 100 cases, however long it is.
 */

import type { Margin, ProbeCurve, ProbePoint } from '../contract/report.ts';
import { commonMaxima, familyP } from '../../probes/families.ts';
import { holm } from '../../probes/multiplicity.ts';

/** The rate at which a whole family says something of nothing. */
const alpha = 0.05;

/** Above this everywhere a curve decides nothing: there is no room in which sites could differ. */
export const saturated = 0.999;

export interface Claims {
  /** Smallest over sites, corrected for all sites of all curves; null where the shuffles were not kept. */
  readonly p: number | null;
  /** Whether each site is told apart from shuffled labels; empty where the shuffles were not kept. */
  readonly toldAt: readonly boolean[];
  /** Comparisons with other readings that it wins. */
  readonly wins: number;
  readonly remarks: readonly string[];
}

/** @param curves One family, in the order of the answer. */
export function claimsOf(curves: readonly ProbeCurve[]): Claims[] {
  const kept = curves.flatMap(({ null_maxima: maxima }) => (maxima === undefined ? [] : [maxima]));
  const maxima = kept.length === 0 ? [] : commonMaxima(kept);
  const pAt = ({ null: { z } }: ProbePoint): number | null =>
    z === undefined || kept.length === 0 ? null : familyP(z, maxima);
  // Too few shuffles can tell nothing apart; then Holm's rule alone guards the comparisons.
  const canTell = 1 / (1 + maxima.length) <= alpha;
  const beats = winners(curves, (point) => !canTell || (pAt(point) ?? 0) <= alpha);
  return curves.map((curve) => {
    const ps = curve.points.map(pAt).filter((p) => p !== null);
    const toldAt = ps.map((p) => p <= alpha);
    const told = toldAt.filter((is) => is).length;
    return {
      p: ps.length === 0 ? null : Math.min(...ps),
      toldAt,
      wins: marginsOf(curve).filter((margin) => beats.has(margin)).length,
      remarks: [
        ...(ps.length === 0 ? [] : toldRemarks(told, ps.length, canTell ? null : maxima.length)),
        ...rivalRemarks(curve, beats),
        ...luckRemarks(curve),
        ...ceilingRemarks(curve),
      ],
    };
  });
}

/** The comparisons that hold, of all in the family. */
function winners(
  curves: readonly ProbeCurve[],
  isTold: (point: ProbePoint) => boolean,
): ReadonlySet<Margin> {
  const all = curves.flatMap(({ points }) =>
    points.flatMap((point) => (point.over ?? []).map((margin) => ({ point, margin }))),
  );
  const adjusted = holm(all.map(({ margin }) => margin.p));
  const won = all.filter(
    ({ point, margin }, i) => adjusted[i] <= alpha && margin.difference > 0 && isTold(point),
  );
  return new Set(won.map(({ margin }) => margin));
}

function toldRemarks(told: number, sites: number, tooFew: number | null): string[] {
  if (tooFew !== null) return [`${tooFew} shuffles are too few to tell it apart from them at 5 %`];
  if (told === sites) return [];
  if (told === 0) return ['it is told apart from shuffled labels at no site'];
  return [`it is told apart from shuffled labels at only ${told} of ${sites} sites`];
}

const titles: Readonly<Record<Margin['baseline'], string>> = {
  prompt_length: 'the length of the prompt',
  bag_of_words: 'a bag of the prompt’s words',
  embedding: 'the embedding layer',
  mean_of_tokens: 'the mean of the tokens',
  random_weights: 'the same probe on random weights',
};

function rivalRemarks(curve: ProbeCurve, beats: ReadonlySet<Margin>): string[] {
  const { baselines = [] } = curve;
  const margins = marginsOf(curve);
  const names = [...new Set(margins.map(({ baseline }) => baseline))];
  return names.flatMap((name) => {
    const own = margins.filter(({ baseline }) => baseline === name);
    const won = own.filter((margin) => beats.has(margin)).length;
    if (won === own.length) return [];
    const areas = own.map(({ auroc }) => auroc ?? baselines.find((b) => b.name === name)?.auroc);
    const where = won === 0 ? 'at no site' : `at only ${won} of ${own.length} sites`;
    return [`it beats ${titles[name]} (AUROC ${spanOf(areas)}) ${where}`];
  });
}

function marginsOf({ points }: ProbeCurve): readonly Margin[] {
  return points.flatMap(({ over = [] }) => over);
}

function luckRemarks({ points }: ProbeCurve): string[] {
  const lucky = points.flatMap(({ auroc, random_directions: drawn }) =>
    drawn !== undefined && auroc <= drawn.best ? [drawn] : [],
  );
  if (lucky.length === 0) return [];
  const best = Math.max(...lucky.map((drawn) => drawn.best));
  return [
    `at ${lucky.length} of ${points.length} sites the best of ${lucky[0].count} random directions reads as much (up to ${best.toFixed(3)})`,
  ];
}

function ceilingRemarks({ points }: ProbeCurve): string[] {
  return points.every(({ auroc }) => auroc >= saturated)
    ? [`it is read at ${saturated} or more everywhere: that is saturation and decides nothing`]
    : [];
}

function spanOf(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return 'unknown';
  const [low, high] = [Math.min(...known).toFixed(3), Math.max(...known).toFixed(3)];
  return low === high ? low : `${low}–${high}`;
}
