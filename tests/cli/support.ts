/** Runs command lines in this process, against a host that remembers what it was told. */

import { type Entry, type Host, runProgram } from '../../src/cli/program.ts';

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `line` (words parted by single spaces) with `entries` for commands. */
export async function runLine(
  entries: readonly Entry[],
  line: string,
  parts: Partial<Host> = {},
): Promise<Ran> {
  const written = { stdout: '', stderr: '' };
  const exitCode = await runProgram(entries, [], line.split(' '), {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
    stop: () => ({ signal: new AbortController().signal, shouldStop: () => false }),
    ...parts,
  });
  return { exitCode, ...written };
}
