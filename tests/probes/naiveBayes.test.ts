import { describe, expect, it } from 'vitest';
import { splitsOf } from '../../probes/folds.ts';
import { naiveBayesScores } from '../../probes/naiveBayes.ts';

/** Rows of counts as lists of words with repetitions. */
const texts = [
  [0, 0, 1, 4],
  [1, 2],
  [0, 3, 3],
  [2, 2, 2, 3],
  [0, 1, 2],
  [1, 1, 4, 4],
].map((words) => Int32Array.from(words));
const counts = { vocabulary: ['a', 'b', 'c', 'd', 'e'], texts };
const labels = [1, 0, 1, 0, 1, 0];

describe('naiveBayesScores', () => {
  // scikit-learn 1.7, MultinomialNB(alpha=1): the difference of predict_joint_log_proba.
  it('gives the log-odds of scikit-learn, fold by fold', () => {
    const found = naiveBayesScores(counts, labels, splitsOf(Int32Array.of(0, 0, 1, 1, 2, 2), 3));
    [
      1.3613635192126097, -0.7645041193417774, 1.1252602301510013, -0.34804550795851874,
      -0.4841776822830992, 1.038248853161372,
    ].forEach((value, i) => expect(found[i]).toBeCloseTo(value, 12));
  });

  it('gives them where one class is larger', () => {
    const [split] = [{ train: Int32Array.of(0, 1, 2, 3, 4), test: Int32Array.of(5) }];
    expect(naiveBayesScores(counts, labels, [split])[5]).toBeCloseTo(1.3620699722290261, 12);
  });
});
