import { writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCsv } from '../../src/files/csv.ts';
import { scratchPath } from '../support/scratch.ts';
import { refusal } from '../text/support.ts';

async function read(content: string | Uint8Array): Promise<readonly (readonly string[])[]> {
  const path = scratchPath('cells.csv');
  await writeFile(path, content);
  const found: (readonly string[])[] = [];
  for await (const { line, cells } of readCsv(path)) found.push([String(line), ...cells]);
  return found;
}

describe('readCsv', () => {
  it('gives back what was written by the rules of RFC 4180, whatever it was', async () => {
    const cell = fc
      .array(fc.constantFrom('a', ',', '"', '\n', ' ', 'é', '😀', "'", ';'), { maxLength: 6 })
      .map((parts) => parts.join(''));
    const rows = fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(rows, fc.boolean(), fc.boolean(), async (written, crlf, ends) => {
        const end = crlf ? '\r\n' : '\n';
        const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
        const text = written.map((row) => row.map(quote).join(',')).join(end) + (ends ? end : '');
        const found = await read(text);
        expect(found.map(([, ...cells]) => cells)).toEqual(written);
      }),
      { seed: 20261128, numRuns: 60 },
    );
  });

  it('reads bare cells, empty ones, a mark of byte order, CRLF and blank lines', async () => {
    const bytes = new Uint8Array([
      0xef,
      0xbb,
      0xbf,
      ...new TextEncoder().encode('a,b\r\n\r\n, x \r\n'),
    ]);
    expect(await read(bytes)).toEqual([
      ['1', 'a', 'b'],
      ['3', '', ' x '],
    ]);
  });

  it('counts the line on which a record begins', async () => {
    expect(await read('a,b\n"x\n\ny",1\nz,2\n')).toEqual([
      ['1', 'a', 'b'],
      ['2', 'x\n\ny', '1'],
      ['5', 'z', '2'],
    ]);
  });

  it.each([
    ['a,b\nx\n', 'the record has 1 cells, and the header 2 — line 2'],
    ['a,b\nx,y,z\n', 'the record has 3 cells, and the header 2 — line 2'],
    ['a,b\nx,say "hi"\n', 'a quotation mark stands inside the cell "say \\"hi\\"" — line 2'],
    ['a,b\n"x"y,z\n', '"y,z" follows the end of a cell in quotation marks — line 2'],
    ['a,b\nx,"y\nz,1\n', 'a quotation mark opens a cell that never ends — line 2'],
    ['a,b\nx\0,y\n', 'the line holds a NUL — line 2'],
    ['a,b\rx,y\r', 'a line ends in a carriage return alone — line 1'],
  ])('refuses %j', async (text, said) => {
    expect(await refusal(async () => await read(text))).toContain(`PROMPTS_INVALID: ${said} of `);
  });

  it('refuses bytes that are not UTF-8, by line', async () => {
    const latin = new Uint8Array([0x61, 0x0a, 0xe9, 0x0a]);
    expect(await refusal(async () => await read(latin))).toContain(
      'the line is not UTF-8 — line 2',
    );
    const utf16 = new Uint8Array(Buffer.from('\uFEFFa,b\n', 'utf16le'));
    expect(await refusal(async () => await read(utf16))).toContain(
      'the line is not UTF-8 — line 1',
    );
  });
});
