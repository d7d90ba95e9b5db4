import { describe, expect, it } from 'vitest';

import { activationClusters, silhouette } from '../../probes/clusters.ts';
import {
  mahalanobis,
  quantumEntropy,
  referenceOf,
  relativeMahalanobis,
  spectralSignatures,
} from '../../probes/detectors.ts';
import { erase, fitInlp, fitLeace, LeaceFitter } from '../../probes/erasure.ts';
import { fitLogistic } from '../../probes/logistic.ts';
import { auroc } from '../../probes/metrics.ts';
import { readerDirection } from '../../probes/pairs.ts';
import { effectiveDimension, shrunkCovariance } from '../../probes/shrinkage.ts';
import { less } from '../../probes/ridge.ts';
import { Random } from '../../src/base/random.ts';
import { rowAt, rowsOf } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';
import { columnMeans, dot } from '../../src/math/vectors.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

const oracle = readGolden('oracles/science.json');
const labels = stripedLabels(40);
const rows = sines(40, 6, 1);
labels.forEach((label, i) => {
  rows.data[i * 6] += 0.8 * label;
  rows.data[i * 6 + 2] -= 0.5 * label;
});

function gap(x: Rows, y: readonly number[]): number {
  const of = (value: number): Float64Array =>
    columnMeans(
      x,
      y.flatMap((label, i) => (label === value ? [i] : [])),
    );
  const [a, b] = [of(0), of(1)];
  return Math.max(...a.map((mean, j) => Math.abs(mean - b[j])));
}

function meanSquare(a: Rows, b: Rows): number {
  let sum = 0;
  for (let at = 0; at < a.data.length; at++) sum += (a.data[at] - b.data[at]) ** 2;
  return sum / a.n;
}

describe('fitLeace', () => {
  const eraser = fitLeace(rows, labels);
  const erased = erase(eraser, rows);

  it('is the closed form for a binary label', () => {
    const unit = rowsOf(
      6,
      6,
      Float64Array.from({ length: 36 }, (_, at) => (at % 7 === 0 ? 1 : 0)),
    );
    const linear = erase({ ...eraser, mean: new Float64Array(6) }, unit);
    // P e_j is column j of P; the oracle gives row 0.
    (oracle.leace_P_row0 as number[]).forEach((value, j) =>
      expect(linear.data[j * 6]).toBeCloseTo(value, 10),
    );
    expect(meanSquare(erased, rows)).toBeCloseTo(oracle.leace_mean_sq_change, 10);
  });

  it('leaves equal class means, nothing to a linear probe, and nothing to erase again', () => {
    expect(gap(erased, labels)).toBeLessThan(1e-12);
    expect(Math.max(...fitLogistic(erased, labels, { c: 1e6 }).coef.map(Math.abs))).toBeLessThan(
      1e-6,
    );
    expect(meanSquare(erase(eraser, erased), erased)).toBeLessThan(1e-24);
  });

  it('does not depend on the blocks in which rows came', () => {
    const fitter = new LeaceFitter(6);
    for (const [from, to] of [
      [0, 7],
      [7, 8],
      [8, 40],
    ] as const) {
      const block = { n: to - from, d: 6, data: rows.data.subarray(from * 6, to * 6) };
      fitter.add(block, labels.slice(from, to));
    }
    expect(meanSquare(erase(fitter.fit(), rows), erased)).toBeLessThan(1e-24);
  });

  it('erases several concepts at once, and also with fewer rows than columns', () => {
    const x = sines(12, 20, 3);
    const y = stripedLabels(12);
    const other = y.map((_, i) => (i < 6 ? 1 : 0));
    const both = y.flatMap((label, i) => [label, other[i]]);
    const out = erase(new LeaceFitter(20, 2).add(x, both).fit(), x);
    // Rounding grows with the condition of the covariance, here about 1e4.
    expect(gap(out, y)).toBeLessThan(1e-9);
    expect(gap(out, other)).toBeLessThan(1e-9);
  });

  it('refuses a concept that does not vary', () => {
    expect(() =>
      new LeaceFitter(6)
        .add(
          rows,
          labels.map(() => 1),
        )
        .fit(),
    ).toThrow('the concept does not vary with the rows');
  });
});

describe('fitInlp', () => {
  it('is an orthogonal projection that takes out one direction a round', () => {
    const eraser = fitInlp(rows, labels, { estimator: 'logistic', rounds: 3 });
    expect(eraser.into.n).toBe(3);
    const once = erase(eraser, rows);
    expect(meanSquare(erase(eraser, once), once)).toBeLessThan(1e-24);
    for (let k = 0; k < 3; k++) {
      for (let i = 0; i < 40; i++) {
        expect(dot(rowAt(once, i), rowAt(eraser.into, k))).toBeCloseTo(0, 12);
      }
    }
  });
});

describe('shrunkCovariance', () => {
  const d = rowsOf(
    40,
    6,
    rows.data.map((value, at) => value * ((at % 6) + 1) + 0.5 * rows.data[at - (at % 6)]),
  );

  it('matches scikit-learn and the limit of random matrices', () => {
    const ledoitWolf = shrunkCovariance(d, 'ledoit_wolf');
    expect(ledoitWolf.shrinkage).toBeCloseTo(oracle['ledoit_wolf_shrinkage(D)'], 11);
    expect(ledoitWolf.covariance[0]).toBeCloseTo(oracle['ledoit_wolf_cov00(D)'], 11);
    expect(shrunkCovariance(d, 'oas').shrinkage).toBeCloseTo(oracle['oas_shrinkage(D)'], 11);
    const [, beta] = oracle['rmt_shrinkage(D) alpha,beta (concept-erasure formula, S ddof0)'];
    expect(shrunkCovariance(d, 'rmt').shrinkage).toBeCloseTo(beta, 11);
    const plain = shrunkCovariance(d, 'none').covariance;
    expect(effectiveDimension(plain)).toBeCloseTo(oracle['d_eff(D)=(tr)^2/tr(S^2)'], 10);
  });

  it('shrinks all the way where nothing but noise is seen', () => {
    expect(shrunkCovariance(rows, 'ledoit_wolf').shrinkage).toBe(oracle.ledoit_wolf_shrinkage);
    expect(shrunkCovariance(rows, 'oas').shrinkage).toBe(oracle.oas_shrinkage);
  });
});

describe('detectors', () => {
  const reference = referenceOf(rows, 'none');
  const expectFirst = (found: Float64Array, wanted: readonly number[]): void =>
    wanted.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 9));

  it('match numpy and scipy', () => {
    expectFirst(spectralSignatures(rows), oracle.spectral_scores_first3);
    expectFirst(mahalanobis(reference, rows), oracle['mahalanobis_sq_first3(pooled cov ddof1)']);
    const suspects = sines(40, 6, 2);
    expectFirst(
      quantumEntropy(reference, suspects),
      oracle['QUE_first3(whiten by cov(A), test=B,alpha=4)'],
    );
  });

  it('average d over the rows that made the reference, and 0 relative to themselves', () => {
    const mean = (v: Float64Array): number => v.reduce((sum, value) => sum + value, 0) / v.length;
    expect(mean(mahalanobis(reference, rows))).toBeCloseTo((6 * 39) / 40, 10);
    expect(mean(mahalanobis(referenceOf(rows, 'diagonal'), rows))).toBeCloseTo((6 * 39) / 40, 10);
    relativeMahalanobis(reference, reference, rows).forEach((value) => expect(value).toBe(0));
    // α = 0 weighs all directions alike: Mahalanobis about the suspects' own mean, over d.
    expect(mean(quantumEntropy(reference, rows, 0))).toBeCloseTo(39 / 40, 10);
  });

  it('refuse a covariance without an inverse, and take it when shrunk', () => {
    const few = sines(4, 6, 2);
    expect(() => referenceOf(few, 'none')).toThrow(
      'the covariance of 4 clean rows of width 6 has no inverse',
    );
    expect(mahalanobis(referenceOf(few, 'oas'), few)).toHaveLength(4);
  });

  it('find planted outliers', () => {
    const random = new Random(5);
    const x = rowsOf(
      200,
      8,
      Float64Array.from({ length: 1600 }, () => random.normal()),
    );
    const y = Array.from({ length: 200 }, (_, i) => (i < 20 ? 1 : 0));
    for (let i = 0; i < 20; i++) x.data[i * 8 + 2] += 6;
    const clean = { n: 180, d: 8, data: x.data.subarray(160) };
    expect(auroc(mahalanobis(referenceOf(clean, 'ledoit_wolf'), x), y)).toBeGreaterThan(0.97);
    expect(auroc(quantumEntropy(referenceOf(clean, 'oas'), x), y)).toBeGreaterThan(0.97);
    expect(auroc(spectralSignatures(x), y)).toBeGreaterThan(0.97);
    const clusters = activationClusters(x);
    expect(clusters.smaller).toBeCloseTo(0.1, 1);
    expect(auroc(clusters.scores, y)).toBeGreaterThan(0.97);
    expect(activationClusters(x)).toEqual(clusters);
  });
});

describe('silhouette', () => {
  it('matches scikit-learn', () => {
    const centred = less(rows, columnMeans(rows));
    const first = readerDirection(rows, 'recentred');
    const sign = Array.from({ length: 40 }, (_, i) => (dot(rowAt(centred, i), first) > 0 ? 1 : 0));
    expect(silhouette(rows, sign)).toBeCloseTo(oracle.silhouette_sign_pc1_split, 12);
  });

  it('is 0 for a row alone, and has no value for one cluster', () => {
    const x = rowsOf(3, 1, Float64Array.of(0, 1, 5));
    // Row 0: a 1, b 5; row 1: a 1, b 4; row 2 alone.
    expect(silhouette(x, [0, 0, 1])).toBeCloseTo((4 / 5 + 3 / 4) / 3, 14);
    expect(silhouette(x, [0, 0, 0])).toBeNaN();
  });
});
