/**
 * Which token is said, given the logits?
 *
 * Greedily the likeliest, the lowest id among equals. With a temperature T one is drawn from
 * softmax(logits / T); with top-p only from the fewest likeliest tokens that hold at least that share
 * of the probability (nucleus sampling), with their own probabilities rescaled. One uniform number is
 * drawn for each token, so that a row's answer depends on its own stream and nothing else.
 *
 * @see Holtzman et al. 2020, arXiv:1904.09751, §3.1.
 */

import type { Random } from '../base/random.ts';

export interface Sampling {
  /** T; 0 for the likeliest token. */
  readonly temperature: number;
  /** p in (0, 1]; 1 for all tokens. */
  readonly topP: number;
}

/** The id that is said next; null where some logit is not finite. @param logits `[vocabulary]` */
export function choose(logits: Float32Array, sampling: Sampling, random: Random): number | null {
  const likeliest = indexOfLargest(logits);
  if (likeliest === null || sampling.temperature === 0) return likeliest;
  const weights = softmaxWeights(logits, logits[likeliest], sampling.temperature);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const ids = sampling.topP < 1 ? nucleus(weights, sampling.topP * total) : undefined;
  const held = ids === undefined ? total : ids.reduce((sum, id) => sum + weights[id], 0);
  let left = random.uniform() * held;
  const count = ids?.length ?? weights.length;
  let last = 0;
  for (let i = 0; i < count; i++) {
    const id = ids?.[i] ?? i;
    if (weights[id] === 0) continue;
    left -= weights[id];
    last = id;
    if (left < 0) return id;
  }
  return last; // rounding may leave a crumb beyond the last token
}

/** exp((logit − top) / T), in float64. */
function softmaxWeights(logits: Float32Array, top: number, temperature: number): Float64Array {
  return Float64Array.from(logits, (logit) => Math.exp((logit - top) / temperature));
}

/** The fewest likeliest ids whose weights sum to at least `share`, likeliest first, lowest id among equals. */
function nucleus(weights: Float64Array, share: number): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // All tokens below this together hold less than what may be left out, so sorting can pass them by.
  const least = (total - share) / weights.length;
  const ids: number[] = [];
  for (let id = 0; id < weights.length; id++) if (weights[id] >= least) ids.push(id);
  ids.sort((a, b) => weights[b] - weights[a] || a - b);
  let sum = 0;
  const end = ids.findIndex((id) => (sum += weights[id]) >= share);
  return end < 0 ? ids : ids.slice(0, end + 1);
}

/** The lowest index of the largest number; null unless all are finite. */
function indexOfLargest(values: Float32Array): number | null {
  let [best, top] = [0, values[0]];
  // v − v is 0 for every finite v and NaN for all others, and a sum never loses a NaN.
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    sum += value - value;
    if (value > top) [best, top] = [i, value];
  }
  return sum === 0 ? best : null;
}
