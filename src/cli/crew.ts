/**
 * Several processes that do the tasks of a study, one process for each core.
 *
 * The estimators are plain functions that occupy their thread, and onnxruntime is not at home in worker
 * threads; so each member is a process like the one of child.ts, and gets tasks and gives entries as messages.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { UserError, type ErrorCode } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { ShouldStop } from '../base/progress.ts';
import { endedEarly } from '../study/curves.ts';
import type { ReportEntries } from '../study/report.ts';
import type { Crew, StudyTask } from '../study/tasks.ts';
import { workerEnvironment } from './child.ts';

/** What a member is told. */
export type CrewRequest =
  | { readonly folder: string; readonly task: StudyTask }
  | { readonly stop: true };

/** What it answers while it does a task. */
export type CrewAnswer =
  | { readonly kind: 'site' }
  | { readonly kind: 'found'; readonly entries: ReportEntries }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An error on its way between processes. */
export interface Failure {
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly where?: string | undefined;
  readonly fix?: string | undefined;
  readonly cause?: string | undefined;
  readonly trace?: string | undefined;
}

export interface CrewOptions {
  /** Processes; one for each core if left out. */
  readonly width?: number;
  /** The program that each of them runs. */
  readonly member?: string;
}

/** More would wait for the disk, or for each other's memory. */
const most = 8;
/** How often a request to stop is looked for. */
const stopMs = 100;

/**
 * Calls `use` with a crew on a run; with none on a single core, where it would only cost its start.
 *
 * @param folder The run's.
 */
export async function withCrew<T>(
  folder: string,
  shouldStop: ShouldStop,
  use: (crew: Crew | undefined) => Promise<T>,
  {
    width = Math.min(most, availableParallelism()),
    member = fileURLToPath(new URL('./crewMember.js', import.meta.url)),
  }: CrewOptions = {},
): Promise<T> {
  if (width === 1) return await use(undefined);
  const members = Array.from({ length: width }, () => startMember(member));
  const free = [...members];
  const watch = setInterval(() => {
    if (shouldStop()) for (const each of members) tell(each, { stop: true });
  }, stopMs);
  const perform: Crew['perform'] = async (task, onSite) => {
    if (shouldStop()) throw endedEarly();
    const chosen = free.pop();
    invariant(chosen !== undefined, 'more tasks at a time than a crew is wide');
    try {
      return await performBy(chosen, { folder, task }, onSite);
    } finally {
      free.push(chosen);
    }
  };
  try {
    return await use({ width, perform });
  } finally {
    clearInterval(watch);
    for (const each of members) if (each.connected) each.disconnect();
  }
}

function startMember(path: string): ChildProcess {
  const member = fork(path, [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: workerEnvironment(process.env, process.platform),
    serialization: 'advanced', // JSON has no NaN
  });
  member.on('error', () => {}); // one that could not be started is not connected, and its task fails
  return member;
}

function tell(member: ChildProcess, request: CrewRequest): void {
  if (member.connected) member.send(request, () => {}); // whoever is gone is noticed by its end
}

function performBy(
  member: ChildProcess,
  request: CrewRequest,
  onSite: () => void = () => undefined,
): Promise<ReportEntries> {
  return new Promise((resolve, reject) => {
    const onMessage = (answer: CrewAnswer): void => {
      if (answer.kind === 'site') onSite();
      else if (answer.kind === 'found') end(() => resolve(answer.entries));
      else end(() => reject(errorOf(answer.failure)));
    };
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void =>
      end(() => reject(lost(code, signal)));
    const end = (settle: () => void): void => {
      member.off('message', onMessage).off('exit', onExit);
      settle();
    };
    if (!member.connected) return reject(lost(member.exitCode, member.signalCode));
    member.on('message', onMessage).on('exit', onExit);
    tell(member, request);
  });
}

/** An error on its way out of a member. */
export function failureOf(error: unknown): Failure {
  if (error instanceof UserError) {
    const { code, what, where, fix } = error;
    const cause = error.cause instanceof Error ? error.cause.message : undefined;
    return { code, message: what, where, fix, cause };
  }
  const trace = error instanceof Error ? error.stack : undefined;
  return { code: null, message: String(error), trace };
}

function errorOf({ code, message, where, fix, cause, trace }: Failure): Error {
  if (code !== null) {
    return new UserError(code, message, {
      ...(where === undefined ? {} : { where }),
      ...(fix === undefined ? {} : { fix }),
      ...(cause === undefined ? {} : { cause }),
    });
  }
  const error = new Error(message);
  if (trace !== undefined) error.stack = trace;
  return error;
}

function lost(code: number | null, signal: NodeJS.Signals | null): Error {
  if (signal === 'SIGKILL') {
    return new UserError(
      'NOT_ENOUGH_MEMORY',
      'the system killed a process of the study, most likely for memory',
      { fix: 'Free some memory and give the same command again; it goes on where it ended.' },
    );
  }
  return new Error(`a process of the study ended with ${signal ?? code ?? 'nothing to say'}`);
}
