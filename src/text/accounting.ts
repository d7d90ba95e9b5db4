/**
 * What did cutting prompts into tokens add to them, and what did it take away?
 *
 * A missing or a second BOS moves every activation and shows in no number, so both are counted and said.
 * Nothing is ever cut off: a prompt beyond the limit is refused before this.
 */

import { formatCount, plural } from '../base/units.ts';
import type { BosSource, Prepared } from './prepare.ts';
import type { Prompt } from './prompts.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TokenAccount {
  /** Prompts by who put the BOS in front; null where the tokenizer has none, or there is no tokenizer. */
  readonly bos: BosAccount | null;
  /** Tokens that were cut off: none ever are. */
  readonly dropped: 0;
  /** Longest prompt, forced reply included, and the limit of the command. */
  readonly longest: number;
  readonly limit: number | null;
  /** What a reader should know, one sentence each. */
  readonly remarks: readonly string[];
}

export interface BosAccount {
  readonly token: string;
  readonly tokenizer: number;
  readonly template: number;
  readonly prompt: number;
  readonly none: number;
  /** Prompts in which it stands more than once. */
  readonly repeated: number;
}

/** @param prompts Of the rows of `prepared`, in their order. */
export function accountFor(
  prepared: readonly Prepared[],
  prompts: readonly Prompt[],
  tokenizer: Tokenizer | null,
  limit: number | null,
): TokenAccount {
  const bos = tokenizer === null ? null : bosAccount(prepared, tokenizer);
  return {
    bos,
    dropped: 0,
    longest: prepared.reduce((most, { ids }) => Math.max(most, ids.length), 0),
    limit,
    remarks: tokenizer === null ? [] : remarksOn(prepared, prompts, tokenizer, bos),
  };
}

function bosAccount(
  prepared: readonly Prepared[],
  { bosToken, bosId }: Tokenizer,
): BosAccount | null {
  if (bosToken === null || bosId === null) return null;
  const putBy = (source: BosSource | null): number =>
    prepared.filter(({ bos }) => bos === source).length;
  return {
    token: bosToken,
    tokenizer: putBy('tokenizer'),
    template: putBy('template'),
    prompt: putBy('prompt'),
    none: putBy(null),
    repeated: prepared.filter(({ ids }) => ids.indexOf(bosId) !== ids.lastIndexOf(bosId)).length,
  };
}

function remarksOn(
  prepared: readonly Prepared[],
  prompts: readonly Prompt[],
  tokenizer: Tokenizer,
  bos: BosAccount | null,
): string[] {
  const remarks: string[] = [];
  if (bos !== null && bos.repeated > 0) {
    remarks.push(
      `${plural(bos.repeated, 'prompt holds', 'prompts hold')} "${bos.token}" more than once`,
    );
  }
  const bare = prompts.filter(
    ({ body }, i) => body.kind === 'messages' && prepared[i].bos === null,
  );
  if (bare.length > 0 && bos !== null && addsBos(tokenizer)) {
    remarks.push(
      `the chat template writes no "${bos.token}", though the tokenizer puts one before plain text; the template is followed`,
    );
  }
  const plain = prompts.filter(({ body }) => body.kind === 'text').length;
  if (plain > 0 && tokenizer.chatTemplate !== null) {
    remarks.push(
      `${plural(plain, 'prompt goes', 'prompts go')} in as plain text, though the model has a chat template; give them as messages to have it applied`,
    );
  }
  return remarks;
}

/** Asked of a single letter, and only where it matters. */
function addsBos(tokenizer: Tokenizer): boolean {
  return tokenizer.encode('a', { addSpecialTokens: true }).ids[0] === tokenizer.bosId;
}

/** The account in a few lines of words. */
export function accountLines({ bos, longest, limit, remarks }: TokenAccount): string[] {
  const sources =
    bos === null
      ? []
      : (
          [
            [bos.template, 'by the chat template'],
            [bos.tokenizer, 'by the tokenizer'],
            [bos.prompt, 'in the prompt itself'],
            [bos.none, 'without'],
          ] as const
        ).filter(([count]) => count > 0);
  const counts = sources.map(([count, source]) => `${formatCount(count)} ${source}`).join(', ');
  const refuses = limit === null ? '' : `, --token-limit ${limit} refuses longer ones`;
  return [
    ...(bos === null ? [] : [`BOS "${bos.token}": ${counts}`]),
    `0 tokens cut off: prompts are never cut${refuses}; the longest has ${longest}`,
    ...remarks,
  ];
}
