/** Which families are built in? The only list. */

import { nearest, UserError } from '../src/base/errors.ts';
import type { Architecture } from './architecture.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';

export const architectures: ReadonlyMap<string, Architecture> = new Map<string, Architecture>([
  [gpt2.family, gpt2],
  [llama.family, llama],
  [mistral.family, mistral],
  [qwen2.family, qwen2],
  [qwen3.family, qwen3],
]);

/**
 * The architecture for a config's `model_type`.
 *
 * @throws {UserError} `CONFIG_UNSUPPORTED` for any other, even if its tensors are named like a known
 *   family's: the same names can stand for other mathematics.
 */
export function architectureFor(modelType: unknown, where: string): Architecture {
  const known = [...architectures.keys()];
  const architecture = typeof modelType === 'string' ? architectures.get(modelType) : undefined;
  if (architecture !== undefined) return architecture;
  const near = typeof modelType === 'string' ? nearest(modelType, known) : undefined;
  throw new UserError(
    'CONFIG_UNSUPPORTED',
    `model_type ${JSON.stringify(modelType)} is not built in`,
    {
      where,
      fix: `${near === undefined ? '' : `Did you mean "${near}"? `}Known families are ${known.join(', ')}.`,
    },
  );
}
