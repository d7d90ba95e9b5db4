/**
 * Does a name match a regular expression that somebody else wrote, as Python's `re` would say?
 *
 * Adapters carry such expressions in their configs. JavaScript reads some of them otherwise, and a
 * backtracking matcher can be kept busy for years by thirty characters. So they are read here by
 * Python's rules and run as a set of states, in time pattern × text; what that cannot express
 * (back-references, looking behind, flags) is refused. Nothing is captured: only yes or no is asked.
 *
 * @see Thompson 1968, "Regular Expression Search Algorithm", CACM 11(6).
 */

import { UserError } from './errors.ts';
import { parsePattern, type Node } from './patternSyntax.ts';

/** How many more steps all patterns that share it may take. */
export interface Effort {
  left: number;
}

/** Half a second, more or less; a real config takes a hundredth of it. */
export const usualEffort = 20_000_000;

export interface Pattern {
  readonly source: string;
  readonly where: string;
  readonly program: readonly Step[];
  readonly effort: Effort;
}

type Step =
  | { readonly op: 'char'; readonly accepts: (unit: number) => boolean }
  | { readonly op: 'fork'; readonly to: readonly number[] }
  | { readonly op: 'assert'; readonly holds: (text: string, at: number) => boolean }
  | { readonly op: 'look'; readonly program: readonly Step[]; readonly wanted: boolean }
  | { readonly op: 'match' };

/** No name of a module is as long. */
const maxText = 1000;
const maxSteps = 5000;

/**
 * Reads an expression of Python's `re`.
 *
 * @throws {UserError} `CONFIG_UNSUPPORTED` for what Python refuses and for what no set of states can do.
 */
export function compilePattern(source: string, where: string, effort: Effort): Pattern {
  const room = { left: maxSteps };
  const program = compiled(parsePattern(source, where), room);
  if (room.left <= 0) throw tooCostly(source, where);
  return { source, where, program, effort };
}

/** As `re.match`: whether some beginning of the text matches. */
export function matchesStart(pattern: Pattern, text: string): boolean {
  return run(pattern, pattern.program, text, 0, false, new Map());
}

/** As `re.fullmatch`: whether the whole text matches. */
export function matchesWhole(pattern: Pattern, text: string): boolean {
  return run(pattern, pattern.program, text, 0, true, new Map());
}

function compiled(node: Node, room: Effort): Step[] {
  const program: Step[] = [];
  emit(program, node, room);
  program.push({ op: 'match' });
  return program;
}

/** Appends what matches `node` and goes on with the step after it; stops where there is no more room. */
function emit(program: Step[], node: Node, room: Effort): void {
  if (room.left-- <= 0) return;
  switch (node.kind) {
    case 'char':
      program.push({ op: 'char', accepts: node.accepts });
      break;
    case 'assert':
      program.push({ op: 'assert', holds: node.holds });
      break;
    case 'look':
      program.push({ op: 'look', program: compiled(node.node, room), wanted: node.wanted });
      break;
    case 'sequence':
      for (const part of node.parts) emit(program, part, room);
      break;
    case 'choice':
      emitChoice(program, node.options, room);
      break;
    case 'repeat':
      emitRepeat(program, node, room);
      break;
  }
}

function emitChoice(program: Step[], options: readonly Node[], room: Effort): void {
  const starts: number[] = [];
  const ends: number[][] = [];
  const fork = program.push({ op: 'fork', to: starts }) - 1;
  for (const option of options) {
    starts.push(program.length - fork);
    emit(program, option, room);
    const end: number[] = [];
    ends.push(end);
    end.push(program.push({ op: 'fork', to: end }) - 1);
  }
  for (const end of ends) end[0] = program.length - end[0];
}

function emitRepeat(
  program: Step[],
  { node, least, most }: Extract<Node, { kind: 'repeat' }>,
  room: Effort,
): void {
  for (let i = 0; i < least && room.left > 0; i++) emit(program, node, room);
  const times = most === Infinity ? 1 : most - least;
  for (let i = 0; i < times && room.left > 0; i++) {
    const exits = [1];
    const fork = program.push({ op: 'fork', to: exits }) - 1;
    emit(program, node, room);
    if (most === Infinity) program.push({ op: 'fork', to: [fork - program.length] });
    exits.push(program.length - fork);
  }
}

/** What a look found at a place of the text, so that it looks once. */
type Seen = Map<Step, Map<number, boolean>>;

/** Whether `program` matches the text from `start` on, up to its end if `whole`. */
function run(
  pattern: Pattern,
  program: readonly Step[],
  text: string,
  start: number,
  whole: boolean,
  seen: Seen,
): boolean {
  if (text.length > maxText) throw tooCostly(pattern.source, pattern.where);
  let states = [0];
  for (let at = start; states.length > 0; at++) {
    const next: number[] = [];
    const visited = new Uint8Array(program.length);
    const pending = states;
    while (pending.length > 0) {
      const i = pending.pop() ?? 0;
      if (visited[i] === 1) continue;
      visited[i] = 1;
      if (pattern.effort.left-- <= 0) throw tooCostly(pattern.source, pattern.where);
      const step = program[i];
      if (step.op === 'match') {
        if (!whole || at === text.length) return true;
      } else if (step.op === 'fork') for (const by of step.to) pending.push(i + by);
      else if (step.op === 'assert') {
        if (step.holds(text, at)) pending.push(i + 1);
      } else if (step.op === 'look') {
        if (look(pattern, step, text, at, seen) === step.wanted) pending.push(i + 1);
      } else if (at < text.length && step.accepts(text.charCodeAt(at))) next.push(i + 1);
    }
    states = next;
  }
  return false;
}

function look(
  pattern: Pattern,
  step: Extract<Step, { op: 'look' }>,
  text: string,
  at: number,
  seen: Seen,
): boolean {
  const places = seen.get(step) ?? new Map<number, boolean>();
  seen.set(step, places);
  const found = places.get(at) ?? run(pattern, step.program, text, at, false, seen);
  places.set(at, found);
  return found;
}

function tooCostly(source: string, where: string): UserError {
  const shown = source.length > 60 ? `${source.slice(0, 60)}…` : source;
  return new UserError('CONFIG_UNSUPPORTED', `the expression "${shown}" takes too long to match`, {
    where,
    fix: 'Write it more simply, or list the full names of the modules instead.',
  });
}
