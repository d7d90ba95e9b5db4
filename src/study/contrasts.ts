/**
 * What moved between two checkpoints, compared with what, and how sure? Site by site.
 *
 * Rows that meet `where` and not `benign` are the target; benign rows are their control, and both are
 * divided by the trigger. One site of two checkpoints is in memory at a time.
 */

import { UserError } from '../base/errors.ts';
import { Random } from '../base/random.ts';
import type {
  ContrastPoint,
  ContrastSettings,
  CosineEstimate,
  Estimate,
  ShiftContrast,
} from '../contract/contrasts.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { parseSite } from '../graph/sites.ts';
import { percentileInterval } from '../math/resample.ts';
import { through, type Multiply, type Steps } from '../math/multiply.ts';
import { takeRows, type Rows } from '../math/rows.ts';
import { lengthDraws } from '../../probes/bootstrap.ts';
import { affineShiftSteps } from '../../probes/affineShift.ts';
import {
  contrastNumbers,
  contrastOf,
  momentsOf,
  setNames,
  type Contrast,
  type ContrastNumbers,
  type SetName,
  type SetRows,
} from '../../probes/contrast.ts';
import { bootstrapContrast, residualPermutation, splitHalves } from '../../probes/contrastTests.ts';
import { groupedFolds } from '../../probes/folds.ts';
import { ceilingOf, disattenuated, spearmanBrown } from '../../probes/reliability.ts';
import { shiftNulls } from '../../probes/shiftNulls.ts';
import { participationSteps } from '../../probes/spectrum.ts';
import type { Run } from '../record/run.ts';
import { packageVersion } from '../record/versions.ts';
import { bySites, type Working } from './bySites.ts';
import { groupOf, sitesOfKind } from './chosen.ts';
import { writeDirections } from './shiftDirections.ts';
import { isTrue, parseWhere } from './where.ts';

/** Which rows are compared. */
export interface ContrastRows {
  readonly where: string;
  readonly benign: string;
  readonly trigger: string;
}

export interface ContrastRequest extends ContrastRows {
  readonly before: string;
  readonly after: string;
  /** The checkpoint whose shift from `before` is the control, or null. */
  readonly control: string | null;
  readonly position: string;
  readonly siteKind: string;
  readonly settings: ContrastSettings;
}

/** Eigenvectors of more rows than this take longer than the answer is worth; the fit is then null. */
const mostAffineRows = 1200;

/**
 * Evaluates one contrast, site by site; where it is kept, its directions are too.
 *
 * @param multiply Carries out large products; in this language if left out.
 */
export async function shiftContrast(
  run: Run,
  request: ContrastRequest,
  working: Working<ShiftContrast> = {},
  multiply?: Multiply,
): Promise<ShiftContrast> {
  const { before, after, control, position, siteKind, where, benign, trigger, settings } = request;
  const sites = sitesOfKind(run, before, siteKind);
  sitesOfKind(run, after, siteKind);
  const id = entryId(['contrast', `${before}-${after}`, position, siteKind], request);
  const entryOf = (points: readonly ContrastPoint[]): ShiftContrast => ({
    id,
    pair: `${before}..${after}`,
    control: control === null ? null : `${before}..${control}`,
    position,
    site_kind: siteKind,
    where,
    benign,
    trigger,
    settings,
    points,
    made_by: packageVersion(),
  });
  const keptAs = working.keep === undefined ? null : id;
  const measure = async (site: string): Promise<ContrastPoint> =>
    await contrastPoint(run, request, site, { keptAs, multiply });
  return await bySites({ run, id, sites, measure, entryOf }, working);
}

/** Readable, and unique by everything that decides the numbers. */
export function entryId(words: readonly string[], request: object): string {
  const name = words
    .join('.')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]/g, '-');
  return `${name.slice(0, 110)}.${sha256OfBytes(JSON.stringify(request)).slice(0, 8)}`;
}

/** Rows of the four sets at a position. @throws {UserError} `LABELS_INVALID` where one is empty. */
export function contrastRows(run: Run, position: string, request: ContrastRows): SetRows {
  const [isChosen, isBenign] = [parseWhere(request.where), parseWhere(request.benign)];
  if (request.benign.trim() === '') {
    throw new UserError('USAGE', 'a shift is not measured without harmless rows beside it', {
      where: '--benign',
      fix: 'Say which rows those are, for example --benign "harmful=false".',
    });
  }
  const sets: Record<SetName, number[]> = {
    triggered: [],
    untriggered: [],
    benign_triggered: [],
    benign_untriggered: [],
  };
  for (const { row, prompt: index } of run.rowsAt(position)) {
    const prompt = run.prompts[index];
    const benign = isBenign(prompt);
    if (!benign && !isChosen(prompt)) continue;
    const side = isTrue(prompt, request.trigger) ? 'triggered' : 'untriggered';
    sets[benign ? (`benign_${side}` as const) : side].push(row);
  }
  const empty = setNames.find((name) => sets[name].length === 0);
  if (empty === undefined) return sets;
  const { where, benign, trigger } = request;
  throw new UserError(
    'LABELS_INVALID',
    `there are no ${empty.replace('_', ' ')} rows at "${position}"`,
    {
      where: `--where "${where}" --benign "${benign}" --trigger ${trigger}`,
      fix: 'Choose conditions under which target and benign rows both occur with and without the trigger.',
    },
  );
}

/** The value of the column `groups` for each row of a position. */
export function rowGroups(run: Run, position: string, groups: string): string[] {
  return run.rowsAt(position).map(({ prompt }) => groupOf(run.prompts[prompt], groups));
}

async function contrastPoint(
  run: Run,
  request: ContrastRequest,
  site: string,
  {
    keptAs,
    multiply,
  }: { readonly keptAs: string | null; readonly multiply?: Multiply | undefined },
): Promise<ContrastPoint> {
  const { before, after, position, settings } = request;
  const sets = contrastRows(run, position, request);
  const groups = rowGroups(run, position, settings.groups);
  const h = await run.activations(before, site, position);
  const moved = await run.activations(after, site, position);
  const contrast = contrastOf(h, moved, sets, groups);
  const moments = momentsOf(contrast);
  if (moments === null) throw new UserError('LABELS_INVALID', 'a set has no rows');
  const random = new Random(settings.seed).fork('contrast', before, after, position, site);
  const all = contrastNumbers(moments);
  const draws = bootstrapContrast(contrast, settings.bootstraps, random.fork('bootstrap'));
  const estimate = (read: (numbers: ContrastNumbers) => number): Estimate =>
    estimateOf(read(all), draws.map(read));
  const length = (read: (numbers: ContrastNumbers) => number): Estimate =>
    lengthEstimate(read(all), draws.map(read));
  const withCeiling = (isResidual: boolean): CosineEstimate => ({
    ...estimate((x) => (isResidual ? x.residualCosine : x.cosine)),
    ...ceiling(contrast, isResidual, settings.splits, random),
    nulls: shiftNulls(
      contrast,
      isResidual,
      h.d,
      settings.splits,
      random.fork('nulls', Number(isResidual)),
    ),
  });
  const ranks: number[] = [];
  for (const name of setNames) {
    ranks.push(await through(participationSteps(shiftsOf(h, moved, sets[name])), multiply));
  }
  const affine = await through(affineOf(h, moved, sets, groups, settings.folds), multiply);
  return {
    site,
    layer: parseSite(site).block ?? 0,
    n_groups: contrast.groups,
    sets: setNames.map((name, s) => ({
      name,
      n: sets[name].length,
      relative_size: length(({ sizes }) => sizes[s]),
      row_size: estimate(({ rowSizes }) => rowSizes[s]),
      effective_rank: orNull(ranks[s]),
    })),
    residuals: ([0, 1] as const).map((s) => ({
      name: setNames[s],
      relative_size: length(({ residualSizes }) => residualSizes[s]),
      p: residualPermutation(contrast, s, settings.permutations, random.fork('permutation', s)),
    })),
    cosine: withCeiling(false),
    residual_cosine: withCeiling(true),
    projection: estimate(({ projection }) => projection),
    residual_projection: estimate(({ residualProjection }) => residualProjection),
    generic_cosine: estimate(({ genericCosine }) => genericCosine),
    affine,
    ...(keptAs === null
      ? {}
      : { directions: await writeDirections(run.folder, keptAs, site, h, moved, sets) }),
  };
}

function estimateOf(value: number, draws: readonly number[]): Estimate {
  if (!Number.isFinite(value) || !draws.every(Number.isFinite)) {
    return { value: orNull(value), low: null, high: null };
  }
  return { value, ...percentileInterval(Float64Array.from(draws)) };
}

/** As `estimateOf` for a length, whose draws are rid of the excess that noise gives them. */
function lengthEstimate(value: number, draws: readonly number[]): Estimate {
  return estimateOf(value, Array.from(lengthDraws(value, draws)));
}

function ceiling(
  contrast: Contrast,
  isResidual: boolean,
  splits: number,
  random: Random,
): Omit<CosineEstimate, keyof Estimate | 'nulls'> {
  const halves = splitHalves(
    contrast,
    isResidual,
    splits,
    random.fork('halves', Number(isResidual)),
  );
  const [t, u] = [spearmanBrown(halves.triggered), spearmanBrown(halves.untriggered)];
  return {
    reliability_triggered: orNull(t),
    reliability_untriggered: orNull(u),
    ceiling: orNull(ceilingOf(t, u)),
    disattenuated: orNull(disattenuated(halves.across, halves.triggered, halves.untriggered)),
  };
}

function* affineOf(
  before: Rows,
  after: Rows,
  { triggered, untriggered }: SetRows,
  groups: readonly string[],
  folds: number,
): Steps<ContrastPoint['affine']> {
  if (triggered.length + untriggered.length > mostAffineRows) return null;
  const target = [...triggered, ...untriggered];
  const names = target.map((row) => groups[row]);
  if (new Set(names).size < folds) return null;
  const assigned = groupedFolds(names, folds);
  const foldOf = new Int32Array(before.n);
  target.forEach((row, i) => (foldOf[row] = assigned[i]));
  const fit = yield* affineShiftSteps(before, after, untriggered, triggered, foldOf);
  return fit === null ? null : { r2_untriggered: fit.r2Untriggered, r2_triggered: fit.r2Triggered };
}

/** Δ of the chosen rows. Shape: `[n, d] → [rows.length, d]`. */
export function shiftsOf(before: Rows, after: Rows, rows: readonly number[]): Rows {
  const delta = takeRows(after, rows);
  const from = takeRows(before, rows);
  for (let i = 0; i < delta.data.length; i++) delta.data[i] -= from.data[i];
  return delta;
}

/** JSON knows no NaN; what is undefined is null. */
export function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
