/**
 * What do the words alone give away, as fast as one can count? Multinomial naive Bayes on word counts.
 *
 *     s(text) = log π₁/π₀ + Σ_w count(w) · log (n₁w + 1)/(n₁ + V) − log (n₀w + 1)/(n₀ + V)
 *
 * with π the shares of the classes, n_cw the uses of word w in class c of the training texts and V words in all.
 * A fit is one pass over the words, so that it can be repeated on a thousand shuffled labellings where a
 * logistic regression (bagOfWords.ts) cannot. Both are linear in the counts.
 *
 * The trap: its probabilities are far too sure of themselves, since words come together. Only its ranking is of use.
 * Chance is ½; its null is counted anew on shuffled labels.
 *
 * Held against scikit-learn's `MultinomialNB` (tests/probes/naiveBayes.test.ts).
 *
 * @see Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, §13.2 (Laplace smoothing).
 */

import type { WordCounts } from './bagOfWords.ts';
import type { Split } from './folds.ts';

/**
 * Log-odds of every text by a fit that has not seen its fold. Shape: `[n]`.
 *
 * @param labels 0 or 1, `[n]`.
 * @param splits Their test sides must partition the texts, their training sides hold both classes.
 */
export function naiveBayesScores(
  { vocabulary, texts }: WordCounts,
  labels: ArrayLike<number>,
  splits: readonly Split[],
): Float64Array {
  const scores = new Float64Array(texts.length);
  const size = vocabulary.length;
  for (const { train, test } of splits) {
    const uses = [new Float64Array(size).fill(1), new Float64Array(size).fill(1)];
    const words = [size, size];
    let positives = 0;
    for (const i of train) {
      const own = labels[i];
      positives += own;
      words[own] += texts[i].length;
      for (const word of texts[i]) uses[own][word]++;
    }
    const prior = Math.log(positives / (train.length - positives));
    const rarer = Math.log(words[0] / words[1]);
    const odds = uses[1].map((count, word) => Math.log(count / uses[0][word]) + rarer);
    for (const i of test) {
      let sum = prior;
      for (const word of texts[i]) sum += odds[word];
      scores[i] = sum;
    }
  }
  return scores;
}
