/** Planes of several pairs: a name and a file for each. */

import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { encodeNpy } from '../../src/files/npy.ts';
import { importRun } from '../../src/record/importRun.ts';
import { openRun } from '../../src/record/run.ts';
import { projection } from '../../src/study/projections.ts';
import { scratchPath } from '../support/scratch.ts';

describe('projection', () => {
  it('names each plane apart, and short enough for an address', async () => {
    const [n, d] = [12, 5];
    const random = new Random('planes');
    const rows = scratchPath('rows.jsonl');
    writeFileSync(rows, Array.from({ length: n }, (_, i) => `{"id":"${i}"}\n`).join(''));
    const out = scratchPath('run');
    const long = 'n'.repeat(60);
    const names = ['a', 'a-b', 'b-c', 'c', 'C', `${long}1`, `${long}2`];
    for (const [i, checkpoint] of names.entries()) {
      const file = scratchPath(`${i}.npy`);
      const data = Float32Array.from({ length: n * d }, () => random.normal());
      writeFileSync(file, encodeNpy('<f4', [n, d], data));
      const common = { rows, out, position: 'last', site: 'resid_post.0', checkpoint };
      await importRun({ ...common, activations: [file], add: i > 0 });
    }
    const run = await openRun(out);
    const pairs = [
      ['a', 'b-c'],
      ['a-b', 'c'],
      ['a-b', 'C'],
      [`${long}1`, `${long}2`],
    ];
    const ids: string[] = [];
    for (const [before, after] of pairs) {
      const place = { position: 'last', site: 'resid_post.0' };
      const plane = await projection(run, { before, after, ...place });
      expect(plane?.pair).toBe(`${before}..${after}`);
      ids.push(plane?.id ?? '');
    }
    expect(new Set(ids).size).toBe(pairs.length);
    // As the viewer's server takes them.
    for (const id of ids) expect(id).toMatch(/^[a-z0-9][a-z0-9._-]{0,127}$/);
  });
});
