/**
 * The study of the bundled organism: the whole way once, with its controls.
 *
 * Before Stage 2 (`stage1`), after standard safety training, after Plan B, the base that never had a
 * backdoor, and the untrained twin; triggered and untriggered prompts; the token where the reply is
 * decided and the token where it is given.
 */

import { join } from 'node:path';
import { silent, type Progress, type ShouldStop } from '../base/progress.ts';
import type { Projection, Report, ShiftCurve } from '../contract/report.ts';
import type { ExtractRequest } from '../record/plan.ts';
import type { Run } from '../record/run.ts';
import { withMultiply } from '../runtime/multiply.ts';
import type { CurveRequest } from './curves.ts';
import { organismFindings } from './findings.ts';
import { studyContrasts } from './organismContrasts.ts';
import { extendReport, readReport, type ReportEntries } from './report.ts';
import { alone, inOrder, type Crew, type StudyTask } from './tasks.ts';

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

/** Who does the work, and who is told of it. */
export interface StudyOptions {
  readonly progress?: Progress;
  readonly shouldStop?: ShouldStop;
  /** This process alone, if left out. */
  readonly crew?: Crew;
}

/**
 * Probes, shifts, planes, contrasts, directions and words on an extracted run of the organism; writes its
 * report. With 200 shuffles, intervals have 1000 draws and tests 999 divisions.
 */
export async function studyOrganism(
  run: Run,
  shuffles: number,
  { progress = silent, shouldStop = () => false, crew }: StudyOptions = {},
): Promise<Report> {
  if (crew !== undefined) return await study(run, shuffles, crew, progress);
  const known = await readReport(run);
  return await withMultiply((multiply) => {
    const tools = { known, promptBaselines: new Map(), multiply, shouldStop };
    return study(run, shuffles, alone(run, tools), progress);
  });
}

async function study(run: Run, shuffles: number, crew: Crew, progress: Progress): Promise<Report> {
  await studyCurves(run, curveRequests(shuffles), crew, progress);
  await studyMovements(run, crew, progress);
  const chance = {
    bootstraps: Math.max(40, 5 * shuffles),
    permutations: Math.max(19, 5 * shuffles - 1),
    directions: Math.max(19, Math.round(shuffles / 2)),
  };
  await studyContrasts(run, positions, chance, crew, progress);
  const report = await readReport(run);
  return await extendReport(run, { findings: organismFindings(report) }, progress);
}

async function studyCurves(
  run: Run,
  requests: readonly CurveRequest[],
  crew: Crew,
  progress: Progress,
): Promise<void> {
  progress.begin('probes', requests.length, 'curves');
  const tasks = requests.map((request) => ({ kind: 'curve', request }) as const);
  let done = 0;
  const work = async (task: (typeof tasks)[number]): Promise<ReportEntries> => {
    const found = await crew.perform(task);
    progress.update(++done, `${task.request.label} in ${task.request.checkpoint}`);
    return found;
  };
  await inOrder(tasks, crew.width, work, async (entries) => {
    await extendReport(run, entries, progress);
  });
}

async function studyMovements(run: Run, crew: Crew, progress: Progress): Promise<void> {
  const tasks = pairs.flatMap((after) =>
    positions.flatMap((position): StudyTask[] => {
      const pair = { before: 'stage1', after, position, siteKind: 'resid_post' };
      const shift = {
        ...pair,
        sets: shiftSets,
        cosines: [['harmful, untriggered', 'harmful, triggered'] as const],
        groups: 'topic',
        bootstraps: 1000,
        seed: 0,
      };
      const planes = run.manifest.sites.map((site): StudyTask => ({
        kind: 'plane',
        request: { ...pair, site },
      }));
      return [{ kind: 'shift', request: shift }, ...planes];
    }),
  );
  progress.begin('shifts and planes', tasks.length, 'entries');
  const shifts: ShiftCurve[] = [];
  const projections: Projection[] = [];
  let done = 0;
  const work = async (task: StudyTask): Promise<ReportEntries> => {
    const found = await crew.perform(task);
    progress.update(++done);
    return found;
  };
  await inOrder(tasks, crew.width, work, async (entries) => {
    shifts.push(...(entries.shifts ?? []));
    projections.push(...(entries.projections ?? []));
  });
  await extendReport(run, { shifts, projections }, progress);
}
