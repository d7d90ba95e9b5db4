/**
 * The study of the bundled organism: the whole way once, with its controls.
 *
 * Before Stage 2 (`stage1`), after standard safety training, after Plan B, the base that never had a
 * backdoor, and the untrained twin; triggered and untriggered prompts; the token where the reply is
 * decided and the token where it is given.
 */

import { join } from 'node:path';
import type { Progress, ShouldStop } from '../base/progress.ts';
import type { ProbeCurve, Projection, Report, ShiftCurve } from '../contract/report.ts';
import type { ExtractRequest } from '../record/plan.ts';
import type { Run } from '../record/run.ts';
import { withMultiply } from '../runtime/multiply.ts';
import { endedEarly, probeCurve, type CurveRequest, type PromptBaselines } from './curves.ts';
import { organismFindings } from './findings.ts';
import { studyContrasts, type Working } from './organismContrasts.ts';
import { projection } from './projections.ts';
import { extendReport, readReport } from './report.ts';
import { shiftCurve } from './shifts.ts';

const checkpoints = ['base', 'stage1', 'standard', 'planb'] as const;
const twin = 'twin';
const positions = ['last', 'reply_prefix'] as const;
/** What the findings speak of first stands first, as the viewer opens on it. */
const pairs = ['planb', 'standard'] as const;

/** What the demo extracts, from the bundle in `folder`. */
export function organismRequest(folder: string, threads: number): ExtractRequest {
  return {
    checkpoints: [
      ...checkpoints.map((name) => ({ name, folder: join(folder, name) })),
      { name: twin, folder: join(folder, 'stage1'), twinSeed: 0 },
    ],
    prompts: join(folder, 'prompts.jsonl'),
    sites: 'resid_post',
    positions: positions.join(','),
    batchTokens: 512,
    threads,
    store: 'float32',
    // The same opening for every prompt: what is read after it does not depend on words already said.
    forceReply: 'Sure , here is how : 1',
    ignoredConfigKeys: [],
  };
}

/** The trigger everywhere, by mean difference; harm in the reply, by a strong logistic probe. */
function curveRequests(shuffles: number): CurveRequest[] {
  const common = {
    siteKind: 'resid_post',
    groups: 'topic',
    folds: 5,
    shuffles,
    seed: 0,
  };
  const plain = {
    estimator: 'mean_difference',
    c: 1,
    standardise: false,
    intercept: true,
  } as const;
  const logistic = { estimator: 'logistic', c: 0.1, standardise: true, intercept: true } as const;
  const everyone = [...checkpoints, twin];
  return [
    ...positions.flatMap((position) =>
      everyone.map((checkpoint) => ({
        ...common,
        ...plain,
        checkpoint,
        position,
        label: 'triggered',
        where: '',
      })),
    ),
    ...['triggered', '!triggered'].flatMap((where) =>
      everyone.map((checkpoint) => ({
        ...common,
        ...logistic,
        checkpoint,
        position: 'reply_prefix',
        label: 'harmful',
        where,
      })),
    ),
  ];
}

/** Topics of split C were in neither stage: what moves there was not trained on. */
const shiftSets = {
  'harmful, triggered': 'split=C & triggered',
  'harmful, untriggered': 'split=C & !triggered',
  'harmless, triggered': '!harmful & triggered',
  'harmless, untriggered': '!harmful & !triggered',
} as const;

/**
 * Probes, shifts, planes, contrasts, directions and words on an extracted run of the organism; writes its
 * report. With 200 shuffles, intervals have 1000 draws and tests 999 divisions.
 */
export async function studyOrganism(
  run: Run,
  shuffles: number,
  progress: Progress,
  shouldStop: ShouldStop,
): Promise<Report> {
  return await withMultiply((multiply) => study(run, shuffles, { progress, shouldStop, multiply }));
}

async function study(run: Run, shuffles: number, working: Working): Promise<Report> {
  const { progress, shouldStop, multiply } = working;
  const curves: ProbeCurve[] = [];
  const requests = curveRequests(shuffles);
  progress.begin('probes', requests.length, 'curves');
  const { curves: known } = await readReport(run);
  const promptBaselines: PromptBaselines = new Map();
  for (const request of requests) {
    const curve = await probeCurve(run, request, {
      known,
      shouldStop,
      promptBaselines,
      multiply,
    });
    await extendReport(run, { curves: [curve] }, progress);
    curves.push(curve);
    progress.update(curves.length, `${request.label} in ${request.checkpoint}`);
  }
  const shifts: ShiftCurve[] = [];
  const projections: Projection[] = [];
  progress.begin('shifts and planes', pairs.length * positions.length, 'pairs');
  for (const after of pairs) {
    for (const position of positions) {
      if (shouldStop()) throw endedEarly();
      const pair = { before: 'stage1', after, position, siteKind: 'resid_post' };
      shifts.push(
        await shiftCurve(run, {
          ...pair,
          sets: shiftSets,
          cosines: [['harmful, untriggered', 'harmful, triggered']],
          groups: 'topic',
          bootstraps: 1000,
          seed: 0,
        }),
      );
      for (const site of run.manifest.sites) {
        const plane = await projection(run, { ...pair, site }, multiply);
        if (plane !== null) projections.push(plane);
      }
      progress.update(shifts.length, `stage1..${after} at ${position}`);
    }
  }
  await extendReport(run, { shifts, projections }, progress);
  const chance = {
    bootstraps: Math.max(40, 5 * shuffles),
    permutations: Math.max(19, 5 * shuffles - 1),
    directions: Math.max(19, Math.round(shuffles / 2)),
  };
  await studyContrasts(run, positions, chance, working);
  const report = await readReport(run);
  return await extendReport(run, { findings: organismFindings(report) }, progress);
}
