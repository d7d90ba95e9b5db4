/**
 * What would have read the label as well, without the model? The baselines that stand beside a curve.
 *
 * All are scored on the same rows and folds as the probe, so that a difference is paired. A curve that does
 * not beat them is said so in words; the words come from the numbers and from nothing else.
 */

import { Random } from '../base/random.ts';
import type { Baseline, Margin, ProbeCurve, ProbePoint } from '../contract/report.ts';
import type { Rows } from '../math/rows.ts';
import { bagOfWordsScores, wordCounts, wordsOf } from '../../probes/bagOfWords.ts';
import { crossFit, pick } from '../../probes/crossFit.ts';
import type { EstimatorOptions } from '../../probes/crossFit.ts';
import { assertBothClasses, splitsOf, type Split } from '../../probes/folds.ts';
import { clusteredDifference, clusteredInterval } from '../../probes/interval.ts';
import { auroc } from '../../probes/metrics.ts';
import { checkLabels } from '../../probes/probe.ts';
import { randomDirections } from '../../probes/randomDirections.ts';
import type { Prompt } from '../text/prompts.ts';

/** How many random directions are tried. */
const directions = 1000;

/** Above this everywhere a curve decides nothing: there is no room in which sites could differ. */
export const saturated = 0.999;

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

/** The same probe on the rows of the embedding layer. */
export function embeddingBaseline(
  judged: JudgedRows,
  rows: Rows,
  options: EstimatorOptions,
): ScoredBaseline {
  return scored('embedding', judged, linearScores(rows, judged, splitsFor(judged), options));
}

/** Random directions at one site. */
export function directionsAt(
  rows: Rows,
  judged: JudgedRows,
  seed: number,
): NonNullable<ProbePoint['random_directions']> {
  const random = new Random(seed).fork('random directions');
  return randomDirections(rows, judged.labels, splitsFor(judged), directions, random);
}

/** By how much the probe's scores beat each baseline. */
export function marginsOver(
  judged: JudgedRows,
  scores: Float64Array,
  baselines: readonly ScoredBaseline[],
): Margin[] {
  const splits = splitsFor(judged);
  return baselines.map(({ baseline, scores: others }) => ({
    baseline: baseline.name,
    ...clusteredDifference(
      splits.map((split) => ({
        ...side(judged, split, scores),
        others: Float64Array.from(split.test, (row) => others[row]),
      })),
    ),
  }));
}

const titles: Readonly<Record<Baseline['name'], string>> = {
  prompt_length: 'the length of the prompt',
  bag_of_words: 'a bag of the prompt’s words',
  embedding: 'the embedding layer',
};

/** What a reader must be told about a curve, one sentence each. */
export function remarksOn({
  points,
  baselines = [],
}: Pick<ProbeCurve, 'points' | 'baselines'>): string[] {
  const remarks = baselines.flatMap(({ name, auroc: area }) => {
    const margins = points.flatMap(({ over = [] }) => over.filter((m) => m.baseline === name));
    const beaten = margins.filter(({ low }) => low > 0).length;
    if (margins.length === 0 || beaten === margins.length) return [];
    const where = beaten === 0 ? 'at no site' : `at only ${beaten} of ${margins.length} sites`;
    return [`it beats ${titles[name]} (AUROC ${area.toFixed(3)}) ${where}`];
  });
  const lucky = points.filter(
    ({ auroc: area, random_directions: drawn }) => drawn !== undefined && area <= drawn.best,
  );
  if (lucky.length > 0) {
    const best = Math.max(...lucky.map(({ random_directions: drawn }) => drawn?.best ?? 0));
    remarks.push(
      `at ${lucky.length} of ${points.length} sites the best of ${directions} random directions reads as much (up to ${best.toFixed(3)})`,
    );
  }
  if (points.every(({ auroc: area }) => area >= saturated)) {
    remarks.push(
      `it is read at ${saturated} or more everywhere: that is saturation and decides nothing`,
    );
  }
  return remarks;
}

function wordsOfPrompt({ body }: Prompt): readonly string[] {
  if (body.kind === 'ids') return body.ids.map(String);
  if (body.kind === 'text') return wordsOf(body.text);
  if (body.kind === 'none') return [];
  return body.messages.flatMap(({ content }) => wordsOf(content));
}

function splitsFor({ folds }: JudgedRows): readonly Split[] {
  return splitsOf(folds, new Set(folds).size);
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

function scored(name: Baseline['name'], judged: JudgedRows, scores: Float64Array): ScoredBaseline {
  const held = splitsFor(judged).map((split) => side(judged, split, scores));
  const areas = held.map((fold) => auroc(fold.scores, fold.labels));
  const mean = areas.reduce((sum, value) => sum + value, 0) / areas.length;
  const baseline = { name, auroc: mean, auroc_by_fold: areas, ...clusteredInterval(mean, held) };
  return { baseline, scores };
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
