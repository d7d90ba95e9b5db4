import { describe, expect, it } from 'vitest';

import { PCA } from 'ml-pca';
import { fitPca, fitTemporalPca, project } from '../../probes/pca.ts';
import { spectrumOf } from '../../probes/spectrum.ts';
import { Random } from '../../src/base/random.ts';
import { symmetricEigen } from '../../src/math/decompose.ts';
import { rowAt, rowsOf, takeRows } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';
import { columnMeans, dot, norm } from '../../src/math/vectors.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

interface Wanted {
  explained: number[];
  variances: number[];
  components: number[][];
  coordinates_first3: number[][];
}
const { pca: golden }: { pca: Record<'tall' | 'wide', Wanted> } = readGolden('probes/probes.json');
const data = {
  tall: sines(60, 8, 2, (value, j) => value * j + (j - 1)),
  wide: sines(12, 30, 2, (value, j) => value * j),
};

/** Row by row, some Gaussian rows with unequal spread. */
function cloud(n: number, d: number): Rows {
  const random = new Random('cloud');
  const at = (i: number): number => random.normal() * (1 + (i % d)) + 3;
  return rowsOf(
    n,
    d,
    Float64Array.from({ length: n * d }, (_, i) => at(i)),
  );
}

describe('fitPca', () => {
  it.each(['tall', 'wide'] as const)('matches the singular values of numpy: %s', (key) => {
    const wanted = golden[key];
    const pca = fitPca(data[key], 4);
    // Squaring into inner products loses half the digits of what is small; the leading ones keep ten.
    pca.explained.forEach((value, c) => expect(value).toBeCloseTo(wanted.explained[c], 10));
    pca.variances.forEach((value, c) => expect(value / wanted.variances[c]).toBeCloseTo(1, 10));
    wanted.components.forEach((component, c) =>
      component.forEach((value, j) => expect(rowAt(pca.components, c)[j]).toBeCloseTo(value, 8)),
    );
    const coordinates = project(pca, data[key]);
    wanted.coordinates_first3.forEach((point, i) =>
      point.forEach((value, c) => expect(rowAt(coordinates, i)[c]).toBeCloseTo(value, 7)),
    );
  });

  it.each([
    ['more rows than columns', 150, 60],
    ['fewer rows than columns', 60, 150],
  ])('finds the leading components alone as it finds all of them: %s', (_, n, d) => {
    const rows = cloud(n, d);
    const few = fitPca(rows, 3);
    const all = fitPca(rows, 50);
    for (let c = 0; c < 3; c++) {
      expect(few.variances[c] / all.variances[c]).toBeCloseTo(1, 12);
      expect(few.explained[c]).toBeCloseTo(all.explained[c], 12);
      expect(dot(rowAt(few.components, c), rowAt(all.components, c))).toBeCloseTo(1, 10);
    }
  });

  it('matches the older oracle of scikit-learn', () => {
    const oracle: Record<string, number[]> = readGolden('oracles/science.json');
    const rows = sines(40, 6, 1);
    stripedLabels(40).forEach((label, i) => {
      rows.data[i * 6] += 0.8 * label;
      rows.data[i * 6 + 2] -= 0.5 * label;
    });
    const pca = fitPca(rows, 6);
    pca.explained.forEach((value, c) => expect(value).toBeCloseTo(oracle['pca_ratio'][c], 11));
    pca.variances.forEach((value, c) =>
      expect(value).toBeCloseTo(oracle['pca_explained_variance(ddof1)'][c], 11),
    );
    rowAt(pca.components, 0).forEach((value, j) =>
      expect(value).toBeCloseTo(oracle['pca_pc1(svd_flip sign)'][j], 9),
    );
  });

  it('has orthonormal components whose largest loading is positive', () => {
    for (const rows of [cloud(40, 7), cloud(5, 9)]) {
      const { components } = fitPca(rows, 4);
      for (let a = 0; a < 4; a++) {
        const component = rowAt(components, a);
        const largest = [...component].sort((x, y) => Math.abs(y) - Math.abs(x))[0];
        expect(largest).toBeGreaterThan(0);
        for (let b = 0; b < 4; b++) {
          expect(dot(component, rowAt(components, b))).toBeCloseTo(a === b ? 1 : 0, 12);
        }
      }
    }
  });

  it('turns with the rows, and neither origin nor unit changes the shares', () => {
    const rows = cloud(40, 4);
    const turned = rowsOf(40, 4, new Float64Array(160));
    const [cos, sin] = [Math.cos(0.7), Math.sin(0.7)];
    for (let i = 0; i < 40; i++) {
      const [a, b, c, d] = rowAt(rows, i);
      rowAt(turned, i).set([cos * a - sin * b, sin * a + cos * b, -c, d].map((x) => 5 * x + 100));
    }
    const before = fitPca(rows, 3);
    const after = fitPca(turned, 3);
    before.explained.forEach((value, c) => expect(after.explained[c]).toBeCloseTo(value, 12));
    const [from, to] = [project(before, rows), project(after, turned)];
    for (let c = 0; c < 3; c++) {
      const sign = Math.sign(from.data[c] * to.data[c]);
      for (let i = 0; i < 40; i++) {
        expect(sign * rowAt(to, i)[c]).toBeCloseTo(5 * rowAt(from, i)[c], 9);
      }
    }
  });

  it('finds a planted direction', () => {
    const rows = cloud(200, 5);
    const planted = [3, 0, 4, 0, 0].map((value) => value / 5);
    for (let i = 0; i < 200; i++) {
      planted.forEach((value, j) => (rowAt(rows, i)[j] += 200 * Math.sin(i) * value));
    }
    expect(dot(rowAt(fitPca(rows, 1).components, 0), planted)).toBeGreaterThan(0.999);
  });

  it('refuses more components than directions, and what is not finite', () => {
    const line = rowsOf(3, 2, Float32Array.of(1, 2, 2, 4, 3, 6));
    expect(() => fitPca(line, 2)).toThrow(
      '3 rows that vary along 1 directions have no 2 principal components',
    );
    expect(() => fitPca(rowsOf(2, 3, new Float32Array(6)), 1)).toThrow(
      '2 rows that vary along 0 directions have no 1 principal components',
    );
    expect(() => fitPca(rowsOf(2, 1, Float32Array.of(1, Infinity)), 1)).toThrow(
      'activation Infinity cannot be projected — row 1, dimension 0',
    );
  });
});

describe('the two ways to components', () => {
  it.each([
    [40, 7],
    [9, 30],
  ])('ml-pca on %d × %d rows, its door and our own spectrum agree', (n, d) => {
    const rows = cloud(n, d);
    const door = fitPca(rows, 4);
    const own = spectrumOf(rows);
    const whole = new PCA(
      Array.from({ length: n }, (_, i) => [...rowAt(rows, i)]),
      { method: 'SVD' },
    );
    for (let c = 0; c < 4; c++) {
      const component = rowAt(door.components, c);
      expect(own.variances[c] / door.variances[c]).toBeCloseTo(1, 11);
      expect(whole.getEigenvalues()[c] / door.variances[c]).toBeCloseTo(1, 11);
      expect(Math.abs(dot(component, rowAt(own.axes, c)))).toBeCloseTo(1, 11);
      expect(Math.abs(dot(component, whole.getEigenvectors().getColumn(c)))).toBeCloseTo(1, 11);
    }
  });
});

describe('fitTemporalPca', () => {
  const before = cloud(40, 5);
  const after = rowsOf(
    40,
    5,
    before.data.map((value, at) => value + (at % 5 === 2 ? 6 : Math.sin(at))),
  );

  it('has the eigenvectors of both covariances and of the shifts’ second moments', () => {
    const moments = new Float64Array(25);
    const add = (row: (i: number, j: number) => number): void => {
      for (let i = 0; i < 40; i++)
        for (let a = 0; a < 5; a++)
          for (let b = 0; b < 5; b++) moments[5 * a + b] += row(i, a) * row(i, b);
    };
    for (const rows of [before, after]) {
      const mean = columnMeans(rows);
      add((i, j) => rowAt(rows, i)[j] - mean[j]);
    }
    add((i, j) => 2 * (rowAt(after, i)[j] - rowAt(before, i)[j]));
    const { values, vectors } = symmetricEigen(moments, 5);
    const found = fitTemporalPca(before, after, 3, 2);
    const total = values.reduce((sum, value) => sum + value, 0);
    for (let c = 0; c < 3; c++) {
      expect(found.explained[c]).toBeCloseTo(values[c] / total, 12);
      const axis = vectors.subarray(5 * c, 5 * c + 5);
      expect(Math.abs(dot(rowAt(found.components, c), axis))).toBeCloseTo(1, 11);
    }
    expect(found.mean[2]).toBeCloseTo((columnMeans(before)[2] + columnMeans(after)[2]) / 2, 12);
  });

  it('keeps a shift in its plane that all rows share and pooled components lose', () => {
    // Rows vary by 5 along axis 4 and by 4 along axis 3; all move by 7 along axis 2.
    const random = new Random('shared');
    const wide = rowsOf(
      60,
      5,
      Float64Array.from(
        { length: 300 },
        (_, at) => random.normal() * [0.1, 0.1, 0.1, 4, 5][at % 5],
      ),
    );
    const moved = { ...wide, data: wide.data.map((v, at) => v + (at % 5 === 2 ? 7 : 0)) };
    const stacked = rowsOf(120, 5, Float64Array.of(...wide.data, ...moved.data));
    const across = (components: Rows): number =>
      rowAt(components, 0)[2] ** 2 + rowAt(components, 1)[2] ** 2;
    // Pooled it counts 7²/4 = 12, less than 16 and 25; here as much as both together.
    expect(across(fitPca(stacked, 2).components)).toBeLessThan(0.1);
    expect(across(fitTemporalPca(wide, moved, 2).components)).toBeGreaterThan(0.99);
    // Half of the whole is the shift's.
    expect(fitTemporalPca(wide, moved, 2).explained[0]).toBeCloseTo(0.5, 2);
  });

  it('does not depend on the order of rows, and turns with them', () => {
    const order = new Random(5).shuffle([...Array(40).keys()]);
    const plain = fitTemporalPca(before, after, 2);
    const shuffled = fitTemporalPca(takeRows(before, order), takeRows(after, order), 2);
    shuffled.components.data.forEach((v, at) =>
      expect(v).toBeCloseTo(plain.components.data[at], 10),
    );
    expect(fitTemporalPca(after, before, 2).explained[0]).toBeCloseTo(plain.explained[0], 12);
    // Nothing moved: the components of the rows alone.
    const still = fitTemporalPca(before, before, 2).components;
    still.data.forEach((v, at) => expect(v).toBeCloseTo(fitPca(before, 2).components.data[at], 10));
  });
});

describe('project', () => {
  it('keeps distances within the plane and puts the mean at the origin', () => {
    const rows = cloud(30, 3);
    const pca = fitPca(rows, 3);
    const coordinates = project(pca, rows);
    for (let i = 1; i < 30; i++) {
      const apart = (x: Rows): number =>
        norm(rowAt(x, i).map((value, j) => value - rowAt(x, 0)[j]));
      expect(apart(coordinates)).toBeCloseTo(apart(rows), 11);
    }
    const origin = project(pca, rowsOf(1, 3, pca.mean));
    for (const value of origin.data) expect(value).toBeCloseTo(0, 12);
  });

  it('refuses rows of another width', () => {
    expect(() => project(fitPca(cloud(5, 3), 1), cloud(5, 4))).toThrow(
      'the components have 3 dimensions, the rows have 4',
    );
  });
});
