/**
 * What do the words alone give away? A penalised logistic regression on word counts.
 *
 * A probe that does not beat it may have read nothing but the prompt. The words are few and plain: letters and
 * digits in lower case, every other character by itself. The objective is that of probes/logistic.ts with
 * C = 1, on counts:
 *
 *     ½‖w‖² + C Σ log(1 + e^{−yᵢ(Σ_word count(word) w_word + b)}),   b unpenalised
 *
 * The trap: it sees no order. Two prompts with the same words in another order are one to it, and what a
 * probe has beyond it may still be a bigram. Chance is ½, for words that do not go with the label.
 *
 * Held against the dense logistic fit on the same counts (tests/probes/controls.test.ts).
 *
 * @see Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, ch. 14.
 */

import { UserError } from '../src/base/errors.ts';
import { Minimiser } from '../src/math/minimise.ts';
import { log1pExp, sigmoid } from '../src/math/special.ts';
import { dot } from '../src/math/vectors.ts';
import type { Split } from './folds.ts';

/** Counts of words, one list of indices a text with repetitions. */
export interface WordCounts {
  readonly vocabulary: readonly string[];
  readonly texts: readonly Int32Array[];
}

/** Words of a text: runs of letters, marks and digits in lower case, every other character by itself. */
export function wordsOf(text: string): readonly string[] {
  return (
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}_]/gu) ?? []
  );
}

/** Indices into a vocabulary in order of first use. */
export function wordCounts(texts: readonly (readonly string[])[]): WordCounts {
  const indexOf = new Map<string, number>();
  const found = texts.map((words) =>
    Int32Array.from(words, (word) => {
      const index = indexOf.get(word) ?? indexOf.size;
      indexOf.set(word, index);
      return index;
    }),
  );
  return { vocabulary: [...indexOf.keys()], texts: found };
}

/** Scores of every text by a fit that has not seen its fold. Shape: `[n]`. The splits' test sides must partition the texts. */
export function bagOfWordsScores(
  counts: WordCounts,
  labels: ArrayLike<number>,
  splits: readonly Split[],
  c: number = 1,
): Float64Array {
  const scores = new Float64Array(counts.texts.length);
  for (const { train, test } of splits) {
    const weights = fitCounts(counts, labels, train, c);
    for (const i of test) scores[i] = scoreOf(counts.texts[i], weights);
  }
  return scores;
}

/** Weights of the words, the intercept last: `[vocabulary + 1]`. */
export function fitCounts(
  { vocabulary, texts }: WordCounts,
  labels: ArrayLike<number>,
  train: Int32Array,
  c: number = 1,
): Float64Array {
  const v = vocabulary.length;
  // The scores are wanted, and a rank statistic of them: 1e-7 a row is far below a tie.
  const tolerance = 1e-7 * c * train.length;
  const search = new Minimiser(new Float64Array(v + 1), {
    isSmall: (gradient) => gradient.every((value) => Math.abs(value) <= tolerance),
    maxEvaluations: 5000,
  });
  while (search.state === 'searching') {
    const { point, gradient } = search;
    gradient.set(point);
    gradient[v] = 0;
    let value = (dot(point, point) - point[v] ** 2) / 2;
    for (const i of train) {
      const s = scoreOf(texts[i], point);
      value += c * log1pExp(labels[i] === 1 ? -s : s);
      const residual = c * (labels[i] === 1 ? -sigmoid(-s) : sigmoid(s));
      for (const word of texts[i]) gradient[word] += residual;
      gradient[v] += residual;
    }
    search.tell(value);
  }
  if (search.state === 'converged') return search.point;
  throw new UserError('NOT_CONVERGED', 'the bag of words did not converge', {
    fix: 'Ask for no baselines (--no-baselines).',
  });
}

function scoreOf(words: Int32Array, weights: Float64Array): number {
  let sum = weights[weights.length - 1];
  for (const word of words) sum += weights[word];
  return sum;
}
