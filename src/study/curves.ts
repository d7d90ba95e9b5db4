/**
 * Where can a label be read? One probe, fitted anew at each site of a run: the layer curve.
 *
 * Folds are made of all prompts of the run, so that curves on subsets of it are tested on the same
 * groups, and a group is never on both sides.
 */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { ShouldStop } from '../base/progress.ts';
import type { ProbeCurve, ProbePoint } from '../contract/report.ts';
import { sha256OfBytes, writeFileAtomic } from '../files/atomic.ts';
import { encodeSafetensors } from '../files/safetensors.ts';
import { parseSite } from '../graph/sites.ts';
import { takeRows } from '../math/rows.ts';
import { evaluateProbe, type Evaluation, type EvaluationOptions } from '../../probes/evaluate.ts';
import { groupedFolds } from '../../probes/folds.ts';
import { hasPenalty, type Estimator, type LinearProbe } from '../../probes/probe.ts';
import type { Run } from '../record/run.ts';
import type { Prompt } from '../text/prompts.ts';
import { columnOf, isTrue, parseWhere } from './where.ts';

export interface CurveRequest {
  readonly checkpoint: string;
  readonly position: string;
  readonly siteKind: string;
  readonly label: string;
  /** Rows that take part; '' for all. */
  readonly where: string;
  readonly estimator: Estimator;
  readonly c: number;
  readonly standardise: boolean;
  readonly intercept: boolean;
  /** Column whose values stay together. */
  readonly groups: string;
  readonly folds: number;
  readonly shuffles: number;
  readonly seed: number;
}

export interface CurveOptions {
  /** Curves of earlier commands; one with the same id is taken as it is. */
  readonly known?: readonly ProbeCurve[];
  readonly shouldStop?: ShouldStop;
}

/** Evaluates one curve and saves its probes under `probes/`. */
export async function probeCurve(
  run: Run,
  request: CurveRequest,
  { known = [], shouldStop = () => false }: CurveOptions = {},
): Promise<ProbeCurve> {
  const sites = sitesOfKind(run, request.checkpoint, request.siteKind);
  const { index, labels, groups, folds } = chosenRows(run, request);
  const id = curveId(request);
  const before = known.find((curve) => curve.id === id);
  if (before?.points.length === sites.length) return before;
  const points: ProbePoint[] = [];
  let shuffled: Evaluation['shuffled'] = 'within groups';
  for (const site of sites) {
    if (shouldStop()) throw endedEarly();
    const rows = takeRows(await run.activations(request.checkpoint, site, request.position), index);
    const evaluation = evaluateProbe(rows, labels, groups, { ...fitOf(request), folds });
    shuffled = evaluation.shuffled;
    const probe = `probes/${id}/${site}.safetensors`;
    await writeFileAtomic(join(run.folder, probe), encodeProbe(evaluation.probe));
    points.push(pointOf(site, evaluation, probe));
  }
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
  };
}

/** Sites of a kind that the run holds for a checkpoint, block after block. */
export function sitesOfKind(run: Run, checkpoint: string, kind: string): string[] {
  const record = run.manifest.checkpoints.find(({ name }) => name === checkpoint);
  if (record === undefined) {
    const names = run.manifest.checkpoints.map(({ name }) => name).join(', ');
    throw new UserError('USAGE', `the run has no checkpoint "${checkpoint}"`, {
      where: run.folder,
      fix: `Choose among ${names}.`,
    });
  }
  const sites = Object.keys(record.files)
    .map((key) => ({ key, ...parseSite(key) }))
    .filter((site) => site.kind === kind)
    .sort((a, b) => (a.block ?? 0) - (b.block ?? 0))
    .map(({ key }) => key);
  if (sites.length > 0) return sites;
  throw new UserError('USAGE', `the run holds no site "${kind}" of "${checkpoint}"`, {
    where: run.folder,
    fix: `Extract it with --sites ${kind} --add.`,
  });
}

/** The part of a request that an evaluation knows. */
function fitOf(request: CurveRequest): EvaluationOptions {
  const { estimator, c, standardise, intercept, shuffles, seed } = request;
  return { estimator, c, standardise, intercept, shuffles, seed };
}

interface ChosenRows {
  readonly index: Int32Array;
  readonly labels: Uint8Array;
  readonly groups: readonly string[];
  readonly folds: Int32Array;
}

function chosenRows(run: Run, request: CurveRequest): ChosenRows {
  const matches = parseWhere(request.where);
  const records = run.rowsAt(request.position);
  const foldOf = foldsByGroup(run.prompts, request.groups, request.folds);
  const taken = records.filter(({ prompt }) => matches(run.prompts[prompt]));
  if (taken.length === 0) {
    throw new UserError('LABELS_INVALID', `no row meets "${request.where}"`, {
      where: `position ${request.position}`,
      fix: 'Relax --where.',
    });
  }
  const groups = taken.map(({ prompt }) => groupOf(run.prompts[prompt], request.groups));
  return {
    index: Int32Array.from(taken, ({ row }) => row),
    labels: Uint8Array.from(taken, ({ prompt }) =>
      Number(isTrue(run.prompts[prompt], request.label)),
    ),
    groups,
    folds: Int32Array.from(groups, (group) => foldOf.get(group) ?? 0),
  };
}

function foldsByGroup(
  prompts: readonly Prompt[],
  column: string,
  folds: number,
): ReadonlyMap<string, number> {
  const groups = prompts.map((prompt) => groupOf(prompt, column));
  const assigned = groupedFolds(groups, folds);
  return new Map(groups.map((group, i) => [group, assigned[i]]));
}

/** The group of a prompt, as text. */
export function groupOf(prompt: Prompt, column: string): string {
  return String(columnOf(prompt, column));
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

/** `coef` [d] and `intercept` [1], with `mean` and `scale` [d] where rows were standardised. */
function encodeProbe({ coef, intercept, mean, scale }: LinearProbe): Uint8Array {
  const vector = (
    name: string,
    values: Float64Array,
  ): Parameters<typeof encodeSafetensors>[0][number] => ({
    name,
    dtype: 'F64',
    shape: [values.length],
    data: values,
  });
  return encodeSafetensors([
    vector('coef', coef),
    vector('intercept', Float64Array.of(intercept)),
    ...(mean === undefined ? [] : [vector('mean', mean)]),
    ...(scale === undefined ? [] : [vector('scale', scale)]),
  ]);
}

/** The user asked to stop; what was written so far stays. */
export function endedEarly(): UserError {
  return new UserError('ENDED_EARLY', 'stopped between two sites', {
    fix: 'Run the same command again; curves that are in the report are not fitted again.',
  });
}
