/** Which families are built in? The only list. */

import { nearest, UserError } from '../src/base/errors.ts';
import type { Architecture } from './architecture.ts';
import { gemma } from './gemma.ts';
import { gemma2 } from './gemma2.ts';
import { gemma3Text } from './gemma3Text.ts';
import { gpt2 } from './gpt2.ts';
import { gptNeo } from './gptNeo.ts';
import { gptNeox } from './gptNeox.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { mixtral } from './mixtral.ts';
import { olmo } from './olmo.ts';
import { olmo2 } from './olmo2.ts';
import { opt } from './opt.ts';
import { phi } from './phi.ts';
import { phi3 } from './phi3.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import { qwen3Moe } from './qwen3Moe.ts';
import { starcoder2 } from './starcoder2.ts';

export const architectures: ReadonlyMap<string, Architecture> = new Map<string, Architecture>([
  [gpt2.family, gpt2],
  [gptNeo.family, gptNeo],
  [gptNeox.family, gptNeox],
  [opt.family, opt],
  [llama.family, llama],
  [mistral.family, mistral],
  [mixtral.family, mixtral],
  [qwen2.family, qwen2],
  [qwen3.family, qwen3],
  [qwen3Moe.family, qwen3Moe],
  [gemma.family, gemma],
  [gemma2.family, gemma2],
  [gemma3Text.family, gemma3Text],
  [phi.family, phi],
  [phi3.family, phi3],
  [olmo.family, olmo],
  [olmo2.family, olmo2],
  [starcoder2.family, starcoder2],
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
