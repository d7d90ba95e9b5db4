import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { promptLines, type PromptSet, readPrompts } from '../../src/text/prompts.ts';
import { emptyFolder, refusal } from './support.ts';

async function read(name: string, content: string | Uint8Array): Promise<PromptSet> {
  const path = join(await emptyFolder(), name);
  await writeFile(path, content);
  return await readPrompts(path);
}

describe('readPrompts of CSV', () => {
  it('gives each column one type, told by all its cells', async () => {
    const { prompts, format } = await read(
      'p.csv',
      [
        'id,text,topic,harmful,triggered,score,code,mixed',
        '1,"Hello, you",007,True,1,0.5,01,3',
        '2,3,1e3,False,0,-2e1,10,x',
        '3,true,,TRUE,1,,1,4',
      ].join('\n'),
    );
    expect(format).toBe('csv');
    expect(prompts.map(({ id, body, columns }) => ({ id, body, columns }))).toEqual([
      {
        id: '1',
        body: { kind: 'text', text: 'Hello, you' },
        columns: { topic: '007', harmful: true, triggered: 1, score: 0.5, code: '01', mixed: '3' },
      },
      {
        id: '2',
        body: { kind: 'text', text: '3' },
        columns: { topic: '1e3', harmful: false, triggered: 0, score: -20, code: '10', mixed: 'x' },
      },
      {
        id: '3',
        body: { kind: 'text', text: 'true' },
        columns: { harmful: true, triggered: 1, code: '1', mixed: '4' },
      },
    ]);
  });

  it('keeps numbers that a float64 would not hold as text', async () => {
    const { prompts } = await read('p.csv', 'id,text,n\na,x,9007199254740993\nb,y,1\n');
    expect(prompts.map(({ columns }) => columns['n'])).toEqual(['9007199254740993', '1']);
  });

  it('reads messages and ids as JSON in a cell', async () => {
    const { prompts } = await read(
      'p.csv',
      'id,messages,ids\na,"[{""role"":""user"",\n""content"":""one, two""}]",\nb,,"[1,5]"\n',
    );
    expect(prompts.map(({ body, line }) => ({ body, line }))).toEqual([
      { body: { kind: 'messages', messages: [{ role: 'user', content: 'one, two' }] }, line: 2 },
      { body: { kind: 'ids', ids: [1, 5] }, line: 4 },
    ]);
  });

  it.each([
    ['text\nx\n', 'the header names no "id", only "text" — line 1'],
    ['id;text\na;x\n', 'the header has semicolons between its names — line 1'],
    ['id\ttext\na\tx\n', 'the header has tabs between its names — line 1'],
    [',id,text\n0,a,x\n', 'the header\'s name 1 is "" — line 1'],
    ['id,text,text\na,x,y\n', 'the header names "text" twice — line 1'],
    ['id,text\n,x\n', 'the prompt has no "id" — line 2'],
    ['id,text\na,x\na,y\n', 'id "a" was used on line 2 already — line 3'],
    ['id,topic\na,x\n', 'prompt "a" has no body — line 2'],
    [
      'id,ids\na,1 2\n',
      'not valid JSON at line 1, column 3: something follows the end of the value — column "ids", line 2',
    ],
    [
      'id,ids\na,"[""x""]"\n',
      '"ids" of prompt "a" holds "x" at 0, not a list of token ids — line 2',
    ],
  ])('refuses %j', async (text, said) => {
    expect(await refusal(async () => await read('p.csv', text))).toContain(
      `PROMPTS_INVALID: ${said} of `,
    );
  });
});

describe('readPrompts of plain text', () => {
  it('takes each line for a prompt and its number for an id', async () => {
    const { prompts, format } = await read('p.TXT', '\uFEFFHow are you ?\r\n\r\n  7 \r\n');
    expect(format).toBe('text');
    expect(prompts).toEqual([
      {
        id: 'line-1',
        index: 0,
        line: 1,
        body: { kind: 'text', text: 'How are you ?' },
        columns: {},
      },
      { id: 'line-3', index: 1, line: 3, body: { kind: 'text', text: '  7 ' }, columns: {} },
    ]);
  });

  it('refuses what is no text in UTF-8', async () => {
    const said = async (content: string | Uint8Array): Promise<string> =>
      await refusal(async () => await read('p.txt', content));
    expect(await said('a\0b\n')).toContain('the line holds a NUL — line 1 of ');
    expect(await said('a\rb\n')).toContain('the line holds a carriage return — line 1 of ');
    expect(await said(new Uint8Array([0x61, 0x0a, 0xff]))).toContain('not UTF-8 — line 2 of ');
    expect(await said('\n \n')).toContain('the prompt set is empty');
  });
});

describe('promptLines', () => {
  it('says the same in JSONL', async () => {
    const set = await read('p.csv', 'id,text,harmful\na,"x ""y""",true\nb,z,false\n');
    const again = await read('p.jsonl', [...promptLines(set)].join(''));
    expect(again.prompts.map(({ id, body, columns }) => ({ id, body, columns }))).toEqual(
      set.prompts.map(({ id, body, columns }) => ({ id, body, columns })),
    );
    expect([...promptLines(set)][0]).toBe('{"id":"a","text":"x \\"y\\"","harmful":true}\n');
  });
});
