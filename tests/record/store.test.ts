import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openRunWriter } from '../../src/record/store.ts';
import { floatsOf, readTensors } from '../support/golden.ts';
import { scratchPath } from '../support/scratch.ts';

const identity = { core: {}, checkpoints: [] };
const files = [{ site: 'logits', shape: [2], positions: [{ name: 'last', rows: 3 }] }];

describe('openCheckpoint', () => {
  it('goes on after the last whole line of a journal, and after a torn one as well', async () => {
    const out = scratchPath('run');
    const journal = join(out, '.partial', 'a.journal');
    for (const [text, done] of [
      ['', 0],
      ['7\n', 7],
      ['3\n7\n1', 7],
      ['12', 0],
      ['7\ngarbage\n', 0],
    ] as const) {
      const run = await openRunWriter(out, identity, 'float32');
      (await run.openCheckpoint('a', files)).close();
      writeFileSync(journal, text);
      const writer = await run.openCheckpoint('a', files);
      expect(writer.done, text).toBe(done);
      // What is appended next must be read as it is, or a hundred batches would pass for done.
      writer.commit(9, true);
      writer.close();
      const again = await run.openCheckpoint('a', files);
      expect(again.done, `${text}, then 9`).toBe(9);
      again.close();
      await run.close();
    }
  });

  it('writes rows where their number says', async () => {
    const out = scratchPath('run');
    const run = await openRunWriter(out, identity, 'float32');
    const writer = await run.openCheckpoint('a', files);
    writer.writeRows('logits', 'last', 1, Float32Array.of(1, 2, 3, 4));
    writer.commit(1, true);
    await writer.settle();
    await run.close();
    const path = join(out, 'activations', 'a', 'logits.safetensors');
    const { shape, ...rest } = readTensors(path).get('last')!;
    expect(shape).toEqual([3, 2]);
    expect([...floatsOf({ shape, ...rest })]).toEqual([0, 0, 1, 2, 3, 4]);
    expect(readFileSync(path).length % 8).toBe(0);
  });
});
