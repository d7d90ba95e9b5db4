/** Is what a scratch file gives back what was written under that name, and nothing else? */

import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openScratch, scratchBytes } from '../../src/files/scratch.ts';
import { scratchPath } from '../support/scratch.ts';

const sizes = [4, 2];

describe('a scratch file', () => {
  it('gives parts back, also to who opens it later', () => {
    const path = scratchPath('scratch');
    const first = openScratch(path, sizes);
    first.write(0, 'a', Float32Array.of(1, 2, 3));
    first.write(1, 'a', Float32Array.of(-0, 5));
    first.sync();
    first.close();
    expect(readFileSync(path)).toHaveLength(scratchBytes(sizes));
    const second = openScratch(path, sizes);
    expect(second.read(0, 'a')).toEqual(Float32Array.of(1, 2, 3));
    expect(second.read(1, 'a')).toEqual(Float32Array.of(-0, 5));
    second.close();
  });

  it('gives nothing that was not written, was written under another tag, cut off or changed', () => {
    const path = scratchPath('scratch');
    const file = openScratch(path, sizes);
    expect(file.read(0, 'a')).toBeNull();
    file.write(0, 'a', Float32Array.of(1, 2, 3, 4));
    expect(file.read(0, 'b')).toBeNull();
    const bytes = readFileSync(path);
    for (let at = 0; at < 40 + 16; at++) {
      const changed = Buffer.from(bytes);
      changed[at] ^= 1;
      writeFileSync(path, changed);
      expect(file.read(0, 'a'), `byte ${at}`).toBeNull();
    }
    writeFileSync(path, bytes);
    expect(file.read(0, 'a')).not.toBeNull();
    truncateSync(path, 50);
    expect(file.read(0, 'a')).toBeNull();
    file.close();
  });
});
