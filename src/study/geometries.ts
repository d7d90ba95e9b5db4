/**
 * Do two checkpoints hold the same directions and subspaces, against directions that mean nothing?
 *
 * One site of two checkpoints is in memory at a time. Unaligned measures first, since both share axes.
 */

import { UserError } from '../base/errors.ts';
import { Random } from '../base/random.ts';
import type {
  DirectionAgreement,
  Geometry,
  GeometryPoint,
  Similarity,
  SubspaceAgreement,
} from '../contract/contrasts.ts';
import { parseSite } from '../graph/sites.ts';
import { quantile } from '../math/resample.ts';
import { rowAt, rowsOf, takeRows, type Rows } from '../math/rows.ts';
import { centred, cosine } from '../math/vectors.ts';
import { covarianceBands, isotropicBand } from '../../probes/bands.ts';
import {
  benignShift,
  cosineBand,
  isotropic,
  matched,
  randomDifference,
  shuffledDifference,
  type DirectionNull,
} from '../../probes/nulls.ts';
import {
  canonicalCorrelations,
  cka,
  ckaDebiased,
  compressed,
  factored,
  procrustes,
  rsa,
  svcca,
} from '../../probes/similarity.ts';
import {
  participationRatio,
  spectrumOf,
  whitenedCosine,
  type Spectrum,
} from '../../probes/spectrum.ts';
import {
  chanceOverlap,
  matchedOverlaps,
  principalAngles,
  subspaceDistances,
} from '../../probes/subspaces.ts';
import type { Run } from '../record/run.ts';
import { packageVersion } from '../record/versions.ts';
import { bySites, type Working } from './bySites.ts';
import { entryId, orNull, rowGroups, shiftsOf } from './contrasts.ts';
import { directionsOf, meanDifference, type LabelledRows } from './directions.ts';
import { sitesOfKind } from './chosen.ts';
import { isTrue, parseWhere } from './where.ts';

export interface GeometryRequest {
  readonly before: string;
  readonly after: string;
  readonly position: string;
  readonly siteKind: string;
  readonly where: string;
  readonly benign: string;
  /** Columns of 0 and 1, each a direction. */
  readonly labels: readonly string[];
  readonly groups: string;
  readonly draws: number;
  readonly seed: number;
}

interface Chosen extends LabelledRows {
  readonly index: readonly number[];
  readonly groups: readonly string[];
}

/** Leading components whose span is compared. */
const subspaceSize = 5;

/**
 * Evaluates one entry, site by site. Sites at which all rows are alike hold no directions and are left out: the
 * embedding of one token, and every site of a token before which all prompts are the same.
 *
 * @returns null where that leaves no site.
 */
export async function geometryOf(
  run: Run,
  request: GeometryRequest,
  working: Working<Geometry> = {},
): Promise<Geometry | null> {
  const { before, after, position, siteKind, where, labels, groups, draws, seed } = request;
  sitesOfKind(run, after, siteKind);
  const id = entryId(['geometry', `${before}-${after}`, position, siteKind], request);
  const chosen = chosenRows(run, request);
  const earlier = working.known?.find((one) => one.id === id && one.made_by === packageVersion());
  const sites =
    earlier?.points.map(({ site }) => site) ?? (await varyingSites(run, request, chosen));
  if (sites.length === 0) return null;
  const measure = async (site: string): Promise<GeometryPoint> => {
    const from = takeRows(await run.activations(before, site, position), chosen.index);
    const to = takeRows(await run.activations(after, site, position), chosen.index);
    const random = new Random(seed).fork('geometry', before, after, position, site);
    return geometryPoint(site, from, to, chosen, request, random);
  };
  const entryOf = (points: readonly GeometryPoint[]): Geometry => ({
    id,
    pair: `${before}..${after}`,
    position,
    site_kind: siteKind,
    where,
    labels,
    groups,
    draws,
    seed,
    points,
    made_by: packageVersion(),
  });
  return await bySites({ run, id, sites, measure, entryOf }, working);
}

/** The sites at which rows differ, before and after. */
async function varyingSites(
  run: Run,
  { before, after, position, siteKind }: GeometryRequest,
  { index }: Chosen,
): Promise<string[]> {
  const varies = async (name: string, site: string): Promise<boolean> => {
    const rows = await run.activations(name, site, position);
    const [first, ...others] = index.map((row) => rowAt(rows, row));
    return others.some((row) => row.some((value, j) => value !== first[j]));
  };
  const found: string[] = [];
  for (const site of sitesOfKind(run, before, siteKind)) {
    if ((await varies(before, site)) && (await varies(after, site))) found.push(site);
  }
  return found;
}

function chosenRows(run: Run, request: GeometryRequest): Chosen {
  const { position, where, benign, labels, groups } = request;
  const [isChosen, isBenign] = [parseWhere(where), parseWhere(benign)];
  const names = rowGroups(run, position, groups);
  const taken = run.rowsAt(position).filter(({ prompt }) => isChosen(run.prompts[prompt]));
  const prompts = taken.map(({ prompt }) => run.prompts[prompt]);
  if (taken.length < 4) {
    throw new UserError('LABELS_INVALID', `${taken.length} rows meet "${where}" at "${position}"`, {
      fix: 'Relax --where: geometry needs 4 rows at least.',
    });
  }
  const values = new Map(
    labels.map((label) => [label, Uint8Array.from(prompts, (p) => Number(isTrue(p, label)))]),
  );
  for (const [label, column] of values) {
    if (!column.includes(0) || !column.includes(1)) {
      throw new UserError(
        'LABELS_INVALID',
        `"${label}" takes one value in these rows: no direction`,
        {
          where: `--where "${where}"`,
          fix: 'Relax --where, or name other --labels.',
        },
      );
    }
  }
  return {
    index: taken.map(({ row }) => row),
    groups: taken.map(({ row }) => names[row]),
    isBenign: prompts.map((prompt) => benign !== '' && isBenign(prompt)),
    labels: values,
  };
}

function geometryPoint(
  site: string,
  before: Rows,
  after: Rows,
  chosen: Chosen,
  request: GeometryRequest,
  random: Random,
): GeometryPoint {
  const shifts = shiftsOf(
    before,
    after,
    chosen.index.map((_, i) => i),
  );
  const directions = directionsOf(before, after, shifts, chosen, request);
  const vectors = [...directions.values()];
  const pooled = spectrumOf(stacked(centred(before), centred(after)));
  const { plain, whitened } = covarianceBands(pooled, request.draws, random.fork('bands'));
  const matrix = (measure: (a: Float64Array, b: Float64Array) => number): (number | null)[][] =>
    vectors.map((a) => vectors.map((b) => orNull(measure(a, b))));
  return {
    site,
    layer: parseSite(site).block ?? 0,
    n: before.n,
    directions: [...directions.keys()],
    cosines: matrix(cosine),
    whitened: matrix((a, b) => whitenedCosine(pooled, a, b)),
    bands: {
      d: before.d,
      isotropic: isotropicBand(before.d),
      covariance: plain,
      covariance_whitened: whitened,
    },
    agreements: agreementsOf(before, after, shifts, chosen, request, random),
    subspaces: subspacesOf(spectrumOf(before), spectrumOf(after), before.n, request.draws, random),
    similarity: similarityOf(before, after),
  };
}

function agreementsOf(
  before: Rows,
  after: Rows,
  shifts: Rows,
  { labels, groups, isBenign }: Chosen,
  { draws }: GeometryRequest,
  random: Random,
): DirectionAgreement[] {
  const spectrum = spectrumOf(after);
  const benign = groups.flatMap((_, i) => (isBenign[i] ? [i] : []));
  return [...labels].map(([label, values]) => {
    const reference = meanDifference(before, values);
    const observed = cosine(reference, meanDifference(after, values));
    const families: [DirectionAgreement['nulls'][number]['family'], DirectionNull][] = [
      ['isotropic', isotropic(before.d)],
      ['covariance', matched(spectrum)],
      ['random difference', randomDifference(after, groups)],
      ['shuffled labels', shuffledDifference(after, values, groups)],
    ];
    if (benign.length > 0) {
      const names = benign.map((i) => groups[i]);
      families.push(['benign shift', benignShift(takeRows(shifts, benign), names, reference)]);
    }
    const nulls = families.flatMap(([family, draw]) => {
      const band = cosineBand(reference, observed, draw, draws, random.fork(label, family));
      return band === null ? [] : [{ family, ...band }];
    });
    return { label, cosine: orNull(observed), nulls };
  });
}

function subspacesOf(
  before: Spectrum,
  after: Spectrum,
  n: number,
  draws: number,
  random: Random,
): SubspaceAgreement {
  const { d } = before.axes;
  const k = Math.min(subspaceSize, n - 1, before.axes.n, after.axes.n);
  const leading = ({ axes }: Spectrum): Rows => rowsOf(k, d, axes.data.subarray(0, k * d));
  const angles = principalAngles(leading(before), leading(after));
  const overlaps = matchedOverlaps(leading(before), k, after, draws, random.fork('subspaces'));
  return {
    k,
    angles: [...angles],
    overlap: subspaceDistances(angles).overlap,
    chance: chanceOverlap(k, k, d),
    matched_p95: quantile(overlaps, 0.95),
    effective_dimension: participationRatio(after.variances),
  };
}

function similarityOf(before: Rows, after: Rows): Similarity {
  const [a, b] = [compressed(centred(before)), compressed(centred(after))];
  const [p, q] = [factored(a), factored(b)];
  return {
    cka: cka(a, b),
    cka_debiased: ckaDebiased(a, b),
    procrustes: procrustes(a, b).disparity,
    rsa: rsa(before, after).spearman,
    svcca: whereRowsSuffice(() => svcca(p, q).mean),
    pwcca: whereRowsSuffice(() => canonicalCorrelations(p, q).weighted),
  };
}

/** Canonical correlations refuse rows that are too few; a report says null for that. */
function whereRowsSuffice(measure: () => number): number | null {
  try {
    return measure();
  } catch (error) {
    if (error instanceof UserError && error.code === 'SHAPE_MISMATCH') return null;
    throw error;
  }
}

/** One matrix above the other. */
function stacked(a: Rows, b: Rows): Rows {
  const data = new Float64Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return rowsOf(a.n + b.n, a.d, data);
}
