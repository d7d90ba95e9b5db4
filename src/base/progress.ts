/** What long work tells whoever is listening; the command line draws it, tests and the library ignore it. */

export interface Progress {
  /** Names the phase that begins and, where it is known, how many `unit`s it holds. */
  begin(phase: string, total?: number, unit?: string): void;
  /** `done` of the phase's units are finished; `detail` is a short remark such as a checkpoint's name. */
  update(done: number, detail?: string): void;
  /** One line worth keeping after the phase has passed. */
  note(line: string): void;
}

/** Listens to nothing. */
export const silent: Progress = { begin() {}, update() {}, note() {} };

/** Asked between units of work; true once the user wants the work to stop and be sealed. */
export type ShouldStop = () => boolean;
