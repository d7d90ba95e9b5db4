/**
 * Runs a heavy command in a process of its own.
 *
 * onnxruntime blocks the thread it is called from, aborts when JavaScript ends it in mid-run, reads
 * its telemetry switch from the environment it is born into, and its memory depends on thresholds of
 * malloc that are read before the first line of JavaScript. So the program stays a thin parent that
 * hands over its terminal, turns the first signal into a request, and the second into an end.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { UserError } from '../base/errors.ts';
import { isRepeat, stopSignals, type StopMessage } from './signals.ts';

/**
 * Runs `argv` in a worker with this process's terminal and streams, and gives its exit code.
 *
 * @throws {UserError} when the worker did not end by itself: killed by the system, or crashed.
 */
export async function runInWorker(argv: readonly string[]): Promise<number> {
  const worker = fileURLToPath(new URL('./worker.js', import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, worker, ...argv], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: workerEnvironment(process.env, process.platform),
  });
  const asked = relaySignals(child);
  const { code, signal } = await ended(child);
  const wanted = asked();
  if (code !== null) return code;
  if (wanted !== undefined) return exitCodeOf(wanted);
  if (signal === 'SIGINT' || signal === 'SIGTERM') return exitCodeOf(signal);
  throw killed(signal);
}

/** The worker's environment: no telemetry, and on Linux the memory that tensors leave is given back. */
export function workerEnvironment(
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform,
): NodeJS.ProcessEnv {
  // glibc raises these thresholds by itself after the first large free, and then keeps what is
  // freed; naming them, at glibc's own first value, turns that off. Other libcs do not read them.
  const thresholds = { MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '131072' };
  // What is given back is asked for again: in pages of 2 MB that takes a fraction of the faults.
  const pages = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
  const malloc = platform === 'linux' ? { ...thresholds, ...pages } : {};
  return { ...malloc, ...env, ORT_DISABLE_TELEMETRY: '1' };
}

/** 128 and the signal's number, as shells have it: 130 for SIGINT, 143 for SIGTERM. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** First signal: ask. Second: kill. Returns a question: which signal was it that killed? */
function relaySignals(child: ChildProcess): () => NodeJS.Signals | undefined {
  let firstAt: number | undefined;
  let killedBy: NodeJS.Signals | undefined;
  for (const name of stopSignals) {
    process.on(name, () => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        process.stderr.write('\nstopping; once more to stop at once\n');
        const message: StopMessage = { stop: name };
        if (child.connected) child.send(message, () => {}); // it may have ended this very moment
      } else if (!isRepeat(firstAt, now)) {
        killedBy = name;
        child.kill('SIGKILL');
      }
    });
  }
  return () => killedBy;
}

function ended(
  child: ChildProcess,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

function killed(signal: NodeJS.Signals | null): Error {
  if (signal === 'SIGKILL') {
    return new UserError(
      'NOT_ENOUGH_MEMORY',
      'the system killed the worker, most likely for memory',
      {
        fix: 'Give a smaller --batch-tokens or --memory-budget; the same command continues the run.',
      },
    );
  }
  return new Error(`the worker crashed with ${signal ?? 'no exit code'}`);
}
