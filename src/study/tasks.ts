/**
 * Pieces of a study that do not need each other, so that several processes can do them at once.
 *
 * All that decides an entry of the report stands in its task and in the run; who does it, and beside what,
 * changes no bit of it. What comes back is handed over in the order of the tasks, so that the report is the
 * same whatever was done first.
 */

import type { ShouldStop } from '../base/progress.ts';
import type { Report } from '../contract/report.ts';
import type { Multiply } from '../math/multiply.ts';
import type { Run } from '../record/run.ts';
import { shiftContrast, type ContrastRequest } from './contrasts.ts';
import { probeCurve, type CurveRequest, type PromptBaselines } from './curves.ts';
import { geometryOf, type GeometryRequest } from './geometries.ts';
import { projection, type ProjectionRequest } from './projections.ts';
import type { ReportEntries } from './report.ts';
import { shiftMap, type ShiftMapRequest } from './shiftMaps.ts';
import { shiftCurve, type ShiftRequest } from './shifts.ts';

/** What one entry of the report is asked for. */
export type StudyTask =
  | { readonly kind: 'curve'; readonly request: CurveRequest }
  | { readonly kind: 'shift'; readonly request: ShiftRequest }
  | { readonly kind: 'plane'; readonly request: ProjectionRequest }
  | { readonly kind: 'contrast'; readonly request: ContrastRequest }
  | { readonly kind: 'geometry'; readonly request: GeometryRequest }
  | { readonly kind: 'map'; readonly request: ShiftMapRequest };

/** What a task is done with. */
export interface Tools {
  /** Entries that are there already are taken as they are. */
  readonly known: Report;
  readonly promptBaselines: PromptBaselines;
  readonly multiply: Multiply;
  readonly shouldStop: ShouldStop;
}

/** Does tasks, so many of them at a time. */
export interface Crew {
  readonly width: number;
  /** @param onSite Told after each site of a task that goes site by site. */
  perform(task: StudyTask, onSite?: () => void): Promise<ReportEntries>;
}

/** A crew of one: this process. */
export function alone(run: Run, tools: Tools): Crew {
  return { width: 1, perform: (task, onSite) => perform(run, task, tools, onSite) };
}

/** Does one task. @throws {UserError} `ENDED_EARLY` between two sites, when asked to stop. */
export async function perform(
  run: Run,
  task: StudyTask,
  { known, promptBaselines, multiply, shouldStop }: Tools,
  onSite: () => void = () => undefined,
): Promise<ReportEntries> {
  // Sites are journalled for who is killed; the entry is put into the report by who gave the task.
  const keep = async (): Promise<void> => {};
  switch (task.kind) {
    case 'curve': {
      const options = { known: known.curves, shouldStop, promptBaselines, multiply };
      return { curves: [await probeCurve(run, task.request, options)] };
    }
    case 'shift':
      return { shifts: [await shiftCurve(run, task.request)] };
    case 'plane': {
      const plane = await projection(run, task.request, multiply);
      return plane === null ? {} : { projections: [plane] };
    }
    case 'contrast': {
      const working = { known: known.contrasts ?? [], shouldStop, onSite, keep };
      return { contrasts: [await shiftContrast(run, task.request, working, multiply)] };
    }
    case 'geometry': {
      const working = { known: known.geometries ?? [], shouldStop, onSite, keep };
      const geometry = await geometryOf(run, task.request, working);
      return geometry === null ? {} : { geometries: [geometry] };
    }
    default:
      return { maps: [await shiftMap(run, task.request, shouldStop)] };
  }
}

/**
 * Has a crew do tasks, and hands over what they give in the order of the tasks.
 *
 * @param deliver Told each task's entries, one task at a time.
 * @throws The first error of a task or of `deliver`, once no task is under way any more.
 */
export async function inOrder<Task, Found>(
  tasks: readonly Task[],
  width: number,
  work: (task: Task) => Promise<Found>,
  deliver: (found: Found, task: Task) => Promise<void>,
): Promise<void> {
  const waiting = new Map<number, Found>();
  const at = { next: 0, delivered: 0, hasFailed: false };
  let turn = Promise.resolve();
  const deliverReady = async (): Promise<void> => {
    for (;;) {
      const found = waiting.get(at.delivered);
      if (found === undefined) return;
      waiting.delete(at.delivered);
      await deliver(found, tasks[at.delivered++]);
    }
  };
  const lane = async (): Promise<void> => {
    try {
      while (at.next < tasks.length && !at.hasFailed) {
        const mine = at.next++;
        waiting.set(mine, await work(tasks[mine]));
        turn = turn.then(deliverReady);
        await turn;
      }
    } catch (error) {
      at.hasFailed = true;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: width }, lane));
  const lost = ends.find((end) => end.status === 'rejected');
  if (lost !== undefined) throw lost.reason;
}
