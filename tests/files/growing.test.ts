import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openGrowing, type Growing } from '../../src/files/growing.ts';
import { scratchPath } from '../support/scratch.ts';

const plan = { schema: 'test/1', seed: 3, stop: ['a'] };

async function opened(path: string): Promise<Growing> {
  const growing = await openGrowing(path, plan);
  if (growing === null) throw new Error('it is complete');
  return growing;
}

describe('openGrowing', () => {
  it('keeps lines through a stop and puts the file in place at the end, with its plan', async () => {
    const path = scratchPath('answers.jsonl');
    const first = await opened(path);
    first.append({ id: 'b' });
    first.append({ id: 'ü\n' });
    first.sync();
    await first.close();
    expect(existsSync(path)).toBe(false);
    const second = await opened(path);
    expect(second.values).toEqual([{ id: 'b' }, { id: 'ü\n' }]);
    second.append({ id: 'c' });
    await second.finish([{ id: 'a' }, { id: 'b' }]);
    await second.close();
    expect(readFileSync(path, 'utf8')).toBe('{"id":"a"}\n{"id":"b"}\n');
    expect(JSON.parse(readFileSync(`${path}.plan.json`, 'utf8'))).toEqual(plan);
    expect(existsSync(`${path}.partial`)).toBe(false);
    expect(await openGrowing(path, plan)).toBeNull();
  });

  it.each([
    ['half a line', '{"id":"to'],
    ['a line of zeros, as after a power cut', '\0\0\0\0\n{"id":"late"}\n'],
    ['a line cut inside a letter', Buffer.from([0x22, 0xc3])],
  ])('cuts off %s and goes on behind what is whole', async (_name, torn) => {
    const path = scratchPath('answers.jsonl');
    const first = await opened(path);
    first.append({ id: 'whole' });
    await first.close();
    const lines = `${path}.partial/lines.jsonl`;
    appendFileSync(lines, torn);
    const second = await opened(path);
    expect(second.values).toEqual([{ id: 'whole' }]);
    second.append({ id: 'next' });
    await second.close();
    expect(readFileSync(lines, 'utf8')).toBe('{"id":"whole"}\n{"id":"next"}\n');
  });

  it('refuses another plan, begun or complete, and names what differs', async () => {
    const path = scratchPath('answers.jsonl');
    const first = await opened(path);
    await first.close();
    const other = { ...plan, seed: 4, stop: [] };
    await expect(openGrowing(path, other)).rejects.toMatchObject({
      code: 'PLAN_CONFLICT',
      what: 'the file was begun with other seed, stop',
    });
    const again = await opened(path);
    await again.finish([]);
    await again.close();
    await expect(openGrowing(path, { ...plan, more: 1 })).rejects.toMatchObject({
      code: 'PLAN_CONFLICT',
      what: 'the file was made with other more',
    });
  });

  it('refuses a file that it did not write', async () => {
    const path = scratchPath('answers.jsonl');
    writeFileSync(path, 'mine\n');
    await expect(openGrowing(path, plan)).rejects.toMatchObject({
      code: 'PLAN_CONFLICT',
      what: 'the file is there, and no plan beside it says what it is',
    });
    expect(readFileSync(path, 'utf8')).toBe('mine\n');
  });

  it('refuses a second writer while the first one lives', async () => {
    const path = scratchPath('answers.jsonl');
    mkdirSync(`${path}.partial`);
    writeFileSync(`${path}.partial/lock`, '1\n');
    await expect(openGrowing(path, plan)).rejects.toMatchObject({ code: 'RUN_BUSY' });
  });

  it('clears up after a process that was killed once the file was in place', async () => {
    const path = scratchPath('answers.jsonl');
    const growing = await opened(path);
    await growing.finish([]);
    mkdirSync(`${path}.partial`);
    writeFileSync(`${path}.partial/lines.jsonl`, '');
    expect(await openGrowing(path, plan)).toBeNull();
    expect(existsSync(`${path}.partial`)).toBe(false);
  });
});
