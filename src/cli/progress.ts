/**
 * Draws progress on standard error.
 *
 * On a terminal one line is redrawn at most ten times a second; elsewhere (a log, a pipe, CI, a dumb
 * terminal) whole lines come, one for every tenth of the work that takes its time or every half minute,
 * so that a log neither fills up nor looks dead.
 */

import type { Progress } from '../base/progress.ts';
import { formatCount, formatDuration } from '../base/units.ts';
import type { Sink } from './io.ts';
import { plainLine, shortened } from './text.ts';

const redrawMs = 100;
const lineEveryMs = 30_000;
const linesPerPhase = 10;
/** Work that is over in a moment needs no tenths. */
const leastLineMs = 2000;

/** Time before the first rate is worth believing. */
const settlingMs = 1000;

const clearLine = '\r\u001b[K';

export interface ProgressOptions {
  /** Redraw one line; otherwise print whole ones. */
  readonly redraws: boolean;
  /** Characters in a line of the terminal, asked at each redraw since windows are resized. */
  readonly width: () => number;
  /** Milliseconds of a clock that only runs forward. */
  readonly now: () => number;
}

/** Progress that must be cleared away before anything else is printed. */
export interface TerminalProgress extends Progress {
  /** Takes the line away; the next update draws it again. */
  clear(): void;
  /** Takes the line away and ends the phase. */
  close(): void;
}

interface Phase {
  readonly name: string;
  readonly total: number | undefined;
  readonly unit: string;
  /** When the first update came and what was done by then, in this run or the one it continues. */
  first: { readonly at: number; readonly done: number } | undefined;
}

/** True where a line can be redrawn: a terminal that is not dumb, and no machine that keeps logs. */
export function canRedraw(isTty: boolean, env: NodeJS.ProcessEnv): boolean {
  return isTty && env['TERM'] !== 'dumb' && !env['CI'];
}

/** Progress on `out`. */
export function terminalProgress(out: Sink, options: ProgressOptions): TerminalProgress {
  const { redraws, width, now } = options;
  let phase: Phase | undefined;
  let drawnAt = -Infinity;
  let drawnShare = 0;
  let isDrawn = false;

  const clear = (): void => {
    if (isDrawn) out.write(clearLine);
    isDrawn = false;
  };
  const draw = (text: string): void => {
    if (redraws) out.write(`${clearLine}${shortened(text, width() - 1)}`);
    else out.write(`${text}\n`);
    isDrawn = redraws;
    drawnAt = now();
  };

  return {
    clear,
    begin(name, total, unit = ''): void {
      phase = { name, total, unit, first: undefined };
      drawnShare = 0;
      draw(lineOf(phase, undefined, now()));
    },
    update(done, detail): void {
      if (phase === undefined) return;
      phase.first ??= { at: now(), done };
      const elapsed = now() - drawnAt;
      const share =
        phase.total === undefined ? 0 : Math.floor((done / phase.total) * linesPerPhase);
      const isDue = redraws
        ? elapsed >= redrawMs
        : elapsed >= (share > drawnShare ? leastLineMs : lineEveryMs);
      if (!isDue) return;
      drawnShare = share;
      draw(lineOf(phase, done, now(), detail));
    },
    note(line): void {
      clear();
      out.write(`${plainLine(line)}\n`);
    },
    close(): void {
      clear();
      phase = undefined;
    },
  };
}

/** `stage1 · 1 200/4 096 prompts · 31 prompts/s · 1m33s left · resid_post.3` */
function lineOf(phase: Phase, done: number | undefined, now: number, detail?: string): string {
  const { name, total, unit } = phase;
  const parts = [name];
  if (done !== undefined) {
    const of = total === undefined ? '' : `/${formatCount(total)}`;
    parts.push(`${formatCount(done)}${of} ${unit}`.trimEnd(), ...speedOf(phase, done, now));
  } else if (total !== undefined) {
    parts.push(`${formatCount(total)} ${unit}`.trimEnd());
  }
  if (detail !== undefined) parts.push(detail);
  return parts.map(plainLine).join(' · ');
}

function speedOf({ total, unit, first }: Phase, done: number, now: number): string[] {
  if (first === undefined || now - first.at < settlingMs) return [];
  const perSecond = ((done - first.done) / (now - first.at)) * 1000;
  if (!(perSecond > 0)) return [];
  const rate = perSecond >= 10 ? formatCount(Math.round(perSecond)) : perSecond.toPrecision(2);
  const speed = `${rate} ${unit}`.trimEnd();
  if (total === undefined || done >= total) return [`${speed}/s`];
  return [`${speed}/s`, `${formatDuration(((total - done) / perSecond) * 1000)} left`];
}
