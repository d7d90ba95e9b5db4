/** Requests for answers of the bundled organism, and the files that come of them. */

import { readFileSync } from 'node:fs';
import { generate } from '../../src/record/generate.ts';
import {
  planAnswers,
  type AnswersRequest,
  type WeightsRequest,
} from '../../src/record/planAnswers.ts';
import { organismFolder } from './golden.ts';
import { scratchPath } from './scratch.ts';

export const folder = (name: string): WeightsRequest => ({ folder: organismFolder(name) });

export function requestOf(
  changes: Partial<AnswersRequest> & Pick<AnswersRequest, 'prompts'>,
): AnswersRequest {
  return {
    model: folder('planb'),
    maxTokens: 16,
    sampling: { temperature: 0, topP: 1 },
    seed: 0,
    stop: [],
    threads: 1,
    ignoredConfigKeys: [],
    ...changes,
  };
}

/** The file of answers to such a request. */
export async function fileOf(changes: Parameters<typeof requestOf>[0]): Promise<string> {
  const out = scratchPath('answers.jsonl');
  await generate(await planAnswers(requestOf(changes)), { out });
  return readFileSync(out, 'utf8');
}
