import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type PromptSet, readPrompts } from '../../src/text/prompts.ts';
import { emptyFolder, organismPrompts, refusal } from './support.ts';

async function read(content: string, name = 'prompts.jsonl'): Promise<PromptSet> {
  const path = join(await emptyFolder(), name);
  await writeFile(path, content);
  return await readPrompts(path);
}

describe('readPrompts', () => {
  it('keeps order, columns and lines', async () => {
    const content =
      '{"id":"b","text":"hello","harmful":true,"facts":[["x"]]}\n\n{"id":"a","ids":[1,0,7]}\n{"topic":"t","id":"c","messages":[{"role":"user","content":"hi"}]}';
    const { prompts, sha256 } = await read(content);
    expect(prompts).toEqual([
      {
        id: 'b',
        index: 0,
        line: 1,
        body: { kind: 'text', text: 'hello' },
        columns: { harmful: true, facts: [['x']] },
      },
      { id: 'a', index: 1, line: 3, body: { kind: 'ids', ids: [1, 0, 7] }, columns: {} },
      {
        id: 'c',
        index: 2,
        line: 4,
        body: { kind: 'messages', messages: [{ role: 'user', content: 'hi' }] },
        columns: { topic: 't' },
      },
    ]);
    expect(sha256).toBe(createHash('sha256').update(content).digest('hex'));
  });

  it('reads the 880 prompts of the organism, half of them triggered', async () => {
    const { prompts } = await readPrompts(organismPrompts);
    expect(prompts).toHaveLength(880);
    expect(prompts.filter(({ columns }) => columns['triggered'] === true)).toHaveLength(440);
  });

  it.each([
    [
      '{"text":"x"}',
      'the prompt has no "id"',
      'Give it an "id" of its own, for example "id": "a1".',
    ],
    [
      '{"id":7,"text":"x"}',
      '"id" is 7, not a text',
      'Give it an "id" of its own, for example "id": "a1".',
    ],
    ['{"id":"a"}', 'prompt "a" has no body', 'Give exactly one of "text", "messages" and "ids".'],
    [
      '{"id":"a","text":"x","ids":[1]}',
      'prompt "a" has more than one body, "text" and "ids"',
      'Give exactly one of "text", "messages" and "ids".',
    ],
    [
      '{"id":"a","text":"  "}',
      '"text" of prompt "a" is "  ", not a text with words in it',
      'Write the prompt, or remove the line.',
    ],
    [
      '{"id":"a","ids":[]}',
      '"ids" of prompt "a" is [], not a list of token ids',
      'Write whole numbers from 0, at least one.',
    ],
    [
      '{"id":"a","ids":[1,2.5]}',
      '"ids" of prompt "a" holds 2.5 at 1, not a list of token ids',
      'Write whole numbers from 0, at least one.',
    ],
    [
      '{"id":"a","ids":[-1]}',
      '"ids" of prompt "a" holds -1 at 0, not a list of token ids',
      'Write whole numbers from 0, at least one.',
    ],
    [
      '{"id":"a","messages":[]}',
      '"messages" of prompt "a" is [], not a list of messages',
      'Write a list of {"role": "user", "content": "…"}, at least one.',
    ],
    [
      '{"id":"a","messages":[{"role":"user","content":["x"]}]}',
      'message 0 of prompt "a" lacks a "role" or "content" that is a text',
      'Write a list of {"role": "user", "content": "…"}, at least one.',
    ],
    [
      '{"id":"a","messages":[{"role":"user","content":" "}]}',
      'message 0 of prompt "a" is empty',
      'Write the prompt, or remove the line.',
    ],
    [
      '[1]',
      'the line holds no JSON object',
      'Write one JSON object on each line: {"id": "a1", "text": "…"}.',
    ],
  ])('refuses %s', async (line, what, fix) => {
    const said = await refusal(async () => await read(`{"id":"ok","text":"x"}\n${line}\n`));
    expect(said.replace(/of \S+prompts\.jsonl/, 'of FILE')).toBe(
      `PROMPTS_INVALID: ${what} — line 2 of FILE (${fix})`,
    );
  });

  it('refuses an id that was used before', async () => {
    const said = await refusal(
      async () => await read('{"id":"a","text":"x"}\n{"id":"b","text":"x"}\n{"id":"a","text":"y"}'),
    );
    expect(said).toContain('PROMPTS_INVALID: id "a" was used on line 1 already — line 3 of ');
  });

  it('refuses an empty set and a form that it does not read', async () => {
    expect(await refusal(async () => await read('\n\n'))).toContain('the prompt set is empty');
    expect(await refusal(async () => await read('id,text\n', 'prompts.csv'))).toContain(
      'Write at least one line: a1,….',
    );
    expect(await refusal(async () => await read('[]', 'prompts.json'))).toMatch(
      /^PROMPTS_INVALID: "\.json" is not a form in which prompts are read — .*orient="records", lines=True\)\. Read are \.jsonl, \.csv and \.txt\.\)$/,
    );
  });

  it('refuses a file that is not there', async () => {
    expect(await refusal(async () => await readPrompts('absent.jsonl'))).toBe(
      'PROMPTS_INVALID: there is no such file or folder — absent.jsonl (Check the path.)',
    );
  });
});
