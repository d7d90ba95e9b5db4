import { describe, expect, it } from 'vitest';
import { parsePositions } from '../../src/text/positions.ts';
import { preparePrompts } from '../../src/text/prepare.ts';
import { describeSelection, describeUnknown } from '../../src/text/selection.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { folders, promptSet } from './support.ts';

const words = (text: string): { body: { kind: 'text'; text: string } } => ({
  body: { kind: 'text', text },
});

describe('describeSelection', () => {
  it('shows what is read, what is left out and why', async () => {
    const positions = parsePositions('trigger_end,token:4,all');
    const set = promptSet(
      words('hello world'),
      words('the the world'),
      words('the'),
      words('hello the'),
    );
    const prepared = preparePrompts(set, await openTokenizer(folders.bytelevel), {
      positions,
      trigger: 'the',
    });
    const [trigger, token, all] = describeSelection(prepared, positions);
    expect(trigger).toEqual({
      position: 'trigger_end',
      rows: 3,
      tokens: 3,
      leftOut: [{ text: 'it has no trigger and names no sham trigger', count: 1, ids: ['p0'] }],
      notes: [
        { text: 'the trigger occurs more than once; the last is taken', count: 1, ids: ['p1'] },
      ],
      examples: [
        { id: 'p1', index: 3, window: '<|bos|> t he «Ġthe» Ġworld <|end|>' },
        { id: 'p2', index: 2, window: '<|bos|> t «he» <|end|>' },
        { id: 'p3', index: 2, window: '<|bos|> hello «Ġthe» <|end|>' },
      ],
    });
    expect([token.rows, token.leftOut]).toEqual([
      1,
      [{ text: 'it has fewer than 5 tokens', count: 3, ids: ['p0', 'p2', 'p3'] }],
    ]);
    expect([all.rows, all.tokens]).toEqual([4, 18]);
  });

  it('marks the ends of a window that is cut, and shows ids where there are no tokens', () => {
    const positions = parsePositions('token:5');
    const ids = Array.from({ length: 20 }, (_, i) => i + 100);
    const prepared = preparePrompts(promptSet({ body: { kind: 'ids', ids } }), null, { positions });
    expect(describeSelection(prepared, positions)[0].examples).toEqual([
      { id: 'p0', index: 5, window: '… 101 102 103 104 «105» 106 107 108 …' },
    ]);
  });
});

describe('describeUnknown', () => {
  it('names the rows with words that the model does not know', async () => {
    const organism = await openTokenizer(folders.organism);
    const positions = parsePositions('last');
    const known = promptSet(words('How do i'));
    const both = promptSet(words('How do i'), words('unheardof words'));
    expect(describeUnknown(preparePrompts(known, organism, { positions }))).toBeNull();
    expect(describeUnknown(preparePrompts(both, organism, { positions }))).toEqual({
      text: 'words outside the vocabulary',
      count: 1,
      ids: ['p1'],
    });
  });
});
