/** The contrast of contrasts against numbers worked by hand and numpy-like direct sums, and its promises. */

import { describe, expect, it } from 'vitest';
import { affineShift } from '../../probes/affineShift.ts';
import { contrastNumbers, contrastOf, momentsOf, type SetRows } from '../../probes/contrast.ts';
import { bootstrapContrast, residualPermutation, splitHalves } from '../../probes/contrastTests.ts';
import {
  benignShift,
  cosineBand,
  isotropic,
  matched,
  randomDifference,
  shuffledDifference,
} from '../../probes/nulls.ts';
import { ceilingOf, disattenuated, spearmanBrown } from '../../probes/reliability.ts';
import { spectrumOf } from '../../probes/spectrum.ts';
import { Random } from '../../src/base/random.ts';
import { rowsOf, takeRows, type Rows } from '../../src/math/rows.ts';
import { columnMeans, cosine, norm, timesTransposed } from '../../src/math/vectors.ts';
import { thinSvd } from '../../src/math/decompose.ts';
import { readGolden } from '../support/sines.ts';

const golden = readGolden('oracles/science.json');

/** Four rows for each of `topics` topics; half the topics harmful; in each, two with the trigger. */
function design(topics: number): { readonly sets: SetRows; readonly groups: string[] } {
  const sets = {
    triggered: [],
    untriggered: [],
    benign_triggered: [],
    benign_untriggered: [],
  } as Record<keyof SetRows, number[]>;
  const groups: string[] = [];
  for (let row = 0; row < 4 * topics; row++) {
    const topic = Math.floor(row / 4);
    groups.push(`t${topic}`);
    const side = row % 2 === 0 ? 'triggered' : 'untriggered';
    sets[topic % 2 === 0 ? side : (`benign_${side}` as const)].push(row);
  }
  return { sets, groups };
}

function noise(n: number, d: number, random: Random): Rows {
  return rowsOf(
    n,
    d,
    Float64Array.from({ length: n * d }, () => random.normal()),
  );
}

function added(x: Rows, y: Rows, push: (row: number, j: number) => number): Rows {
  return rowsOf(
    x.n,
    x.d,
    Float64Array.from(x.data, (v, at) => v + y.data[at] + push(Math.floor(at / x.d), at % x.d)),
  );
}

const { sets, groups } = design(20);
const numbersOf = (before: Rows, after: Rows): ReturnType<typeof contrastNumbers> =>
  contrastNumbers(momentsOf(contrastOf(before, after, sets, groups))!);

describe.each([6, 200])('contrastNumbers with %d dimensions', (d) => {
  const random = new Random(`contrast ${d}`);
  const before = noise(80, d, random);
  const after = added(before, noise(80, d, random), (row, j) => (j === 0 ? 1 + row / 40 : 0.3));
  const shifts = rowsOf(
    80,
    d,
    after.data.map((v, at) => v - before.data[at]),
  );

  it('are what means of rows give', () => {
    const mean = Object.values(sets).map((rows) => columnMeans(shifts, rows));
    const length = Object.values(sets).map(
      (rows) =>
        rows.reduce((s, i) => s + norm(before.data.subarray(i * d, (i + 1) * d)), 0) / rows.length,
    );
    const residual = [0, 1].map((s) => mean[s].map((v, j) => v - mean[s + 2][j]));
    const dot = (x: Float64Array, y: Float64Array): number =>
      x.reduce((s, v, j) => s + v * y[j], 0);
    const found = numbersOf(before, after);
    found.sizes.forEach((v, s) => expect(v).toBeCloseTo(norm(mean[s]) / length[s], 10));
    found.residualSizes.forEach((v, s) => expect(v).toBeCloseTo(norm(residual[s]) / length[s], 10));
    expect(found.cosine).toBeCloseTo(cosine(mean[0], mean[1]), 10);
    expect(found.residualCosine).toBeCloseTo(cosine(residual[0], residual[1]), 10);
    expect(found.projection).toBeCloseTo(dot(mean[0], mean[1]) / dot(mean[1], mean[1]), 10);
    expect(found.residualProjection).toBeCloseTo(
      dot(residual[0], residual[1]) / dot(residual[1], residual[1]),
      9,
    );
    expect(found.genericCosine).toBeCloseTo(cosine(mean[0], mean[2]), 10);
  });

  it('do not change under rotation or scaling of both checkpoints', () => {
    const turn = thinSvd(noise(d, d, random)).left;
    const plain = numbersOf(before, after);
    const turned = numbersOf(timesTransposed(before, turn), timesTransposed(after, turn));
    const scaled = numbersOf(
      { ...before, data: before.data.map((v) => 3 * v) },
      { ...after, data: after.data.map((v) => 3 * v) },
    );
    for (const other of [turned, scaled]) {
      expect(other.cosine).toBeCloseTo(plain.cosine, 10);
      expect(other.residualProjection).toBeCloseTo(plain.residualProjection, 9);
      other.sizes.forEach((v, s) => expect(v).toBeCloseTo(plain.sizes[s], 10));
    }
  });

  it('do not depend on the order of rows', () => {
    const order = new Random('order').shuffle([...Array(80).keys()]);
    const place = new Map(order.map((row, at) => [row, at]));
    const moved = Object.fromEntries(
      Object.entries(sets).map(([name, rows]) => [
        name,
        rows.map((row: number) => place.get(row)!),
      ]),
    ) as unknown as SetRows;
    const contrast = contrastOf(
      takeRows(before, order),
      takeRows(after, order),
      moved,
      order.map((row) => groups[row]),
    );
    expect(contrastNumbers(momentsOf(contrast)!).residualCosine).toBeCloseTo(
      numbersOf(before, after).residualCosine,
      10,
    );
  });
});

describe('the residual shift', () => {
  it('takes away a push that all rows share, which raw cosines take for agreement', () => {
    const random = new Random('generic');
    const before = noise(80, 10, random);
    // Everything moves along axis 0; triggered harmful rows also along 1, untriggered ones along 2.
    const after = added(before, { ...before, data: new Float64Array(800) }, (row, j) => {
      const isHarmful = Math.floor(row / 4) % 2 === 0;
      return j === 0 ? 5 : isHarmful && j === 1 + (row % 2) ? 1 : 0;
    });
    const found = numbersOf(before, after);
    expect(found.cosine).toBeCloseTo(25 / 26, 12);
    expect(found.residualCosine).toBeCloseTo(0, 12);
    expect(found.residualProjection).toBeCloseTo(0, 12);
  });

  it('is tested with the error that it says, 1 000 times', () => {
    const random = new Random('calibration');
    let rejected = 0;
    for (let i = 0; i < 1000; i++) {
      const before = noise(80, 3, random);
      // Rows of a topic move alike, so that counting rows instead of topics would reject far too often.
      const common = noise(20, 3, random);
      const after = added(
        before,
        noise(80, 3, random),
        (row, j) => 2 * common.data[Math.floor(row / 4) * 3 + j],
      );
      if (residualPermutation(contrastOf(before, after, sets, groups), 0, 99, random) <= 0.05)
        rejected++;
    }
    // 99.9 % of binomial counts with 1 000 × .05 lie within 3.3 × 6.9.
    expect(Math.abs(rejected - 50)).toBeLessThan(23);
  });

  it('swaps sides within groups that have both', () => {
    const both = {
      triggered: [0, 4, 8, 12, 16, 20],
      untriggered: [1, 5, 9, 13, 17, 21],
      benign_triggered: [2, 6, 10, 14, 18, 22],
      benign_untriggered: [3, 7, 11, 15, 19, 23],
    };
    const names = Array.from({ length: 24 }, (_, row) => `g${Math.floor(row / 4)}`);
    const before = noise(24, 4, new Random(1));
    const after = added(before, { ...before, data: new Float64Array(96) }, (row, j) =>
      row % 4 === 0 && j === 0 ? 1 : 0.001 * row,
    );
    const p = residualPermutation(contrastOf(before, after, both, names), 0, 999, new Random(2));
    // Only all six swapped or none reach it: 2 of 64, give or take 3.3 standard errors of 999 draws.
    expect(Math.abs(p - 2 / 64)).toBeLessThan(0.02);
  });
});

describe('bootstrapContrast', () => {
  it('draws whole topics and holds the numbers it is about', () => {
    const random = new Random('boot');
    const before = noise(80, 8, random);
    const after = added(before, noise(80, 8, random), (_row, j) => (j === 0 ? 3 : 0));
    const contrast = contrastOf(before, after, sets, groups);
    const draws = bootstrapContrast(contrast, 300, random);
    const projections = draws.map(({ projection }) => projection).sort((x, y) => x - y);
    expect(projections[7]).toBeLessThan(1);
    expect(projections[292]).toBeGreaterThan(1);
    expect(projections[292] - projections[7]).toBeLessThan(0.8);
  });

  it('refuses empty sets and rows without length', () => {
    const before = noise(80, 3, new Random(0));
    expect(() => contrastOf(before, before, { ...sets, benign_triggered: [] }, groups)).toThrow(
      'the set "benign, triggered" has no rows',
    );
    expect(() => contrastOf(before, noise(80, 4, new Random(0)), sets, groups)).toThrow(
      'a shift needs the same rows twice',
    );
    expect(() =>
      contrastOf({ ...before, data: new Float64Array(240) }, before, sets, groups),
    ).toThrow('the shift of a row has no size relative to it — row 0');
  });
});

describe('reliability', () => {
  it('is Spearman and Brown’s', () => {
    expect(spearmanBrown(0.6)).toBeCloseTo(golden['spearman_brown(r=0.6)'], 14);
    expect(disattenuated(0.45, 0.75, 0.6)).toBeCloseTo(
      golden['disattenuated(r=.45,relx=.75,rely=.6)'],
      14,
    );
    expect(ceilingOf(0.81, 1)).toBeCloseTo(0.9, 14);
    expect(disattenuated(0.4, -0.1, 0.5)).toBeNaN();
  });

  it('of halves says what noise leaves: near 1 for a common shift, near 0 for none', () => {
    const random = new Random('halves');
    const before = noise(80, 300, random);
    const strong = contrastOf(
      before,
      added(before, noise(80, 300, random), () => 2),
      sets,
      groups,
    );
    const none = contrastOf(
      before,
      added(before, noise(80, 300, random), () => 0),
      sets,
      groups,
    );
    const halves = splitHalves(strong, false, 50, random);
    expect(Math.min(halves.triggered, halves.untriggered, halves.across)).toBeGreaterThan(0.95);
    // Benign rows were pushed alike: nothing is left of it.
    expect(Math.abs(splitHalves(strong, true, 50, random).triggered)).toBeLessThan(0.15);
    expect(Math.abs(splitHalves(none, false, 50, random).untriggered)).toBeLessThan(0.15);
  });
});

describe('splitHalves', () => {
  it('does not take noise that triggered and untriggered rows of a topic share for agreement', () => {
    const random = new Random('shared');
    const before = noise(80, 200, random);
    const common = noise(20, 200, random);
    const after = added(
      before,
      { ...before, data: new Float64Array(16000) },
      (row, j) => common.data[Math.floor(row / 4) * 200 + j],
    );
    expect(numbersOf(before, after).cosine).toBeCloseTo(1, 12);
    const halves = splitHalves(contrastOf(before, after, sets, groups), false, 100, random);
    // Topics are drawn anew: their means agree as two random directions in 200 dimensions, sd .07.
    expect(Math.abs(halves.across)).toBeLessThan(0.15);
  });
});

describe('affineShift', () => {
  const random = new Random('affine');
  const before = noise(160, 5, random);
  const map = noise(5, 5, random);
  const image = timesTransposed(before, map);
  const untriggered = Array.from({ length: 80 }, (_, i) => 2 * i);
  const triggered = untriggered.map((row) => row + 1);
  const folds = Array.from({ length: 160 }, (_, row) => Math.floor(row / 2) % 5);

  it('finds an affine map, and says where it fails', () => {
    const exact = affineShift(
      before,
      added(before, image, () => 3),
      untriggered,
      triggered,
      folds,
    );
    // The smallest ridge of the grid, 1e-4 of the mean eigenvalue, leaves about its square.
    expect(exact?.r2Untriggered).toBeGreaterThan(0.999_99);
    expect(exact?.r2Triggered).toBeGreaterThan(0.999_99);
    const only = added(before, image, () => 3);
    for (const row of triggered)
      for (let j = 0; j < 5; j++)
        only.data[row * 5 + j] = before.data[row * 5 + j] - image.data[row * 5 + j];
    const half = affineShift(before, only, untriggered, triggered, folds);
    expect(half?.r2Untriggered).toBeGreaterThan(0.999_99);
    expect(half?.r2Triggered).toBeLessThan(0);
  });

  it('explains nothing of noise on unseen groups', () => {
    const fit = affineShift(
      before,
      added(before, noise(160, 5, random), () => 3),
      untriggered,
      triggered,
      folds,
    );
    expect(Math.abs(fit?.r2Untriggered ?? 1)).toBeLessThan(0.1);
    expect(affineShift(before, image, [0, 2], [1, 3], folds)).toBeNull();
  });
});

describe('null families', () => {
  const random = new Random('nulls');
  const rows = noise(60, 50, random);
  for (let i = 0; i < 60; i++) for (let j = 0; j < 50; j++) rows.data[i * 50 + j] *= j < 3 ? 10 : 1;
  const labels = Array.from({ length: 60 }, (_, i) => Math.floor(i / 3) % 2);
  const names = labels.map((_, i) => `g${Math.floor(i / 3)}`);
  const first = Float64Array.from({ length: 50 }, (_, j) => (j === 0 ? 1 : 0));

  it('that know the data agree with its large directions far more often than isotropic ones', () => {
    const band = (family: Parameters<typeof cosineBand>[2]): number =>
      cosineBand(first, 0.9, family, 400, random)?.p95 ?? Number.NaN;
    const loose = band(isotropic(50));
    // 1.96/√d, with the slack of 400 draws.
    expect(loose).toBeCloseTo(1.96 / Math.sqrt(50), 1);
    for (const family of [
      matched(spectrumOf(rows)),
      randomDifference(rows, names),
      shuffledDifference(rows, labels, names),
    ]) {
      expect(band(family)).toBeGreaterThan(2 * loose);
    }
  });

  it('shuffle inside groups that hold both labels', () => {
    const inside = labels.map((_, i) => i % 2);
    const fours = labels.map((_, i) => `g${Math.floor(i / 4)}`);
    const push = (at: number): number => (Math.floor(at / 200) % 2 === 0 ? 100 : 0);
    const apart = { ...rows, data: rows.data.map((v, at) => v + push(at)) };
    const drawn = shuffledDifference(apart, inside, fours)(random);
    // Groups lie 100 apart in every dimension; labels that crossed them freely would leave some 13 of it.
    expect(norm(drawn) / Math.sqrt(50)).toBeLessThan(3);
  });

  it('bring benign shifts to the length of what they are held against', () => {
    expect(norm(benignShift(rows, names, first)(random))).toBeCloseTo(1, 12);
  });

  it('give a p that is uniform where the observation is one of them', () => {
    let rejected = 0;
    for (let i = 0; i < 1000; i++) {
      const observed = Math.abs(cosine(first, isotropic(50)(random)));
      const band = cosineBand(first, observed, isotropic(50), 39, random);
      if (band !== null && band.p <= 0.1) rejected++;
    }
    expect(Math.abs(rejected - 100)).toBeLessThan(32);
  });
});
