/**
 * How is work asked to stop?
 *
 * Once, politely: `shouldStop` turns true and the work seals what it has. A light command hears the
 * signals itself; a worker must not, since a terminal sends Ctrl-C to parent and worker alike and
 * one key press would count twice. It waits for its parent's word, or for its parent's death.
 */

import { constants } from 'node:os';
import type { ShouldStop } from '../base/progress.ts';

/** The request to stop, in the two forms that work can take it. */
export interface Stop {
  readonly shouldStop: ShouldStop;
  readonly signal: AbortSignal;
}

/** What the parent tells its worker. */
export interface StopMessage {
  readonly stop: NodeJS.Signals;
}

export const stopSignals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** npm passes on a Ctrl-C that the terminal has already delivered: two signals, one key press. */
const repeatMs = 250;

/** True when a signal at `now` belongs to the key press at `first`; both in milliseconds. */
export function isRepeat(first: number, now: number): boolean {
  return now - first < repeatMs;
}

/** For commands that run in this process: the first signal asks, the second ends the process. */
export function stopOnSignals(): Stop {
  const controller = new AbortController();
  let firstAt: number | undefined;
  for (const name of stopSignals) {
    process.on(name, () => {
      firstAt ??= performance.now();
      if (!controller.signal.aborted) controller.abort();
      else if (!isRepeat(firstAt, performance.now())) process.exit(128 + constants.signals[name]);
    });
  }
  return stopOf(controller);
}

/** For the worker: deaf to signals; stops when its parent says so or is gone. */
export function stopOnParent(): Stop {
  const controller = new AbortController();
  for (const name of stopSignals) process.on(name, () => {});
  process.on('message', (message) => {
    if (typeof message === 'object' && message !== null && 'stop' in message) controller.abort();
  });
  process.once('disconnect', () => controller.abort());
  return stopOf(controller);
}

function stopOf({ signal }: AbortController): Stop {
  return { signal, shouldStop: () => signal.aborted };
}
