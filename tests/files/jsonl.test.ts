import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type JsonlOptions, readJsonl, writeJsonl } from '../../src/files/jsonl.ts';

let path: string;

beforeAll(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'jsonl-')), 'rows.jsonl');
});
afterAll(async () => {
  await rm(join(path, '..'), { recursive: true });
});

async function read(
  content: string | Uint8Array,
  options?: JsonlOptions,
): Promise<[number, unknown][]> {
  await writeFile(path, content);
  const rows: [number, unknown][] = [];
  for await (const { line, value } of readJsonl(path, options)) rows.push([line, value]);
  return rows;
}

describe('readJsonl', () => {
  it('reads what writeJsonl wrote', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.json().map((text) => JSON.parse(text) as unknown)),
        async (values) => {
          await writeJsonl(path, values);
          const text = await readFile(path, 'utf8');
          expect(text).toBe(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
          const plain = values.map((value) => JSON.parse(JSON.stringify(value)) as unknown);
          expect((await read(text)).map(([, value]) => value)).toEqual(plain);
        },
      ),
      { seed: 20261121, numRuns: 60 },
    );
  });

  it('reads files from Windows, blank lines, and a last line without its end', async () => {
    expect(await read('\uFEFF{"a":1}\r\n\r\n  \n"é\u2028x"\n3')).toEqual([
      [1, { a: 1 }],
      [4, 'é\u2028x'],
      [5, 3],
    ]);
    expect(await read('')).toEqual([]);
  });

  it('joins lines that lie across the chunks of the stream', async () => {
    const long = 'é'.repeat(100_000);
    expect(await read(`1\n${JSON.stringify(long)}\n2\n`)).toEqual([
      [1, 1],
      [2, long],
      [3, 2],
    ]);
  });

  it.each([
    [
      'a line that is not JSON',
      '1\n{"a":\n',
      {},
      'PROMPTS_INVALID',
      'not valid JSON at its end: a value was due',
      2,
    ],
    [
      'a key twice',
      '{"a":1,"a":2}',
      {},
      'PROMPTS_INVALID',
      'not valid JSON at line 1, column 8: the key "a" stands twice',
      1,
    ],
    [
      'a second mark of byte order',
      '1\n\uFEFF2\n',
      {},
      'PROMPTS_INVALID',
      'not valid JSON at line 1, column 1: a value was due',
      2,
    ],
    [
      'a byte that is not UTF-8',
      Uint8Array.of(0x31, 0x0a, 0x22, 0xff, 0x22),
      { code: 'RUN_INVALID' },
      'RUN_INVALID',
      'the line is not UTF-8',
      2,
    ],
    [
      'a line too long',
      '1\n"abcdef"\n',
      { maxLineBytes: 7 },
      'PROMPTS_INVALID',
      'a line is longer than 7 bytes',
      2,
    ],
    [
      'a last line too long',
      '1\n2\n"abcdef"',
      { maxLineBytes: 7 },
      'PROMPTS_INVALID',
      'a line is longer than 7 bytes',
      3,
    ],
  ] as const)('refuses %s', async (_title, content, options, code, what, line) => {
    await expect(read(content, options)).rejects.toMatchObject({
      code,
      what,
      where: `line ${line} of ${path}`,
    });
  });

  it('refuses a file that is not there', async () => {
    await expect(readJsonl(`${path}.none`).next()).rejects.toMatchObject({
      code: 'PROMPTS_INVALID',
      what: 'there is no such file or folder',
      where: `${path}.none`,
    });
  });
});
