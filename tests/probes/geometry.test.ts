/** Subspaces, spectra and similarities against numpy and scipy, and what must not change them. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitPca } from '../../probes/pca.ts';
import {
  canonicalCorrelations,
  cka,
  ckaDebiased,
  compressed,
  factored,
  procrustes,
  rsa,
  svcca,
} from '../../probes/similarity.ts';
import {
  covarianceMatched,
  effectiveRank,
  participationRatio,
  spectrumOf,
  whitenedCosine,
  whitenedProduct,
} from '../../probes/spectrum.ts';
import {
  chanceOverlap,
  matchedOverlaps,
  principalAngles,
  subspaceDistances,
} from '../../probes/subspaces.ts';
import { Random } from '../../src/base/random.ts';
import { thinSvd } from '../../src/math/decompose.ts';
import { rowAt, rowsOf, takeRows, type Rows } from '../../src/math/rows.ts';
import { cosine, timesTransposed, transposed } from '../../src/math/vectors.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

const golden = readGolden('oracles/science.json');
const labels = stripedLabels(40);
const a = sines(40, 6, 1);
labels.forEach((label, i) => {
  a.data[i * 6] += 0.8 * label;
  a.data[i * 6 + 2] -= 0.5 * label;
});
const b = sines(40, 6, 2);
const narrow = sines(40, 4, 3);
const stretched = rowsOf(
  40,
  6,
  Float64Array.from(a.data, (v, at) => v * ((at % 6) + 1) + 0.5 * a.data[at - (at % 6)]),
);
const digits = 10;

const noise = (n: number, d: number, random: Random): Rows =>
  rowsOf(
    n,
    d,
    Float64Array.from({ length: n * d }, () => random.normal()),
  );
/** A random rotation of d dimensions. */
const rotation = (d: number, random: Random): Rows => thinSvd(noise(d, d, random)).left;
const scaled = (x: Rows, factor: number): Rows =>
  rowsOf(
    x.n,
    x.d,
    Float64Array.from(x.data, (v) => v * factor),
  );

describe('principalAngles', () => {
  it('gives planted angles back, and scipy’s between principal components', () => {
    const [s, t] = [0.3, 1.1];
    const u = rowsOf(2, 4, Float64Array.of(1, 0, 0, 0, 0, 1, 0, 0));
    const v = rowsOf(
      2,
      4,
      Float64Array.of(Math.cos(s), 0, Math.sin(s), 0, 0, Math.cos(t), 0, Math.sin(t)),
    );
    const angles = principalAngles(u, v);
    expect([...angles]).toEqual([expect.closeTo(s, 14), expect.closeTo(t, 14)]);
    const planted = golden.principal_angles_planted;
    expect(subspaceDistances(angles)).toEqual({
      overlap: expect.closeTo(planted['overlap(1/k||UtV||F^2)'], 12),
      geodesic: expect.closeTo(planted.geodesic, 12),
      chordal: expect.closeTo(planted['chordal(sqrt sum sin^2)'], 12),
      projection: expect.closeTo(planted['projF(||P-Q||F)'], 12),
      fubiniStudy: expect.closeTo(planted['fubini_study(acos prod cos)'], 12),
    });
    const found = principalAngles(fitPca(a, 3).components, fitPca(b, 3).components);
    const expected: number[] = golden['principal_angles_PCA3(A,B=X(40,6,2))'];
    found.forEach((angle, i) => expect(angle).toBeCloseTo(expected[i], digits));
  });

  it('keeps the digits of an angle of 1e-9, which a cosine has lost', () => {
    const u = rowsOf(1, 2, Float64Array.of(1, 0));
    const v = rowsOf(1, 2, Float64Array.of(Math.cos(1e-9), Math.sin(1e-9)));
    expect(principalAngles(u, v)[0] / 1e-9).toBeCloseTo(1, 12);
  });

  it('is the same either way round, under rotation, and for another basis of the same space', () => {
    const random = new Random('angles');
    const basis = (k: number): Rows => thinSvd(noise(k, 7, random)).right;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), (k, l) => {
        const [u, v, r] = [basis(k), basis(l), rotation(7, random)];
        const angles = principalAngles(u, v);
        const mixed = timesTransposed(rotation(k, random), transposed(u));
        for (const other of [
          principalAngles(v, u),
          principalAngles(timesTransposed(u, r), timesTransposed(v, r)),
          principalAngles(mixed, v),
        ]) {
          angles.forEach((angle, i) => expect(other[i]).toBeCloseTo(angle, 11));
        }
      }),
      { seed: 1, numRuns: 50 },
    );
  });
});

describe('chanceOverlap', () => {
  it('is what isotropic random subspaces have on average', () => {
    const random = new Random('overlap');
    const fixed = thinSvd(noise(5, 64, random)).right;
    const sphere = spectrumOf(noise(2000, 64, random));
    const overlaps = matchedOverlaps(fixed, 5, sphere, 100, random);
    const mean = overlaps.reduce((sum, v) => sum + v, 0) / 100;
    const expected = golden['random_subspace_overlap_mean(k/d)']['k=5,d=64'];
    expect(chanceOverlap(5, 5, 64)).toBe(expected);
    expect(chanceOverlap(5, 5, 4096)).toBe(
      golden['random_subspace_overlap_mean(k/d)']['k=5,d=4096'],
    );
    // One overlap has an sd of about .02 here; a hundred leave .002, and the sphere is a sampled one.
    expect(Math.abs(mean - expected)).toBeLessThan(0.008);
  });

  it('is far below that of subspaces that vary where the data do', () => {
    const overlaps = matchedOverlaps(
      fitPca(stretched, 2).components,
      2,
      spectrumOf(stretched),
      50,
      new Random(1),
    );
    expect(overlaps[25]).toBeGreaterThan(1.2 * chanceOverlap(2, 2, 6));
  });
});

describe('spectrumOf', () => {
  it('has the reference’s effective dimensions and shrinkage', () => {
    const { variances, shrinkage } = spectrumOf(a);
    expect(participationRatio(variances)).toBeCloseTo(golden.participation_ratio, digits);
    expect(effectiveRank(variances)).toBeCloseTo(golden.effective_rank_exp_entropy, digits);
    expect(shrinkage).toBe(golden.ledoit_wolf_shrinkage);
    const other = spectrumOf(stretched);
    expect(other.shrinkage).toBeCloseTo(golden['ledoit_wolf_shrinkage(D)'], digits);
    expect(participationRatio(other.variances)).toBeCloseTo(
      golden['d_eff(D)=(tr)^2/tr(S^2)'],
      digits,
    );
  });

  it('is the same from row products as from column products', () => {
    const wide = transposed(stretched);
    const spectrum = spectrumOf(wide);
    const { values } = thinSvd(rowsOf(6, 40, centre(wide)));
    expect(spectrum.variances).toHaveLength(5);
    spectrum.variances.forEach((v, k) => expect(v).toBeCloseTo(values[k] ** 2 / 5, 8));
    spectrum.variances.forEach((_, k) => {
      expect(cosine(rowAt(spectrum.axes, k), rowAt(spectrum.axes, k))).toBeCloseTo(1, 12);
    });
  });

  it('whitens: without shrinkage it gives Mahalanobis lengths', () => {
    const spectrum = { ...spectrumOf(a), shrinkage: 0 };
    const mean = Array.from({ length: 6 }, (_, j) => rowsMean(a, j));
    const expected: number[] = golden['mahalanobis_sq_first3(pooled cov ddof1)'];
    expected.forEach((value, i) => {
      const row = Array.from(rowAt(a, i), (v, j) => v - mean[j]);
      expect(whitenedProduct(spectrum, row, row)).toBeCloseTo(value, digits);
    });
  });

  it('whitens to a plain cosine where variance is a ball, and not elsewhere', () => {
    const [u, v] = [
      [1, 1, 0, 0, 0, 0],
      [1, 0, 0, 0, 0, 1],
    ];
    expect(whitenedCosine(spectrumOf(a), u, v)).toBeCloseTo(0.5, 12); // its shrinkage is 1
    expect(Math.abs(whitenedCosine(spectrumOf(stretched), u, v) - 0.5)).toBeGreaterThan(0.1);
  });

  it('draws directions with its own covariance, whose cosines spread as 1/√d where it is a ball', () => {
    const random = new Random('matched');
    const sphere = {
      axes: rotation(64, random),
      variances: new Float64Array(64).fill(2),
      shrinkage: 0,
    };
    const fixed = Float64Array.from({ length: 64 }, (_, j) => (j === 3 ? 1 : 0));
    let squares = 0;
    for (let i = 0; i < 2000; i++)
      squares += cosine(fixed, covarianceMatched(sphere, random)) ** 2 / 2000;
    // 2 000 draws leave 2 % of the spread open.
    expect(Math.sqrt(squares) / golden.random_cos_sd['d=64']).toBeCloseTo(1, 1);
  });
});

function rowsMean(x: Rows, j: number): number {
  let sum = 0;
  for (let i = 0; i < x.n; i++) sum += x.data[i * x.d + j];
  return sum / x.n;
}

function centre(x: Rows): Float64Array {
  return Float64Array.from(x.data, (v, at) => v - rowsMean(x, at % x.d));
}

describe('similarities', () => {
  it('match the reference', () => {
    expect(cka(a, b)).toBeCloseTo(golden['cka_biased(A,B)'], digits);
    expect(ckaDebiased(a, b)).toBeCloseTo(golden['cka_debiased(A,B)'], digits);
    expect(ckaDebiased(a, a)).toBeCloseTo(golden['cka_debiased(A,A)'], digits);
    expect(cka(a, narrow)).toBeCloseTo(golden['cka_biased(A,X(40,4,3))'], digits);
    expect(ckaDebiased(a, narrow)).toBeCloseTo(golden['cka_debiased(A,X(40,4,3))'], digits);
    const forth = canonicalCorrelations(factored(a), factored(b));
    const expected: number[] = golden['cca_corrs(A,B)'];
    forth.correlations.forEach((value, i) => expect(value).toBeCloseTo(expected[i], digits));
    expect(forth.mean).toBeCloseTo(golden.cca_mean, digits);
    expect(forth.weighted).toBeCloseTo(golden['pwcca(A->B)'], digits);
    expect(canonicalCorrelations(factored(b), factored(a)).weighted).toBeCloseTo(
      golden['pwcca(B->A)'],
      digits,
    );
    expect(svcca(factored(a), factored(b), 1).mean).toBeCloseTo(golden.cca_mean, digits);
    const fit = procrustes(a, b);
    expect(fit.disparity).toBeCloseTo(golden['scipy_procrustes_disparity(A,B)'], digits);
    expect(fit.nuclear).toBeCloseTo(
      golden['orthogonal_procrustes_scale(nuclear norm of AcT Bc)'],
      digits,
    );
    const pairs = rsa(a, b);
    expect(pairs.spearman).toBeCloseTo(golden['rsa_spearman(1-pearson RDM)'], digits);
    expect(pairs.pearson).toBeCloseTo(golden.rsa_pearson, digits);
  });

  it('of unrelated rows: biased CKA says .8, debiased says 0', () => {
    const random = new Random('cka');
    let [biased, debiased] = [0, 0];
    for (let i = 0; i < 10; i++) {
      const [p, q] = [noise(64, 256, random), noise(64, 256, random)];
      biased += cka(compressed(p), compressed(q)) / 10;
      debiased += ckaDebiased(p, q) / 10;
    }
    const { biased: expected, debiased_sd: sd } = golden.cka_null_n64_d256_mean;
    expect(biased).toBeCloseTo(expected, 1);
    expect(Math.abs(debiased)).toBeLessThan((3.3 * sd) / Math.sqrt(10));
  });

  it('do not change where a channel lies ten thousand deviations off, as massive activations do', () => {
    const off = (x: Rows): Rows => ({
      ...x,
      data: Float64Array.from(x.data, (value, at) => (at % x.d === 3 ? value + 1e4 : value)),
    });
    // A value near 1 moved by 1e4 has lost four of its sixteen digits, and squares lose four more.
    expect(cka(off(a), off(b))).toBeCloseTo(cka(a, b), 8);
    expect(ckaDebiased(off(a), off(b))).toBeCloseTo(ckaDebiased(a, b), 8);
  });

  it('do not change when rows are rotated, scaled or put in another order', () => {
    const random = new Random('same');
    const order = random.shuffle([...Array(40).keys()]);
    const measure = (x: Rows, y: Rows): number[] => [
      cka(x, y),
      ckaDebiased(x, y),
      canonicalCorrelations(factored(x), factored(y)).mean,
      procrustes(x, y).disparity,
    ];
    const before = measure(stretched, b);
    for (const after of [
      measure(timesTransposed(stretched, rotation(6, random)), b),
      measure(scaled(stretched, 7), b),
      measure(takeRows(stretched, order), takeRows(b, order)),
    ]) {
      after.forEach((value, i) => expect(value).toBeCloseTo(before[i], 10));
    }
    const pairs = rsa(takeRows(stretched, order), takeRows(b, order));
    expect(pairs.spearman).toBeCloseTo(rsa(stretched, b).spearman, 12);
  });

  it('are the same on compressed rows, and refuse what must be 1', () => {
    const random = new Random('wide');
    const [p, q] = [noise(20, 50, random), noise(20, 50, random)];
    expect(cka(compressed(p), compressed(q))).toBeCloseTo(cka(p, q), 10);
    expect(procrustes(compressed(p), compressed(q)).nuclear).toBeCloseTo(
      procrustes(p, q).nuclear,
      8,
    );
    expect(compressed(a)).toBe(a);
    expect(() => canonicalCorrelations(factored(p), factored(q))).toThrow(
      '20 rows cannot tell 19 columns apart',
    );
    expect(() => ckaDebiased(noise(3, 2, random), noise(3, 2, random))).toThrow(
      'debiased CKA needs 4 rows, not 3',
    );
  });
});
