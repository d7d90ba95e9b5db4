/**
 * Where can a label be read? One probe, fitted anew at each site of a run: the layer curve.
 *
 * Folds are made of all prompts of the run, so that curves on subsets of it are tested on the same
 * groups, and a group is never on both sides.
 */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { ShouldStop } from '../base/progress.ts';
import { Random } from '../base/random.ts';
import type { NestedPoint, ProbeCurve, ProbePoint } from '../contract/report.ts';
import { sha256OfBytes, writeFileAtomic } from '../files/atomic.ts';
import { parseSite } from '../graph/sites.ts';
import { through, type Multiply } from '../math/multiply.ts';
import { takeRows, type Rows } from '../math/rows.ts';
import { controlTask } from '../../probes/controlTask.ts';
import { evaluateSteps, type Evaluation, type EvaluationOptions } from '../../probes/evaluate.ts';
import { NestedChoice, type Offer } from '../../probes/nested.ts';
import { type Estimator } from '../base/choices.ts';
import { hasPenalty } from '../../probes/probe.ts';
import type { Run } from '../record/run.ts';
import {
  directionsAt,
  embeddingBaseline,
  marginsOver,
  promptBaselines,
  remarksOn,
  type ScoredBaseline,
} from './baselines.ts';
import { chosenRows, sitesOfKind, type ChosenRows, type RowsRequest } from './chosen.ts';
import { encodeProbe } from './probeFile.ts';

export interface CurveRequest extends RowsRequest {
  readonly checkpoint: string;
  readonly siteKind: string;
  readonly estimator: Estimator;
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
  /** Choose the site, and C where there is one, inside each fold's training rows; false if left out. */
  readonly nested?: boolean;
  /** Filled by the first curve on some rows, and read by the others. */
  readonly promptBaselines?: PromptBaselines;
  /** Curves of earlier commands; one with the same id is taken as it is. */
  readonly known?: readonly ProbeCurve[];
  readonly shouldStop?: ShouldStop;
  /** Carries out large products; in this language if left out. */
  readonly multiply?: Multiply;
}

/** Evaluates one curve and saves its probes under `probes/`. */
export async function probeCurve(
  run: Run,
  request: CurveRequest,
  options: CurveOptions = {},
): Promise<ProbeCurve> {
  const { known = [], shouldStop = () => false } = options;
  const sites = sitesOfKind(run, request.checkpoint, request.siteKind);
  const chosen = chosenRows(run, request);
  const id = curveId(request);
  const before = known.find((curve) => curve.id === id);
  if (before !== undefined && isAnswer(before, sites.length, options)) return before;
  const baselines =
    options.baselines === false
      ? []
      : await baselinesOf(run, request, chosen, options.promptBaselines ?? new Map());
  const points: ProbePoint[] = [];
  const nested =
    options.nested === true
      ? new NestedChoice(chosen.labels, chosen.groups, chosen.folds)
      : undefined;
  let shuffled: Evaluation['shuffled'] = 'within groups';
  for (const site of sites) {
    if (shouldStop()) throw endedEarly();
    const all = await run.activations(request.checkpoint, site, request.position);
    const rows = takeRows(all, chosen.index);
    const { labels, groups, folds } = chosen;
    const steps = evaluateSteps(rows, labels, groups, { ...fitOf(request), folds });
    const evaluation = await through(steps, options.multiply);
    shuffled = evaluation.shuffled;
    const probe = `probes/${id}/${site}.safetensors`;
    await writeFileAtomic(join(run.folder, probe), encodeProbe(evaluation.probe));
    points.push({
      ...pointOf(site, evaluation, probe),
      ...besideOf(rows, chosen, evaluation, baselines, request, options),
    });
    if (nested !== undefined) {
      await through(nested.offer(rows, strengthsAt(site, request)), options.multiply);
    }
  }
  const beside = {
    ...(options.baselines === false ? {} : { baselines: baselines.map((each) => each.baseline) }),
    ...(nested === undefined ? {} : { nested: nestedOf(nested) }),
  };
  const { estimator, standardise, intercept } = request;
  return {
    id,
    checkpoint: request.checkpoint,
    position: request.position,
    site_kind: request.siteKind,
    label: request.label,
    where: request.where,
    estimator,
    settings: {
      c: hasPenalty(estimator) ? request.c : null,
      standardise,
      intercept: hasPenalty(estimator) && intercept,
      groups: request.groups,
      folds: request.folds,
      shuffles: request.shuffles,
      shuffled,
      interval: 'clustered DeLong',
      seed: request.seed,
    },
    points,
    ...beside,
    ...(options.baselines === false ? {} : { remarks: remarksOn({ points, ...beside }) }),
  };
}

/** Whether a curve of an earlier command holds all that is asked for now. */
function isAnswer(curve: ProbeCurve, sites: number, options: CurveOptions): boolean {
  return (
    curve.points.length === sites &&
    (options.baselines === false || curve.baselines !== undefined) &&
    (options.nested !== true || curve.nested !== undefined) &&
    (options.control !== true || curve.points.every((point) => point.control_task !== undefined))
  );
}

async function baselinesOf(
  run: Run,
  request: CurveRequest,
  chosen: ChosenRows,
  cache: PromptBaselines,
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
  const rows = takeRows(await run.activations(checkpoint, 'resid_pre.0', position), chosen.index);
  return [...found, embeddingBaseline(chosen, rows, fitOf(request))];
}

function besideOf(
  rows: Rows,
  chosen: ChosenRows,
  { scores }: Evaluation,
  baselines: readonly ScoredBaseline[],
  request: CurveRequest,
  options: CurveOptions,
): Pick<ProbePoint, 'random_directions' | 'over' | 'control_task'> {
  const { labels, groups } = chosen;
  const random = new Random(request.seed).fork('control task');
  return {
    ...(options.baselines === false
      ? {}
      : {
          random_directions: directionsAt(rows, chosen, request.seed),
          over: marginsOver(chosen, scores, baselines),
        }),
    ...(options.control === true
      ? {
          control_task: controlTask(rows, labels, groups, fitOf(request), request.folds, random),
        }
      : {}),
  };
}

/** Strengths among which a nested choice is made, beside the one asked for. */
const strengths = [0.01, 0.1, 1, 10] as const;

function strengthsAt(site: string, request: CurveRequest): Offer[] {
  const options = fitOf(request);
  if (!hasPenalty(request.estimator)) return [{ name: site, options }];
  return [...new Set([...strengths, request.c])]
    .sort((a, b) => a - b)
    .map((c) => ({ name: `${site}, C = ${c}`, options: { ...options, c } }));
}

function nestedOf(choice: NestedChoice): NestedPoint {
  const { auroc, aurocByFold, low, high, chosen: names } = choice.result();
  return { auroc, auroc_by_fold: aurocByFold, low, high, chosen: names };
}

/** The part of a request that an evaluation knows. */
function fitOf(request: CurveRequest): EvaluationOptions {
  const { estimator, c, standardise, intercept, shuffles, seed } = request;
  return { estimator, c, standardise, intercept, shuffles, seed };
}

/** Readable, and unique by everything that decides the curve's numbers. */
function curveId(request: CurveRequest): string {
  const { checkpoint, position, siteKind, label, estimator } = request;
  const words = [checkpoint, position, siteKind, label, estimator].join('.');
  const hash = sha256OfBytes(JSON.stringify(request)).slice(0, 8);
  return `${words
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]/g, '-')
    .slice(0, 110)}.${hash}`;
}

function pointOf(site: string, evaluation: Evaluation, probe: string): ProbePoint {
  const { n, nPositive, nGroups, auroc, aurocByFold, low, high } = evaluation;
  return {
    site,
    layer: parseSite(site).block ?? 0,
    n,
    n_positive: nPositive,
    n_groups: nGroups,
    auroc,
    auroc_by_fold: aurocByFold,
    low,
    high,
    null: evaluation.null,
    probe,
  };
}

/** The user asked to stop; what was written so far stays. */
export function endedEarly(): UserError {
  return new UserError('ENDED_EARLY', 'stopped between two sites', {
    fix: 'Run the same command again; curves that are in the report are not fitted again.',
  });
}
