import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import {
  explainFileError,
  freeBytes,
  sha256OfBytes,
  sha256OfFile,
  writeFileAtomic,
} from '../../src/files/atomic.ts';

/** FIPS 180-4, example B.1: SHA-256 of "abc". */
const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
/** Example B.3 there: of a million times "a". */
const manyAs = 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0';
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atomic-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** What node:fs throws. */
function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function* broken(): Generator<string> {
  yield 'new';
  throw new Error('broke off');
}

describe('writeFileAtomic', () => {
  it('writes texts, bytes and pieces, over what was there, and leaves nothing beside', async () => {
    const path = join(folder, 'deep', 'er', 'a.txt');
    await writeFileAtomic(path, 'old and longer');
    await writeFileAtomic(path, Uint8Array.of(0x68, 0x69));
    expect(await readFile(path, 'utf8')).toBe('hi');
    await writeFileAtomic(path, ['é', new Uint8Array(0), Uint8Array.of(0x21), '\n']);
    expect(await readFile(path, 'utf8')).toBe('é!\n');
    expect(await readdir(join(folder, 'deep', 'er'))).toEqual(['a.txt']);
  });

  it('keeps pieces in their order, however many and large they are', async () => {
    const path = join(folder, 'lines.jsonl');
    const lines = Array.from({ length: 30_000 }, (_, i) => `${'é'.repeat(i % 5)}${i}\n`);
    const long = 'long'.repeat(2 ** 15);
    const bytes = Uint8Array.of(0xc3, 0xbc, 0x0a);
    await writeFileAtomic(path, [...lines, long, ...lines, bytes, 'end']);
    const all = lines.join('');
    expect(await readFile(path, 'utf8')).toBe(`${all}${long}${all}ü\nend`);
  });

  it('keeps the old file whole when the content breaks off', async () => {
    const path = join(folder, 'a.txt');
    await writeFileAtomic(path, 'old');
    await expect(writeFileAtomic(path, broken())).rejects.toThrow('broke off');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['a.txt']);
  });

  it('refuses to put a file where a folder is, or below a file', async () => {
    await mkdir(join(folder, 'taken', 'x'), { recursive: true });
    await expect(writeFileAtomic(join(folder, 'taken'), 'a')).rejects.toMatchObject({
      code: 'USAGE',
      what: 'this is a folder, not a file',
      where: join(folder, 'taken'),
    });
    await writeFile(join(folder, 'file'), '');
    await expect(writeFileAtomic(join(folder, 'file', 'b'), 'a')).rejects.toMatchObject({
      code: 'USAGE',
      what: 'something else of this name is in the way',
      where: join(folder, 'file', 'b'),
    });
    expect((await readdir(folder)).toSorted()).toEqual(['file', 'taken']);
  });
});

describe('sha256OfBytes and sha256OfFile', () => {
  it('match the standard’s example, for a text, for bytes and for a file', async () => {
    expect(sha256OfBytes('abc')).toBe(abc);
    expect(sha256OfBytes(Uint8Array.of(0x61, 0x62, 0x63))).toBe(abc);
    await writeFile(join(folder, 'abc'), 'abc');
    expect(await sha256OfFile(join(folder, 'abc'))).toBe(abc);
    await expect(sha256OfFile(join(folder, 'none'), 'RUN_INVALID')).rejects.toMatchObject({
      code: 'RUN_INVALID',
    });
  });

  it('match it for a million letters, which are read in several pieces', async () => {
    await writeFile(join(folder, 'many'), 'a'.repeat(1_000_000));
    expect(await sha256OfFile(join(folder, 'many'))).toBe(manyAs);
  });
});

describe('freeBytes', () => {
  it('answers for a folder that is yet to be made', async () => {
    const free = await freeBytes(join(folder, 'not', 'yet'));
    expect(Number.isSafeInteger(free)).toBe(true);
    expect(free).toBeGreaterThan(0);
  });
});

describe('explainFileError', () => {
  it.each([
    ['ENOSPC', 'DISK_FULL', 'no space left on the disk'],
    ['EDQUOT', 'DISK_FULL', 'no space left on the disk'],
    ['EACCES', 'RUN_INVALID', 'permission denied'],
    ['EROFS', 'RUN_INVALID', 'the disk is read-only'],
  ])('explains %s', (code, ours, what) => {
    const error = errno(code);
    const explained = explainFileError(error, 'a/b', 'RUN_INVALID');
    expect(explained).toBeInstanceOf(UserError);
    expect(explained).toMatchObject({
      code: ours,
      what,
      where: 'a/b',
      cause: error,
      fix: expect.any(String),
    });
  });

  it('passes on what nobody can mend by a path, and what is explained already', () => {
    const ours = new UserError('NOT_FINITE', 'x');
    for (const error of [errno('EMFILE'), new TypeError('defect'), 'text', undefined, ours]) {
      expect(explainFileError(error, 'a', 'USAGE')).toBe(error);
    }
  });
});
