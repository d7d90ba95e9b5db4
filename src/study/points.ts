/**
 * One site of a curve with everything it must be judged by; no file is read or written here.
 *
 * Rows of a position are read one by one; an attention probe reads all tokens of a prompt. Both are a
 * `Material`, and what stands beside a number is the same for both.
 */

import { Random } from '../base/random.ts';
import type { EstimatorName, HeldOut, OnlineCode } from '../contract/readings.ts';
import type { Margin, NullBand, ProbePoint } from '../contract/report.ts';
import { parseSite } from '../graph/sites.ts';
import type { Steps } from '../math/multiply.ts';
import { takeRows, type Rows } from '../math/rows.ts';
import { sigmoid } from '../math/special.ts';
import {
  attentionOf,
  attentionScores,
  fitAttention,
  type AttentionProbe,
} from '../../probes/attentionPool.ts';
import { bagsOf, meanTokens } from '../../probes/bags.ts';
import { controlTask } from '../../probes/controlTask.ts';
import { crossFitSteps } from '../../probes/crossFit.ts';
import {
  checkFinite,
  evaluateFits,
  evaluateSteps,
  type Evaluation,
  type SplitOptions,
} from '../../probes/evaluate.ts';
import { familyP, maximaOf, standardised, type StandardisedSite } from '../../probes/families.ts';
import { averagePrecision, brierScore, calibration, logLoss } from '../../probes/metrics.ts';
import { onlineCode } from '../../probes/onlineCode.ts';
import { tprAtFpr } from '../../probes/operating.ts';
import type { LinearProbe } from '../../probes/probe.ts';
import { membersOf } from '../../probes/shuffles.ts';
import {
  directionsAt,
  marginOver,
  marginsOver,
  splitsFor,
  type JudgedRows,
  type ScoredBaseline,
} from './baselines.ts';

/** How a probe is fitted and what its chance follows from. */
export interface FitRequest {
  readonly estimator: EstimatorName;
  readonly c: number;
  readonly standardise: boolean;
  readonly intercept: boolean;
  readonly folds: number;
  readonly shuffles: number;
  readonly seed: number;
}

/** What is asked for at each site besides the curve itself. */
export interface BesideOptions {
  readonly baselines?: boolean;
  readonly control?: boolean;
  readonly onlineCode?: boolean;
  /** Random directions among the baselines; true if left out. */
  readonly directions?: boolean;
}

/** What a probe of one site reads: one row for each label, or all tokens of each prompt. */
export interface Material {
  /** One row for each label: the row, or the mean of the tokens. */
  readonly rows: Rows;
  evaluate(
    judged: JudgedRows,
    options: SplitOptions,
  ): Steps<Evaluation<LinearProbe | AttentionProbe>>;
  /** Score of each row by the fit that has not seen its fold. */
  scores(judged: JudgedRows): Steps<Float64Array>;
  /** Where the probe looks; only of an attention probe. */
  lookAt?(probe: AttentionProbe): NonNullable<ProbePoint['attention']>;
}

/** @param sizes Tokens of each prompt where they are pooled, or null for rows. */
export function materialOf(
  rows: Rows,
  sizes: readonly number[] | null,
  fit: Pick<FitRequest, 'estimator' | 'c' | 'standardise' | 'intercept' | 'seed'>,
): Material {
  const { estimator } = fit;
  if (estimator !== 'attention_pool') {
    const options = { ...fit, estimator };
    return {
      rows,
      evaluate: ({ labels, groups, folds }, split) =>
        evaluateSteps(rows, labels, groups, { ...options, ...split, folds }),
      scores: function* (judged) {
        const { labels, groups } = judged;
        const splits = splitsFor(judged);
        const request = { rows, labels, splits, labellings: [], options: { ...options, groups } };
        return heldOutScores(judged, (yield* crossFitSteps(request)).scores);
      },
    };
  }
  const bags = bagsOf(rows, sizes ?? Array.from({ length: rows.n }, () => 1));
  return {
    rows: meanTokens(bags),
    evaluate({ labels, groups, folds }, split) {
      checkFinite(rows);
      return evaluateFits(fitAttention(bags, labels, fit), labels, groups, { ...split, folds });
    },
    // oxlint-disable-next-line require-yield -- its products are too small to be asked for
    scores: function* (judged) {
      const found = splitsFor(judged).map((part) =>
        attentionScores(bags, judged.labels, part, fit),
      );
      return heldOutScores(judged, found);
    },
    lookAt: (probe) => attentionOf(probe, bags),
  };
}

/** Scores of the test rows of each fold as one, `[n]`. */
function heldOutScores(judged: JudgedRows, found: readonly Float64Array[]): Float64Array {
  const scores = new Float64Array(judged.labels.length);
  splitsFor(judged).forEach(({ test }, s) => {
    test.forEach((row, i) => (scores[row] = found[s][i]));
  });
  return scores;
}

export interface JudgedSite {
  readonly point: Omit<ProbePoint, 'probe'>;
  readonly probe: LinearProbe | AttentionProbe;
  readonly shuffled: Evaluation['shuffled'];
  readonly standing: StandardisedSite;
}

/** What other readings of the same rows a site is held against. */
export interface Rivals {
  readonly baselines: readonly ScoredBaseline[];
  /** The same site of the untrained twin. */
  readonly twin?: Material | undefined;
}

/** Asks for its large products. @throws {UserError} as `evaluateProbe` does. */
export function* judgeSite(
  site: string,
  material: Material,
  judged: JudgedRows,
  rivals: Rivals,
  request: FitRequest,
  options: BesideOptions,
): Steps<JudgedSite> {
  const { shuffles, seed } = request;
  const found = yield* material.evaluate(judged, { shuffles, seed });
  const standing = standardised(found.auroc, found.nulls);
  const attention =
    found.probe.estimator === 'attention_pool' ? material.lookAt?.(found.probe) : undefined;
  const point = {
    site,
    layer: parseSite(site).block ?? 0,
    n: found.n,
    n_positive: found.nPositive,
    n_groups: found.nGroups,
    auroc: found.auroc,
    auroc_by_fold: found.aurocByFold,
    low: found.low,
    high: found.high,
    null: { ...found.null, z: standing.z },
    ...(yield* besideOf(material, judged, found.scores, rivals, request, options)),
    held_out: heldOut(found.scores, judged.labels, request.estimator),
    ...(attention === undefined ? {} : { attention }),
  };
  return { point, probe: found.probe, shuffled: found.shuffled, standing };
}

/** The sites of one curve judged together: `p_adjusted` at each, and the maxima it is made of. */
export function asFamily(sites: readonly JudgedSite[]): {
  readonly nulls: readonly NullBand[];
  readonly maxima: readonly number[];
} {
  const maxima = maximaOf(sites.map(({ standing }) => standing));
  const nulls = sites.map(({ point, standing }) => ({
    ...point.null,
    p_adjusted: familyP(standing.z, maxima),
  }));
  return { nulls, maxima: Array.from(maxima) };
}

function* besideOf(
  material: Material,
  judged: JudgedRows,
  scores: Float64Array,
  rivals: Rivals,
  request: FitRequest,
  options: BesideOptions,
): Steps<Pick<ProbePoint, 'random_directions' | 'over' | 'control_task' | 'online_code'>> {
  const { estimator, seed, folds } = request;
  const { rows } = material;
  const { labels, groups } = judged;
  const random = new Random(seed);
  const hasBaselines = options.baselines !== false;
  return {
    ...(hasBaselines && options.directions !== false
      ? { random_directions: yield* directionsAt(rows, judged, seed) }
      : {}),
    ...(hasBaselines ? { over: yield* marginsAt(material, judged, scores, rivals, request) } : {}),
    ...(options.control === true && estimator !== 'attention_pool'
      ? {
          control_task: yield* controlTask(
            rows,
            labels,
            groups,
            { ...request, estimator },
            folds,
            random.fork('control task'),
          ),
        }
      : {}),
    ...(options.onlineCode === true
      ? { online_code: yield* codeOf(rows, judged, request, random.fork('online code')) }
      : {}),
  };
}

/** By how much the probe beats each rival. */
function* marginsAt(
  material: Material,
  judged: JudgedRows,
  scores: Float64Array,
  { baselines, twin }: Rivals,
  request: FitRequest,
): Steps<Margin[]> {
  const margins = marginsOver(judged, scores, baselines);
  if (request.estimator === 'attention_pool') {
    // What attention has to beat: logistic regression of the mean token, with the same strength.
    const plain = materialOf(material.rows, null, { ...request, estimator: 'logistic' });
    const rival = { name: 'mean_of_tokens' as const, scores: yield* plain.scores(judged) };
    margins.push(marginOver(judged, scores, rival));
  }
  if (twin !== undefined) {
    const rival = { name: 'random_weights' as const, scores: yield* twin.scores(judged) };
    margins.push(marginOver(judged, scores, rival));
  }
  return margins;
}

/** Whole groups in an order that says nothing, and the same code with labels shuffled. */
function* codeOf(
  rows: Rows,
  { labels, groups }: JudgedRows,
  { c, standardise, intercept }: FitRequest,
  random: Random,
): Steps<OnlineCode> {
  const order = random
    .fork('order')
    .shuffle(membersOf(groups).map((list) => [...list]))
    .flat();
  const ordered = takeRows(rows, order);
  const truth = order.map((row) => labels[row]);
  const options = { c, standardise, intercept };
  const { bits, compression } = yield* onlineCode(ordered, truth, options);
  const shuffled = random.fork('labels').shuffle([...truth]);
  const { bits: chance } = yield* onlineCode(ordered, shuffled, options);
  return { bits, compression, shuffled_bits: chance };
}

/** What the held-out scores of all folds are worth at a threshold, and as probabilities. */
function heldOut(
  scores: Float64Array,
  labels: ArrayLike<number>,
  estimator: EstimatorName,
): HeldOut {
  const probabilities = scores.map(sigmoid);
  return {
    average_precision: averagePrecision(scores, labels),
    at_1_percent_fpr: tprAtFpr(scores, labels),
    probabilities: givesLogOdds(estimator)
      ? {
          brier: brierScore(probabilities, labels),
          log_loss: logLoss(probabilities, labels),
          ece: calibration(probabilities, labels).ece,
        }
      : null,
  };
}

/** Estimators whose score is a log-odds by their own model. */
function givesLogOdds(estimator: EstimatorName): boolean {
  return estimator === 'logistic' || estimator === 'lda' || estimator === 'attention_pool';
}
