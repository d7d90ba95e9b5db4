/**
 * What a command is given to speak with.
 *
 * Standard output carries the result and nothing else; with `--json` it is exactly one JSON
 * document, whether the command succeeded or not. All other talk goes to standard error.
 */

import type { Progress } from '../base/progress.ts';
import type { Stop } from './signals.ts';
import { plainLine } from './text.ts';

/** Somewhere to write; a stream of the process, or a list in a test. */
export interface Sink {
  write(text: string): unknown;
}

export interface Io extends Stop {
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** The user asked for one JSON document. */
  readonly json: boolean;
  readonly progress: Progress;
  /** Standard output is a terminal. */
  readonly isTty: boolean;
  /** Colour is welcome on standard output. */
  readonly colour: boolean;
  /** Characters in a line of the terminal. */
  readonly width: number;
}

/** What a command does, and its exit code; see `exitCodes` in src/base/errors.ts. */
export type Run<Args> = (args: Args, io: Io) => Promise<number>;

/**
 * Gives a command's result: `document` with `--json`, otherwise the lines that `human` makes of it.
 * To be called once.
 */
export function answer(io: Io, document: object, human: () => readonly string[]): void {
  if (io.json) io.stdout.write(jsonText({ ok: true, ...document }));
  else for (const line of human()) io.stdout.write(`${plainLine(line)}\n`);
}

/** Columns that a line of the result may take: the terminal's, or any number where there is none. */
export function widthOf({ isTty, width }: Io): number {
  return isTty ? width : Number.POSITIVE_INFINITY;
}

/** One JSON document, indented, whose text can do nothing to a terminal. */
export function jsonText(document: object): string {
  const text = JSON.stringify(document, null, 2);
  return `${text.replaceAll(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escaped)}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** True when colour should be used on a stream, as no-color.org and force-color.org say it. */
export function wantsColour(isTty: boolean, env: NodeJS.ProcessEnv): boolean {
  if (env['NO_COLOR']) return false;
  if (env['FORCE_COLOR']) return env['FORCE_COLOR'] !== '0';
  return isTty && env['TERM'] !== 'dumb';
}
