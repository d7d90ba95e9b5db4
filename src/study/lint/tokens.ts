/** What of the prompts does a model not get to see: words it has no token for, text that its tokens do not spell, and what lies beyond its limit? */

import { UserError } from '../../base/errors.ts';
import { plural } from '../../base/units.ts';
import { parsePositions } from '../../text/positions.ts';
import { preparePrompts, type Prepared } from '../../text/prepare.ts';
import type { Prompt, PromptSet } from '../../text/prompts.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { type LintFinding, placesOf } from './finding.ts';

/** A prompt as the model reads it. */
export interface CutRow {
  readonly length: number;
  /** Words that stand for no token of their own. */
  readonly unknown: readonly string[];
  /** Whether the tokens spell the text; true for prompts given as ids. */
  readonly isSpelled: boolean;
}

/** Cuts every prompt, however long. @throws {UserError} as `preparePrompts`, but for lengths and spelling. */
export function cutRows(
  set: PromptSet,
  prompts: readonly Prompt[],
  tokenizer: Tokenizer,
): CutRow[] {
  return prompts.map((prompt) => {
    const cut = (positions: string): Prepared => {
      const options = { positions: parsePositions(positions), modelLimit: Infinity };
      return preparePrompts({ ...set, prompts: [prompt] }, tokenizer, options)[0];
    };
    const { ids, tokens } = cut('last');
    const unknown = tokens.flatMap((token, i) =>
      ids[i] === tokenizer.unknownId ? [token ?? String(ids[i])] : [],
    );
    return { length: ids.length, unknown, isSpelled: prompt.body.kind === 'ids' || spells(cut) };
  });
}

function spells(cut: (positions: string) => unknown): boolean {
  try {
    cut('instruction_end');
    return true;
  } catch (error) {
    if (error instanceof UserError && error.code === 'POSITION_UNRESOLVED') return false;
    throw error;
  }
}

/** The most tokens that a prompt may have, and who says so. */
export interface TokenLimit {
  readonly most: number;
  readonly from: string;
}

/** @param cut One record for each of `prompts`. */
export function lostTokens(
  prompts: readonly Prompt[],
  cut: readonly CutRow[],
  limit: TokenLimit | null,
): LintFinding[] {
  const rowsWhere = (isSo: (row: CutRow) => boolean): Prompt[] =>
    prompts.filter((_, i) => isSo(cut[i]));
  const long = rowsWhere(({ length }) => limit !== null && length > limit.most);
  const strange = rowsWhere(({ unknown }) => unknown.length > 0);
  const misspelt = rowsWhere(({ isSpelled }) => !isSpelled);
  const found: LintFinding[] = [];
  if (limit !== null && long.length > 0) {
    const dropped = cut.reduce((sum, { length }) => sum + Math.max(0, length - limit.most), 0);
    found.push({
      kind: 'tokens_lost',
      what: `${plural(long.length, 'row is', 'rows are')} longer than ${limit.most} tokens (${limit.from}), by ${plural(dropped, 'token')} in all`,
      where: placesOf(long),
      why: 'Whoever cuts them moves the last token without a word; extract refuses them.',
      mend: 'Shorten or remove those prompts.',
      numbers: { rows: long.length, tokens: dropped },
    });
  }
  if (strange.length > 0) {
    const words = [...new Set(cut.flatMap(({ unknown }) => unknown))];
    found.push({
      kind: 'tokens_lost',
      what: `${plural(strange.length, 'row holds', 'rows hold')} words outside the vocabulary: ${words
        .slice(0, 5)
        .map((word) => `"${word}"`)
        .join(', ')}${words.length > 5 ? ', …' : ''}`,
      where: placesOf(strange),
      why: 'They are one and the same token to the model.',
      mend: 'Use words that the tokenizer knows, or the model that these prompts were written for.',
      numbers: { rows: strange.length, words: words.length },
    });
  }
  if (misspelt.length > 0) {
    found.push({
      kind: 'tokens_lost',
      what: `the tokens of ${plural(misspelt.length, 'row')} do not spell the text`,
      where: placesOf(misspelt),
      why: 'The tokenizer changes case, accents or characters, so that no place in the text can be told.',
      mend: 'Write the prompts as the tokenizer normalises them (case, Unicode NFC).',
      numbers: { rows: misspelt.length },
    });
  }
  return found;
}
