/** Digests on another thread: the same as on this one, whatever the file is. */

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { sha256Beside } from '../../src/files/digest.ts';
import { scratchPath } from '../support/scratch.ts';

const random = new Random(3);
/** Bytes of no round size, more than is read at once. */
const bytes = (count: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: count }, () => random.below(256)));

describe('sha256Beside', () => {
  it('is the digest of texts and then files, one after the other', async () => {
    const parts = [bytes(2 ** 20 + 7), bytes(0), bytes(2 ** 21 + 2 ** 19 + 1)];
    const paths = parts.map((part, i) => {
      const path = scratchPath(`part-${i}`);
      writeFileSync(path, part);
      return path;
    });
    const all = Buffer.concat([Buffer.from('größer\nb'), ...parts]);
    const whole = createHash('sha256').update(all).digest('hex');
    expect(await sha256Beside(['größer\n', 'b'], paths)).toBe(whole);
  });

  it('is that of the empty text for nothing', async () => {
    const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    expect(await sha256Beside([], [])).toBe(empty);
  });

  it('explains a file that cannot be read', async () => {
    const path = scratchPath('absent');
    await expect(sha256Beside([], [path], 'CHECKPOINT_MISSING')).rejects.toMatchObject({
      code: 'CHECKPOINT_MISSING',
      message: expect.stringContaining('there is no such file'),
    });
  });
});
