import { describe, expect, it } from 'vitest';

import { fitLogistic } from '../../probes/logistic.ts';
import {
  averagePrecision,
  auroc,
  brierScore,
  calibration,
  hanleyMcNeil,
  logLoss,
} from '../../probes/metrics.ts';
import { fitMeanDifference } from '../../probes/meanDifference.ts';
import { onlineCode, stepsOf } from '../../probes/onlineCode.ts';
import { clopperPearson, controlsFor, tprAtFpr, wilson } from '../../probes/operating.ts';
import { clusteredDifference, clusteredVariance } from '../../probes/interval.ts';
import { score } from '../../probes/probe.ts';
import { here } from '../../src/math/multiply.ts';
import { sigmoid } from '../../src/math/special.ts';
import { betaCdf, betaQuantile, normalCdf, twoSidedNormal } from '../../src/math/distributions.ts';
import { readGolden, sines, stripedLabels } from '../support/sines.ts';

const oracle = readGolden('oracles/science.json');
const labels = stripedLabels(40);
const rows = sines(40, 6, 1);
labels.forEach((label, i) => {
  rows.data[i * 6] += 0.8 * label;
  rows.data[i * 6 + 2] -= 0.5 * label;
});

describe('averagePrecision', () => {
  it('matches scikit-learn', () => {
    const scores = score(fitMeanDifference(rows, labels), rows);
    expect(averagePrecision(scores, labels)).toBeCloseTo(oracle.mean_diff_ap, 12);
  });

  it('takes ties together', () => {
    // All tied: precision at full recall, the base rate.
    expect(averagePrecision([1, 1, 1, 1], [1, 0, 0, 0])).toBe(0.25);
    // Ranks 1 and 3 are positive: (1 + 2/3) / 2.
    expect(averagePrecision([4, 3, 2, 1], [1, 0, 1, 0])).toBeCloseTo(5 / 6, 14);
  });
});

describe('brierScore, logLoss and calibration', () => {
  const probabilities = score(fitLogistic(rows, labels), rows).map(sigmoid);

  it('match scikit-learn', () => {
    // scikit-learn stops a little short of the optimum; Newton's method in numpy goes there.
    expect(Math.abs(brierScore(probabilities, labels) - oracle.logreg_C1_brier)).toBeLessThan(1e-6);
    expect(Math.abs(logLoss(probabilities, labels) - oracle.logreg_C1_logloss)).toBeLessThan(1e-6);
    expect(brierScore(probabilities, labels)).toBeCloseTo(0.15708628088945842, 9);
    expect(logLoss(probabilities, labels)).toBeCloseTo(0.4714192376755932, 9);
    expect(auroc(probabilities, labels)).toBeCloseTo(oracle.logreg_C1_auroc, 12);
  });

  it('compare what was said with what was found, by hand', () => {
    const { ece, bins } = calibration([0.1, 0.1, 0.9, 0.9], [0, 1, 1, 1]);
    expect(bins).toEqual([
      { n: 2, said: 0.1, found: 0.5 },
      { n: 2, said: 0.9, found: 1 },
    ]);
    expect(ece).toBeCloseTo(0.5 * 0.4 + 0.5 * 0.1, 14);
  });
});

describe('hanleyMcNeil', () => {
  it.each(Object.entries<number>(oracle.hanley_mcneil_se))(
    'gives the table at %s',
    (key, value) => {
      const [, a, n] = /A=([\d.]+),n1=n2=(\d+)/.exec(key) ?? [];
      // The table is rounded to 6 digits.
      expect(hanleyMcNeil(Number(a), Number(n), Number(n))).toBeCloseTo(value, 6);
    },
  );
});

describe('clopperPearson and wilson', () => {
  it('match scipy', () => {
    const exact = clopperPearson(8, 10);
    expect(exact.low).toBeCloseTo(oracle['clopper_pearson(8/10)'][0], 11);
    expect(exact.high).toBeCloseTo(oracle['clopper_pearson(8/10)'][1], 11);
    for (const [key, hits, n] of [
      ['wilson(8/10)', 8, 10],
      ['wilson(0/1000)', 0, 1000],
    ] as const) {
      expect(wilson(hits, n).low).toBeCloseTo(oracle[key][0], 11);
      expect(wilson(hits, n).high).toBeCloseTo(oracle[key][1], 11);
    }
  });

  it('have their closed forms at the ends', () => {
    expect(clopperPearson(0, 20).low).toBe(0);
    expect(clopperPearson(0, 20).high).toBeCloseTo(1 - 0.025 ** (1 / 20), 12);
    expect(clopperPearson(20, 20).high).toBe(1);
  });
});

describe('controlsFor', () => {
  it('is the rule of three made exact', () => {
    // 1 − .05^(1/n) ≤ .01 ⇔ n ≥ log .05 / log .99 = 298.07.
    expect(controlsFor(0.01, 0).controls).toBe(299);
    expect(controlsFor(0.05, 0).controls).toBe(59);
    expect(1 - 0.05 ** (1 / 1000)).toBeCloseTo(
      oracle['clopper_pearson_upper(0/1000,one-sided95)'],
      14,
    );
    const { controls, upper } = controlsFor(0.01, 2);
    expect(upper).toBeLessThanOrEqual(0.01);
    expect(betaQuantile(0.95, 3, controls - 1 - 2)).toBeGreaterThan(0.01);
  });

  it('refuses what is no rate', () => {
    expect(() => controlsFor(1, 0)).toThrow('1 is no rate between 0 and 1');
  });
});

describe('tprAtFpr', () => {
  it('never lets more negatives through than asked, ties included', () => {
    const scores = [9, 8, 7, 6, 5, 5, 4, 3, 2, 1];
    const truth = [1, 1, 0, 1, 0, 1, 0, 0, 0, 0];
    // One of six negatives is 17 %: at 20 % the threshold is the second negative, 5.
    const point = tprAtFpr(scores, truth, 0.2);
    expect(point.threshold).toBe(5);
    expect(point.tpr).toMatchObject({ hits: 3, n: 4, rate: 0.75 });
    expect(point.fpr).toMatchObject({ hits: 1, n: 6 });
    expect(tprAtFpr(scores, truth, 0.01)).toMatchObject({ threshold: 7, tpr: { hits: 2 } });
  });
});

describe('onlineCode', () => {
  it('matches scikit-learn', () => {
    const { bits, compression } = here(onlineCode(rows, labels, {}, [5, 10, 20, 40]));
    // scikit-learn stops a little short of the optimum; Newton's method in numpy goes there.
    const sklearn = oracle['mdl_online_bits(ts=5,10,20,40;C=1;LR raw)'];
    expect(Math.abs(bits / sklearn - 1)).toBeLessThan(1e-6);
    expect(bits).toBeCloseTo(41.237754730400695, 7);
    expect(Math.abs(compression / oracle.mdl_compression - 1)).toBeLessThan(1e-6);
  });

  it('fits after the shares of the paper, none twice', () => {
    expect(stepsOf(1000)).toEqual([1, 2, 4, 8, 16, 32, 63, 125, 250, 500, 1000]);
    expect(stepsOf(40)).toEqual([1, 2, 3, 5, 10, 20, 40]);
    expect(() => here(onlineCode(rows, labels, {}, [5, 5, 40]))).toThrow(
      'steps 5, 5, 40 do not ascend',
    );
  });
});

describe('DeLong', () => {
  const { ties_scores: scores, ties_y: y } = oracle;
  const groups = (scores as number[]).map((_, i) => `g${i}`);
  const side = { scores: Float64Array.from(scores), labels: y, groups };

  it('has the variance of the oracle where rows are groups', () => {
    expect(clusteredVariance(side)).toBeCloseTo(oracle.ties_delong_var, 14);
  });

  it('compares two scores of the same rows: the covariance counts', () => {
    const same = clusteredDifference([{ ...side, others: side.scores }]);
    expect(same).toMatchObject({ difference: 0, low: 0, high: 0, p: 1 });
    // Against a constant the difference has the variance of the one that varies.
    const other = clusteredDifference([{ ...side, others: new Float64Array(10) }]);
    expect(other.difference).toBeCloseTo(0.26, 14);
    expect(other.high - other.low).toBeCloseTo(
      // Ten groups in one fold: Student's law with 9 degrees of freedom (2.262157, any table).
      2 * 2.2621571628 * Math.sqrt(oracle.ties_delong_var),
      9,
    );
    // scipy.stats.t.sf(0.26 / sqrt(0.0262), 9) * 2
    expect(other.p).toBeCloseTo(0.14267359632771584, 10);
  });
});

describe('distributions', () => {
  it('have known values', () => {
    expect(normalCdf(1.959963984540054)).toBeCloseTo(0.975, 14);
    expect(normalCdf(-1)).toBeCloseTo(0.15865525393145705, 14);
    expect(twoSidedNormal(5)).toBeCloseTo(5.733031437583878e-7, 18);
    // I_x(2, 3) = 6x² − 8x³ + 3x⁴.
    expect(betaCdf(0.3, 2, 3)).toBeCloseTo(6 * 0.09 - 8 * 0.027 + 3 * 0.0081, 14);
  });
});
