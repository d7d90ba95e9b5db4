/**
 * Where can a label be read? One probe, fitted anew at each site of a run: the layer curve.
 *
 * Folds are made of all prompts of the run, so that curves on subsets of it are tested on the same
 * groups, and a group is never on both sides.
 */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { ShouldStop } from '../base/progress.ts';
import type { EstimatorName } from '../contract/readings.ts';
import type { NestedPoint, ProbeCurve } from '../contract/report.ts';
import { writeFileAtomic } from '../files/atomic.ts';
import { through, type Multiply } from '../math/multiply.ts';
import { takeRows } from '../math/rows.ts';
import { NestedChoice, type Offer } from '../../probes/nested.ts';
import { hasPenalty } from '../../probes/probe.ts';
import type { Run } from '../record/run.ts';
import { packageVersion } from '../record/versions.ts';
import { promptBaselines, scored, type ScoredBaseline } from './baselines.ts';
import {
  chosenPrompts,
  chosenRows,
  sitesOfKind,
  twinOf,
  type ChosenRows,
  type RowsRequest,
} from './chosen.ts';
import { claimsOf } from './claims.ts';
import { entryId } from './ids.ts';
import { asFamily, judgeSite, materialOf, type JudgedSite, type Material } from './points.ts';
import { encodeProbe } from './probeFile.ts';

export interface CurveRequest extends RowsRequest {
  readonly checkpoint: string;
  readonly siteKind: string;
  readonly estimator: EstimatorName;
  readonly c: number;
  readonly standardise: boolean;
  readonly intercept: boolean;
  readonly shuffles: number;
  readonly seed: number;
}

/** What prompts give away is the same for all checkpoints: found once for the curves of a command. */
export type PromptBaselines = Map<string, ScoredBaseline[]>;

export interface CurveOptions {
  /** Words, length, embedding layer and random directions beside each point; true if left out. */
  readonly baselines?: boolean;
  /** The control task beside each point; false if left out. */
  readonly control?: boolean;
  /** The online code of the labels at each point; false if left out. */
  readonly onlineCode?: boolean;
  /** Choose the site, and C where there is one, inside each fold's training rows; false if left out. */
  readonly nested?: boolean;
  /** Filled by the first curve on some rows, and read by the others. */
  readonly promptBaselines?: PromptBaselines | undefined;
  /** Curves of earlier commands; one with the same id, made by this version, is taken as it is. */
  readonly known?: readonly ProbeCurve[];
  readonly shouldStop?: ShouldStop;
  /** Told after each site, of a known curve as well. */
  readonly onSite?: (site: string) => void;
  /** Carries out large products; in this language if left out. */
  readonly multiply?: Multiply | undefined;
}

/** Evaluates one curve and saves its probes under `probes/`. */
export async function probeCurve(
  run: Run,
  request: CurveRequest,
  options: CurveOptions = {},
): Promise<ProbeCurve> {
  const { known = [], shouldStop = () => false, onSite = () => undefined } = options;
  const sites = sitesOfKind(run, request.checkpoint, request.siteKind);
  const chosen = rowsFor(run, request);
  const id = curveId(request);
  const before = known.find((curve) => curve.id === id);
  if (before !== undefined && isAnswer(before, sites.length, options)) {
    sites.forEach(onSite);
    return before;
  }
  const baselines =
    options.baselines === false ? [] : await baselinesOf(run, request, chosen, options);
  const judged: JudgedSite[] = [];
  const nested =
    options.nested === true
      ? new NestedChoice(chosen.labels, chosen.groups, chosen.folds)
      : undefined;
  for (const site of sites) {
    if (shouldStop()) throw endedEarly();
    const material = await materialAt(run, request.checkpoint, site, request, chosen);
    const twin = options.baselines === false ? undefined : await twinAt(run, site, request, chosen);
    const steps = judgeSite(site, material, chosen, { baselines, twin }, request, options);
    const found = await through(steps, options.multiply);
    await writeFileAtomic(join(run.folder, probePath(id, site)), encodeProbe(found.probe));
    judged.push(found);
    if (nested !== undefined) {
      await through(nested.offer(material.rows, strengthsAt(site, request)), options.multiply);
    }
    onSite(site);
  }
  const { nulls, maxima } = asFamily(judged);
  const points = judged.map(({ point }, i) => ({
    ...point,
    null: nulls[i],
    probe: probePath(id, point.site),
  }));
  const { checkpoint, position, siteKind, label, where, estimator } = request;
  const curve = {
    id,
    checkpoint,
    position,
    site_kind: siteKind,
    label,
    where,
    estimator,
    settings: settingsOf(request, judged[0].shuffled),
    points,
    ...(options.baselines === false ? {} : { baselines: baselines.map((each) => each.baseline) }),
    ...(nested === undefined ? {} : { nested: nestedOf(nested) }),
    null_maxima: maxima,
    made_by: packageVersion(),
  };
  const remarks = [
    ...(request.splitsTopics === true ? [withinTopics] : []),
    ...(options.baselines === false ? [] : claimsOf([curve])[0].remarks),
  ];
  return options.baselines === false && remarks.length === 0 ? curve : { ...curve, remarks };
}

const withinTopics = 'folds split topics, as asked: it may know test rows by their topic';

function settingsOf(
  request: CurveRequest,
  shuffled: ProbeCurve['settings']['shuffled'],
): ProbeCurve['settings'] {
  const { estimator, standardise, intercept, groups, folds, shuffles, seed } = request;
  const isPenalised = estimator === 'attention_pool' || hasPenalty(estimator);
  return {
    c: isPenalised ? request.c : null,
    standardise,
    intercept: isPenalised && intercept,
    groups,
    folds,
    shuffles,
    shuffled,
    interval: 'clustered DeLong',
    seed,
    ...(request.splitsTopics === true ? { splits_topics: true as const } : {}),
  };
}

/** @throws {UserError} `USAGE` where attention is asked for at one token of each prompt. */
function rowsFor(run: Run, request: CurveRequest): ChosenRows {
  if (request.estimator !== 'attention_pool') return chosenRows(run, request);
  if (request.position === 'all') return chosenPrompts(run, request);
  throw new UserError('USAGE', `at "${request.position}" there is one token to look at`, {
    where: 'attention_pool',
    fix: 'Extract with --positions all, and probe at --positions all.',
  });
}

async function materialAt(
  run: Run,
  checkpoint: string,
  site: string,
  request: CurveRequest,
  chosen: ChosenRows,
): Promise<Material> {
  const all = await run.activations(checkpoint, site, request.position);
  return materialOf(takeRows(all, chosen.index), chosen.sizes, request);
}

/** The same site of the untrained twin, where there is one. */
async function twinAt(
  run: Run,
  site: string,
  request: CurveRequest,
  chosen: ChosenRows,
): Promise<Material | undefined> {
  const twin = twinOf(run, request.checkpoint, site);
  if (twin === undefined) return undefined;
  return await materialAt(run, twin.name, site, request, chosen);
}

function probePath(id: string, site: string): string {
  return `probes/${id}/${site}.safetensors`;
}

/** Whether a curve of an earlier command holds all that is asked for now. */
function isAnswer(curve: ProbeCurve, sites: number, options: CurveOptions): boolean {
  return (
    curve.made_by === packageVersion() &&
    curve.points.length === sites &&
    curve.null_maxima !== undefined &&
    (options.baselines === false || curve.baselines !== undefined) &&
    (options.onlineCode !== true ||
      curve.points.every((point) => point.online_code !== undefined)) &&
    (options.nested !== true || curve.nested !== undefined) &&
    (options.control !== true || curve.points.every((point) => point.control_task !== undefined))
  );
}

async function baselinesOf(
  run: Run,
  request: CurveRequest,
  chosen: ChosenRows,
  { promptBaselines: cache = new Map(), multiply }: CurveOptions,
): Promise<ScoredBaseline[]> {
  const { checkpoint, position } = request;
  const key = JSON.stringify([
    position,
    request.label,
    request.where,
    request.groups,
    request.folds,
  ]);
  const found = cache.get(key) ?? promptBaselines(chosen, chosen.prompts, chosen.tokens);
  cache.set(key, found);
  const files = run.manifest.checkpoints.find(({ name }) => name === checkpoint)?.files ?? {};
  if (!Object.hasOwn(files, 'resid_pre.0')) return found;
  const embedding = await materialAt(run, checkpoint, 'resid_pre.0', request, chosen);
  const scores = await through(embedding.scores(chosen), multiply);
  return [...found, scored('embedding', chosen, scores)];
}

/** Strengths among which a nested choice is made, beside the one asked for. */
const strengths = [0.01, 0.1, 1, 10] as const;

function strengthsAt(site: string, request: CurveRequest): Offer[] {
  const { estimator, c: asked, standardise, intercept, seed } = request;
  if (estimator === 'attention_pool') return [];
  const options = { estimator, c: asked, standardise, intercept, seed };
  if (!hasPenalty(estimator)) return [{ name: site, options }];
  return [...new Set([...strengths, request.c])]
    .sort((a, b) => a - b)
    .map((c) => ({ name: `${site}, C = ${c}`, options: { ...options, c } }));
}

function nestedOf(choice: NestedChoice): NestedPoint {
  const { auroc, aurocByFold, low, high, chosen: names } = choice.result();
  return { auroc, auroc_by_fold: aurocByFold, low, high, chosen: names };
}

function curveId(request: CurveRequest): string {
  const { checkpoint, position, siteKind, label, estimator } = request;
  return entryId([checkpoint, position, siteKind, label, estimator], request);
}

/** The user asked to stop; what was written so far stays. */
export function endedEarly(): UserError {
  return new UserError('ENDED_EARLY', 'stopped between two sites', {
    fix: 'Run the same command again; curves that are in the report are not fitted again.',
  });
}
