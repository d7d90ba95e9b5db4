/**
 * Rows that are all alike, and checkpoints that did not move: what has no direction must not be given one.
 *
 * Both are ordinary. The last token of a chat template is the same in every prompt, so that its embedding is, and
 * adapters leave embeddings as they were.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { encodeSafetensors } from '../../src/files/safetensors.ts';
import { importRun } from '../../src/record/importRun.ts';
import { openRun, type Run } from '../../src/record/run.ts';
import { parseReport } from '../../src/server/schemas.ts';
import { contrastLines } from '../../src/cli/contrastTable.ts';
import { geometryLines } from '../../src/cli/geometryTable.ts';
import { shiftContrast, type ContrastRequest } from '../../src/study/contrasts.ts';
import { geometryOf, type GeometryRequest } from '../../src/study/geometries.ts';
import { projection } from '../../src/study/projections.ts';
import { extendReport } from '../../src/study/report.ts';
import { shiftMap } from '../../src/study/shiftMaps.ts';
import { shiftCurve } from '../../src/study/shifts.ts';
import { scratchPath } from '../support/scratch.ts';

const [topics, d] = [24, 12];
const rows = Array.from({ length: 4 * topics }, (_, i) => ({
  id: `row ${i}`,
  topic: `t${Math.floor(i / 4)}`,
  harmful: Math.floor(i / 4) % 2 === 0,
  triggered: i % 2 === 0,
}));

let run: Run;

/** `before`, `still` with the same numbers, and `moved`, whose embedding of the one token is another. */
beforeAll(async () => {
  const random = new Random('still');
  const vector = (): number[] => Array.from({ length: d }, () => random.normal());
  const [token, other] = [vector(), vector()];
  const states = rows.map(vector);
  const pushed = states.map((row) => row.map((value) => value + random.normal() / 3));
  const rowsFile = scratchPath('rows.jsonl');
  writeFileSync(rowsFile, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const out = scratchPath('run');
  const checkpoints = {
    before: [token, states],
    still: [token, states],
    moved: [other, pushed],
  } as const;
  for (const [checkpoint, [embedding, deep]] of Object.entries(checkpoints)) {
    const file = scratchPath(`${checkpoint}.safetensors`);
    const tensor = (name: string, values: readonly (readonly number[])[]) => ({
      name,
      dtype: 'F32' as const,
      shape: [rows.length, d],
      data: Float32Array.from(values.flat()),
    });
    const sites = [
      tensor(
        'resid_pre.0',
        rows.map(() => embedding),
      ),
      tensor('resid_post.0', deep),
    ];
    writeFileSync(file, encodeSafetensors(sites, { of: checkpoint }));
    const add = checkpoint !== 'before';
    await importRun({
      activations: [file],
      rows: rowsFile,
      out,
      checkpoint,
      position: 'last',
      add,
    });
  }
  run = await openRun(out);
});

const asked: ContrastRequest = {
  before: 'before',
  after: 'moved',
  control: null,
  position: 'last',
  siteKind: 'resid_pre',
  where: 'harmful',
  benign: '!harmful',
  trigger: 'triggered',
  settings: { groups: 'topic', bootstraps: 40, permutations: 39, splits: 19, folds: 3, seed: 0 },
};

const geometry: GeometryRequest = {
  before: 'before',
  after: 'moved',
  position: 'last',
  siteKind: 'resid_pre',
  where: '',
  benign: '!harmful',
  labels: ['harmful'],
  groups: 'topic',
  draws: 19,
  seed: 0,
};

describe('a shift that is the same in all rows', () => {
  it('has a size and a cosine, and no residual', async () => {
    const { points } = await shiftContrast(run, asked);
    const [point] = points;
    expect(point.sets[0].relative_size.value).toBeGreaterThan(0.5);
    expect(point.cosine.value).toBeCloseTo(1, 12);
    expect(point.residuals.map(({ relative_size: size }) => size.value)).toEqual([0, 0]);
    expect(point.residuals.map(({ p }) => p)).toEqual([1, 1]);
    const { value, low, ceiling, nulls } = point.residual_cosine;
    expect([value, low, ceiling, nulls]).toEqual([null, null, null, []]);
    expect(point.residual_projection.value).toBeNull();
    expect(point.affine).toBeNull();
    expect(point.sets.map(({ effective_rank: rank }) => rank)).toEqual([null, null, null, null]);
  });
});

describe('a checkpoint that did not move', () => {
  it('agrees in direction with nothing, and beats no null', async () => {
    for (const siteKind of ['resid_pre', 'resid_post']) {
      const { points } = await shiftContrast(run, { ...asked, after: 'still', siteKind });
      expect(points).toHaveLength(1);
      for (const { cosine, residual_cosine: residual } of points) {
        expect([cosine.value, cosine.nulls]).toEqual([null, []]);
        expect([residual.value, residual.nulls]).toEqual([null, []]);
      }
    }
  });

  it('has no plane, and no cosine in a curve of shifts', async () => {
    const pair = { before: 'before', after: 'still', position: 'last' };
    expect(await projection(run, { ...pair, site: 'resid_post.0' })).toBeNull();
    const sets = { harmful: 'harmful', harmless: '!harmful' };
    const chance = { groups: 'topic', bootstraps: 19, seed: 0 };
    const curve = await shiftCurve(run, {
      ...pair,
      siteKind: 'resid_post',
      sets,
      cosines: [['harmful', 'harmless']],
      ...chance,
    });
    expect(curve.points.map(({ cosines }) => cosines)).toEqual([[]]);
  });
});

describe('sites at which all rows are alike', () => {
  it('hold no plane and no geometry', async () => {
    const pair = { before: 'before', after: 'moved', position: 'last' };
    for (const basis of ['pooled', 'temporal'] as const) {
      expect(await projection(run, { ...pair, basis, site: 'resid_pre.0' })).toBeNull();
    }
    expect(await geometryOf(run, geometry)).toBeNull();
  });
});

describe('the report of all these', () => {
  it('is read by the server and printed', async () => {
    const kinds = ['resid_pre', 'resid_post'];
    const contrasts = [];
    const geometries = [];
    for (const after of ['still', 'moved']) {
      for (const siteKind of kinds) {
        contrasts.push(await shiftContrast(run, { ...asked, after, siteKind }));
        const found = await geometryOf(run, { ...geometry, after, siteKind });
        if (found !== null) geometries.push(found);
      }
    }
    expect(geometries.map(({ pair }) => pair)).toEqual(['before..still', 'before..moved']);
    const map = await shiftMap(run, {
      before: 'before',
      after: 'still',
      positions: ['last'],
      siteKind: 'resid_pre',
      where: 'harmful',
      benign: '!harmful',
      trigger: 'triggered',
      groups: 'topic',
      permutations: 19,
      seed: 0,
    });
    expect(map.cells.map(({ p_adjusted: p }) => p)).toEqual([1, 1]);
    await extendReport(run, { contrasts, geometries, maps: [map] });
    const path = `${run.folder}/report.json`;
    expect(parseReport(readFileSync(path), path).contrasts).toHaveLength(4);
    const printed = [...contrastLines(contrasts), ...geometryLines(geometries)].join('\n');
    expect(printed).not.toMatch(/NaN|undefined/);
  });
});
