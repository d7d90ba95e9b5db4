/**
 * What would have read the label as well, without the model? The baselines that stand beside a curve.
 *
 * All are scored on the same rows and folds as the probe, so that a difference is paired. What may be said of
 * the differences is decided in claims.ts.
 */

import { Random } from '../base/random.ts';
import type { Baseline, Margin, ProbePoint } from '../contract/report.ts';
import type { Steps } from '../math/multiply.ts';
import type { Rows } from '../math/rows.ts';
import { bagOfWordsScores, wordCounts, wordsOf } from '../../probes/bagOfWords.ts';
import { crossFit, pick } from '../../probes/crossFit.ts';
import type { EstimatorOptions } from '../../probes/crossFit.ts';
import { assertBothClasses, splitsOf, type Split } from '../../probes/folds.ts';
import { clusteredDifference, clusteredInterval } from '../../probes/interval.ts';
import { auroc } from '../../probes/metrics.ts';
import { checkLabels } from '../../probes/probe.ts';
import { randomDirectionsSteps } from '../../probes/randomDirections.ts';
import type { Prompt } from '../text/prompts.ts';

/** How many random directions are tried. */
const directions = 1000;

/** The rows of a curve, as all its fits see them. */
export interface JudgedRows {
  readonly labels: Uint8Array;
  readonly groups: readonly string[];
  readonly folds: Int32Array;
}

/** A baseline with the score of each row by the fit that has not seen its group, `[n]`. */
export interface ScoredBaseline {
  readonly baseline: Baseline;
  readonly scores: Float64Array;
}

/** Prompt length and bag of words of the rows' prompts. `tokens` are those up to the row's own, 0 where unknown, `[n]`. */
export function promptBaselines(
  judged: JudgedRows,
  prompts: readonly Prompt[],
  tokens: readonly number[],
): ScoredBaseline[] {
  const splits = splitsFor(judged);
  const words = prompts.map(wordsOfPrompt);
  const lengths = Float64Array.from(words.flatMap((list, i) => [tokens[i], list.length]));
  const length = { n: prompts.length, d: 2, data: lengths };
  checkLabels(judged.labels, length);
  assertBothClasses(splits, judged.labels);
  const isRecording = words.every((list) => list.length === 0);
  // Activations that came without their prompts have nothing to read beside them.
  if (isRecording && tokens.every((count) => count === tokens[0])) return [];
  const found = [scored('prompt_length', judged, linearScores(length, judged, splits, readLength))];
  if (isRecording) return found;
  const counts = wordCounts(words);
  return [
    ...found,
    scored('bag_of_words', judged, bagOfWordsScores(counts, judged.labels, splits)),
  ];
}

const readLength = { estimator: 'logistic', standardise: true } as const;

/** Random directions at one site; asks for its products. */
export function* directionsAt(
  rows: Rows,
  judged: JudgedRows,
  seed: number,
): Steps<NonNullable<ProbePoint['random_directions']>> {
  const random = new Random(seed).fork('random directions');
  return yield* randomDirectionsSteps(rows, judged.labels, splitsFor(judged), directions, random);
}

/** By how much the probe's scores beat each baseline. */
export function marginsOver(
  judged: JudgedRows,
  scores: Float64Array,
  baselines: readonly ScoredBaseline[],
): Margin[] {
  return baselines.map(({ baseline: { name }, scores: others }) =>
    marginOver(judged, scores, { name, scores: others }),
  );
}

/** By how much the probe's scores beat another reading of the same rows. */
export function marginOver(
  judged: JudgedRows,
  scores: Float64Array,
  rival: { readonly name: Margin['baseline']; readonly scores: Float64Array },
): Margin {
  const held = splitsFor(judged).map((split) => ({
    ...side(judged, split, scores),
    others: Float64Array.from(split.test, (row) => rival.scores[row]),
  }));
  const areas = held.map(({ others, labels }) => auroc(others, labels));
  return { baseline: rival.name, auroc: meanOf(areas), ...clusteredDifference(held) };
}

function wordsOfPrompt({ body }: Prompt): readonly string[] {
  if (body.kind === 'ids') return body.ids.map(String);
  if (body.kind === 'text') return wordsOf(body.text);
  if (body.kind === 'none') return [];
  return body.messages.flatMap(({ content }) => wordsOf(content));
}

/** What stands beside a number asks for the same splits a dozen times. */
const splitsKnown = new WeakMap<Int32Array, readonly Split[]>();

export function splitsFor({ folds }: Pick<JudgedRows, 'folds'>): readonly Split[] {
  const known = splitsKnown.get(folds) ?? splitsOf(folds, new Set(folds).size);
  splitsKnown.set(folds, known);
  return known;
}

/** Scores of every row by the fit that has not seen its fold. */
function linearScores(
  rows: Rows,
  { labels, groups }: JudgedRows,
  splits: readonly Split[],
  options: EstimatorOptions,
): Float64Array {
  const found = crossFit(rows, labels, splits, [], { ...options, groups }, () => undefined);
  const scores = new Float64Array(rows.n);
  splits.forEach(({ test }, s) => test.forEach((row, i) => (scores[row] = found.scores[s][i])));
  return scores;
}

/** A baseline of scores by fits that have not seen the fold. */
export function scored(
  name: Baseline['name'],
  judged: JudgedRows,
  scores: Float64Array,
): ScoredBaseline {
  const held = splitsFor(judged).map((split) => side(judged, split, scores));
  const areas = held.map((fold) => auroc(fold.scores, fold.labels));
  const mean = meanOf(areas);
  const baseline = { name, auroc: mean, auroc_by_fold: areas, ...clusteredInterval(mean, held) };
  return { baseline, scores };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function side(
  { labels, groups }: JudgedRows,
  { test }: Split,
  scores: Float64Array,
): { scores: Float64Array; labels: Uint8Array; groups: string[] } {
  return {
    scores: Float64Array.from(test, (row) => scores[row]),
    labels: pick(labels, test),
    groups: Array.from(test, (row) => groups[row]),
  };
}
