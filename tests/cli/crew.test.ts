/** Do several processes give what one gives, and are their failures those of one? */

import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { withCrew, type CrewOptions } from '../../src/cli/crew.ts';
import { extract } from '../../src/record/extract.ts';
import { planExtraction } from '../../src/record/plan.ts';
import { openRun, type Run } from '../../src/record/run.ts';
import { withMultiply } from '../../src/runtime/multiply.ts';
import { organismRequest } from '../../src/study/organism.ts';
import { readReport, type ReportEntries } from '../../src/study/report.ts';
import { alone, inOrder, type Crew, type StudyTask } from '../../src/study/tasks.ts';
import { built } from '../support/build.ts';
import { scratchPath } from '../support/scratch.ts';

let run: Run;

beforeAll(async () => {
  const request = organismRequest('models/organism', 1);
  const few = request.checkpoints.filter(({ name }) => ['stage1', 'planb'].includes(name));
  const out = scratchPath('run');
  await extract(await planExtraction({ ...request, checkpoints: few, sites: 'resid_post.2-3' }), {
    out,
  });
  run = await openRun(out);
}, 60_000);

const place = { position: 'last', siteKind: 'resid_post' };
const chance = { groups: 'topic', folds: 5, seed: 0 };
const fit = { c: 1, standardise: false, intercept: true, shuffles: 20 };
const curve = {
  ...place,
  ...chance,
  ...fit,
  checkpoint: 'planb',
  estimator: 'logistic',
  label: 'harmful',
  where: 'triggered',
} as const;
const pair = { before: 'stage1', after: 'planb', ...place };
const settings = { ...chance, bootstraps: 40, permutations: 19, splits: 10 };
const tasks: readonly StudyTask[] = [
  { kind: 'curve', request: curve },
  { kind: 'curve', request: { ...curve, estimator: 'mean_difference' } },
  { kind: 'plane', request: { ...pair, site: 'resid_post.3' } },
  {
    kind: 'contrast',
    request: {
      ...pair,
      settings,
      control: null,
      where: 'split=C',
      benign: '!harmful',
      trigger: 'triggered',
    },
  },
];

async function all(crew: Crew | undefined): Promise<ReportEntries[]> {
  if (crew === undefined) throw new Error('no crew');
  const entries: ReportEntries[] = [];
  const work = (task: StudyTask): Promise<ReportEntries> => crew.perform(task);
  await inOrder(tasks, crew.width, work, async (found) => void entries.push(found));
  return entries;
}

/** Everything under probes/ and what it holds. */
function probes(): Map<string, string> {
  const files = readdirSync(`${run.folder}/probes`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`);
  return new Map(files.sort().map((path) => [path, readFileSync(path, 'hex')]));
}

/** Processes of the built program. */
const crewOf = (width: number): CrewOptions => ({ width, member: built('src/cli/crewMember.js') });

const never = (): boolean => false;

describe('a crew', () => {
  it('gives the bits that one process gives, in the same order', async () => {
    const known = await readReport(run);
    const single = await withMultiply((multiply) =>
      all(alone(run, { known, promptBaselines: new Map(), multiply, shouldStop: never })),
    );
    const saved = probes();
    expect(await withCrew(run.folder, never, all, crewOf(3))).toEqual(single);
    expect(probes()).toEqual(saved);
    expect(readdirSync(run.folder)).not.toContain('report.json'); // that is for who asked
  }, 60_000);

  it('hands on what the user can mend', async () => {
    const wrong = { ...curve, where: 'split=Z' };
    const attempt = withCrew(
      run.folder,
      never,
      (crew) => crew!.perform({ kind: 'curve', request: wrong }),
      crewOf(2),
    );
    await expect(attempt).rejects.toMatchObject({
      name: 'UserError',
      code: 'LABELS_INVALID',
      what: expect.stringContaining('no row meets "split=Z"'),
      fix: expect.any(String),
    });
  });

  it('begins no task once it is asked to stop', async () => {
    let done = 0;
    const work = async (crew: Crew | undefined): Promise<void> => {
      const perform = (task: StudyTask): Promise<ReportEntries> => crew!.perform(task);
      await inOrder([tasks[2], tasks[2], tasks[2]], 1, perform, async () => void done++);
    };
    const attempt = withCrew(run.folder, () => done > 0, work, crewOf(2));
    await expect(attempt).rejects.toMatchObject({ code: 'ENDED_EARLY' });
    expect(done).toBe(1);
  });
});
