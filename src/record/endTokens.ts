/**
 * With which tokens does a model say that its answer is done?
 *
 * `eos_token_id` of generation_config.json where that file names any, else that of config.json; a
 * number or a list. This is the order in which transformers takes them.
 */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { isJsonObject, isWhole, parseJson } from '../base/json.ts';
import type { Checkpoint } from '../files/checkpoint.ts';
import { readIfThere, utf8 } from '../files/whole.ts';

/** Ids of the end tokens; empty where the model names none. @throws {UserError} `CONFIG_INVALID`. */
export async function endTokens({ folder, config }: Checkpoint): Promise<readonly number[]> {
  const path = join(folder, 'generation_config.json');
  const bytes = await readIfThere(path, 'CONFIG_INVALID');
  const own = bytes === null ? {} : parseJson(utf8(bytes, path, 'CONFIG_INVALID'), path);
  const named = isJsonObject(own) ? own['eos_token_id'] : undefined;
  const isOwn = named !== undefined && named !== null;
  return idsOf(isOwn ? named : config['eos_token_id'], isOwn ? path : join(folder, 'config.json'));
}

function idsOf(value: unknown, where: string): readonly number[] {
  if (value === undefined || value === null) return [];
  const ids: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (ids.every(isWhole)) return [...new Set(ids)].sort((a, b) => a - b);
  throw new UserError('CONFIG_INVALID', `"eos_token_id" is ${JSON.stringify(value)}`, {
    where,
    fix: 'Write the id of the token that ends an answer, or a list of such ids.',
  });
}
