/**
 * A probe that reads all tokens of a prompt and learns where to look:
 *
 *     aₜ = softmaxₜ(q · xₜ)      s = w · Σₜ aₜ xₜ + b
 *     minimise ½‖w‖² + ½‖q‖² + C Σ log(1 + e^{−yᵢ sᵢ}),   y = ±1, b unpenalised
 *
 * One query q, one read-out w. Rows of one token make it logistic regression, and C → 0 the logistic
 * regression of the mean token: that is where the search starts (q = 0, w and b of the mean), so that
 * what it ends at is no worse by the objective, and is the same every time.
 *
 * Traps. The objective is not convex: another start may end elsewhere. It has twice the parameters of a
 * logistic probe and reads whatever any token gives away, so that a bag of words and the mean of the tokens
 * (no attention) must stand beside it. The first token of many models has activations hundreds of
 * times larger than all others and draws the attention on its own: standardise, and look at the weights.
 * Chance is ½; its null is refitted on shuffled labels.
 *
 * Held against L-BFGS of scipy on a torch graph of the same objective from the same start, against central
 * differences, and against logistic regression where every row has one token (tests/probes/attentionPool.test.ts).
 *
 * @see McKenzie et al. 2025, arXiv:2506.10805, §3; Shabalin and Belrose 2025, Attention probes (EleutherAI).
 */

import { UserError } from '../src/base/errors.ts';
import { Minimiser } from '../src/math/minimise.ts';
import { log1pExp, sigmoid } from '../src/math/special.ts';
import { columnMeans, dot } from '../src/math/vectors.ts';
import { meanTokens, takeBags, tokensOf } from './bags.ts';
import type { Bags } from './bags.ts';
import { pick } from './crossFit.ts';
import type { FitAll } from './evaluate.ts';
import type { Split } from './folds.ts';
import { fitLogistic } from './logistic.ts';
import { auroc } from './metrics.ts';
import { checkLabels, checkPenalty, inFrame, standardisationOf } from './probe.ts';
import type { FitOptions, Standardisation } from './probe.ts';

export interface AttentionProbe {
  readonly estimator: 'attention_pool';
  readonly settings: {
    readonly c: number;
    readonly standardise: boolean;
    readonly intercept: boolean;
  };
  /** `[d]`, in standardised units where `scale` is given. */
  readonly query: Float64Array;
  readonly coef: Float64Array;
  readonly intercept: number;
  /** Of the tokens of the training rows, `[d]`; only where standardised. */
  readonly mean?: Float64Array;
  readonly scale?: Float64Array;
}

/** Largest entry of the gradient of objective / (C n) at which a fit counts as converged: scikit-learn's 1e-4. */
const gradientTolerance = 1e-4;
const maxEvaluations = 2000;
/** Held-out fits, of labels and of shuffles alike, stop here at the latest and are taken as they stand. */
const maxHeldOutEvaluations = 200;

export interface AttentionOptions extends FitOptions {
  /** Largest entry of the gradient of objective / (C n) at the end; 1e-4 if left out. */
  readonly tolerance?: number;
  /** Take what is there after so many evaluations; left out, a fit that has not converged is refused. */
  readonly stopAfter?: number;
}

/**
 * Fits the probe on all bags with labels 0 or 1, `[n]`.
 *
 * @throws {UserError} `LABELS_INVALID` when a class is missing, `SHAPE_MISMATCH` on unequal lengths,
 *   `NOT_CONVERGED` when the gradient stays above the tolerance.
 */
export function fitAttentionPool(
  bags: Bags,
  labels: ArrayLike<number>,
  options: AttentionOptions = {},
): AttentionProbe {
  const { c = 1, standardise = false, intercept = true, tolerance = gradientTolerance } = options;
  checkPenalty(c);
  const means = meanTokens(bags);
  checkLabels(labels, means);
  const { d } = bags.rows;
  const frame = frameOf(bags, standardise, intercept);
  const start = fitLogistic(inFrame(means, undefined, frame), labels, { c, intercept });
  const point = new Float64Array(2 * d + 1);
  point.set(start.coef);
  point[2 * d] = start.intercept;
  const search = new Minimiser(point, {
    isSmall: (gradient) => largest(gradient) <= tolerance * c * bags.n,
    maxEvaluations: options.stopAfter ?? maxEvaluations,
  });
  const problem = { bags, labels, c, intercept, frame };
  while (search.state === 'searching') {
    search.tell(attentionObjective(problem, search.point, search.gradient));
  }
  if (search.state === 'gave up' && options.stopAfter === undefined) {
    throw new UserError(
      'NOT_CONVERGED',
      `the attention fit (C = ${c}) still had a gradient of ${largest(search.gradient).toExponential(1)} after ${maxEvaluations} steps`,
      { fix: 'Standardise the columns, or choose a smaller C.' },
    );
  }
  const settings = { c, standardise, intercept };
  const coef = search.point.slice(0, d);
  const query = search.point.slice(d, 2 * d);
  const offset = intercept ? search.point[2 * d] : 0;
  const found = { estimator: 'attention_pool', settings, query, coef } as const;
  if (standardise) return { ...found, intercept: offset, ...frame };
  // Attention does not see where the origin lies, and the intercept takes it back.
  return { ...found, intercept: offset - (intercept ? dot(coef, frame.mean) : 0) };
}

export interface AttentionProblem {
  readonly bags: Bags;
  readonly labels: ArrayLike<number>;
  readonly c: number;
  readonly intercept: boolean;
  readonly frame: Standardisation;
}

/**
 * The objective at `weights` = (w, q, b) in the frame's units; its gradient goes into `gradient`.
 *
 *     ∂s/∂w = Σ aₜ xₜ      ∂s/∂q = Σ aₜ (vₜ − v̄) xₜ,   vₜ = w · xₜ, v̄ = Σ aₜ vₜ
 *
 * Tokens stay as they are stored: the frame is moved into the weights.
 */
export function attentionObjective(
  { bags, labels, c, intercept, frame }: AttentionProblem,
  weights: Float64Array,
  gradient: Float64Array,
): number {
  const { d, data } = bags.rows;
  const { mean, scale } = frame;
  const raw = (from: number): Float64Array => scale.map((s, j) => weights[from + j] / s);
  const [w, q] = [raw(0), raw(d)];
  const offset = (intercept ? weights[2 * d] : 0) - dot(w, mean);
  const slopeOfW = new Float64Array(d);
  const slopeOfQ = new Float64Array(d);
  let loss = 0;
  let residuals = 0;
  for (let i = 0; i < bags.n; i++) {
    const { attention, values, pooled } = lookAt(bags, i, w, q);
    const s = pooled + offset;
    loss += log1pExp(labels[i] === 1 ? -s : s);
    const residual = labels[i] === 1 ? -sigmoid(-s) : sigmoid(s);
    residuals += residual;
    for (let t = 0, at = bags.first[i] * d; t < attention.length; t++) {
      const share = residual * attention[t];
      const turn = share * (values[t] - pooled);
      for (let j = 0; j < d; j++, at++) {
        slopeOfW[j] += share * data[at];
        slopeOfQ[j] += turn * data[at];
      }
    }
  }
  let norm = 0;
  for (let j = 0; j < d; j++) {
    norm += weights[j] ** 2 + weights[d + j] ** 2;
    gradient[j] = weights[j] + (c * (slopeOfW[j] - mean[j] * residuals)) / scale[j];
    gradient[d + j] = weights[d + j] + (c * slopeOfQ[j]) / scale[j];
  }
  gradient[2 * d] = intercept ? c * residuals : 0;
  return norm / 2 + c * loss;
}

/** Score of each bag; above 0 the probe says 1. Shape: `[n]`. */
export function scoreAttention(probe: AttentionProbe, bags: Bags): Float64Array {
  const { w, q, offset } = inRawUnits(probe, bags);
  return Float64Array.from({ length: bags.n }, (_, i) => lookAt(bags, i, w, q).pooled + offset);
}

export interface Attention {
  /** exp of the entropy of the weights, mean over bags: 1 looks at one token. */
  readonly effective_tokens: number;
  /** Mean number of tokens, which uniform weights would give. */
  readonly tokens: number;
  /** Mean weight of the first and of the last token of each bag. */
  readonly first: number;
  readonly last: number;
}

/** Where a probe looks, on average over bags. */
export function attentionOf(probe: AttentionProbe, bags: Bags): Attention {
  const { w, q } = inRawUnits(probe, bags);
  const sums = { effective_tokens: 0, tokens: 0, first: 0, last: 0 };
  for (let i = 0; i < bags.n; i++) {
    const { attention } = lookAt(bags, i, w, q);
    const entropy = attention.reduce((sum, a) => sum - (a > 0 ? a * Math.log(a) : 0), 0);
    sums.effective_tokens += Math.exp(entropy) / bags.n;
    sums.tokens += attention.length / bags.n;
    sums.first += attention[0] / bags.n;
    sums.last += attention[attention.length - 1] / bags.n;
  }
  return sums;
}

function inRawUnits(
  { query, coef, intercept, mean, scale }: AttentionProbe,
  { rows }: Bags,
): { w: Float64Array; q: Float64Array; offset: number } {
  if (rows.d !== coef.length) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `the probe reads ${coef.length} dimensions, the tokens have ${rows.d}`,
      { fix: 'Score tokens of the site that the probe was fitted on.' },
    );
  }
  const raw = (v: Float64Array): Float64Array =>
    scale === undefined ? v : v.map((value, j) => value / scale[j]);
  const w = raw(coef);
  return { w, q: raw(query), offset: intercept - (mean === undefined ? 0 : dot(w, mean)) };
}

/** Attention weights, values w · xₜ and their weighted mean, of one bag. */
function lookAt(
  { rows, first, end }: Bags,
  i: number,
  w: Float64Array,
  q: Float64Array,
): { attention: Float64Array; values: Float64Array; pooled: number } {
  const attention = new Float64Array(end[i] - first[i]);
  const values = new Float64Array(attention.length);
  const { d, data } = rows;
  let highest = Number.NEGATIVE_INFINITY;
  // One walk over the tokens for both products: this is where a fit spends its time.
  for (let t = 0, at = first[i] * d; t < attention.length; t++) {
    let match = 0;
    let value = 0;
    for (let j = 0; j < d; j++, at++) {
      match += q[j] * data[at];
      value += w[j] * data[at];
    }
    attention[t] = match;
    values[t] = value;
    if (match > highest) highest = match;
  }
  let total = 0;
  for (let t = 0; t < attention.length; t++) {
    attention[t] = Math.exp(attention[t] - highest);
    total += attention[t];
  }
  let pooled = 0;
  for (let t = 0; t < attention.length; t++) {
    attention[t] /= total;
    pooled += attention[t] * values[t];
  }
  return { attention, values, pooled };
}

/** As in logistic.ts, over the tokens of the bags: an origin that the intercept does not depend on. */
function frameOf(bags: Bags, standardise: boolean, intercept: boolean): Standardisation {
  const tokens = tokensOf(bags);
  if (standardise) return standardisationOf(bags.rows, tokens);
  const { d } = bags.rows;
  const mean = intercept ? columnMeans(bags.rows, tokens) : new Float64Array(d);
  return { mean, scale: new Float64Array(d).fill(1) };
}

function largest(vector: Float64Array): number {
  return vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Scores of the test bags of a split by a probe that has not seen them. */
export function attentionScores(
  bags: Bags,
  labels: ArrayLike<number>,
  { train, test }: Split,
  options: AttentionOptions,
): Float64Array {
  const settings = { ...options, stopAfter: maxHeldOutEvaluations };
  const probe = fitAttentionPool(takeBags(bags, train), pick(labels, train), settings);
  return scoreAttention(probe, takeBags(bags, test));
}

/** Fits the probe on bags in every split; see `evaluateFits`. */
export function fitAttention(
  bags: Bags,
  labels: ArrayLike<number>,
  options: AttentionOptions,
): FitAll<AttentionProbe> {
  return (splits, labellings, onNull) => {
    const nulls = new Float64Array(labellings.length);
    labellings.forEach((labelling, k) => {
      for (const split of splits) {
        const scores = attentionScores(bags, labelling, split, options);
        nulls[k] += auroc(scores, pick(labelling, split.test)) / splits.length;
        onNull();
      }
    });
    const scores = splits.map((split) => attentionScores(bags, labels, split, options));
    return { fits: { scores, nulls }, probe: fitAttentionPool(bags, labels, options) };
  };
}
