/**
 * From which tokens on is it worth going on, rather than reading what another prompt has read already?
 *
 * Costs are counted in tokens: what reading one more token in a full pass takes. A pass costs as much as
 * `runTokens` besides, whatever it reads, and a cached token a share of a read one for being moved. Pasts
 * of one pass are equally long, so each level means passes of its own: many levels save tokens and waste
 * runs. docs/decisions/0024-shared-prefixes.md has the measurements.
 */

import type { Branch } from './prefixTree.ts';
import { tokensOf, type Pass } from './segments.ts';

/** What a pass may hold and what it costs. */
export interface PassCosts {
  /** Tokens that a pass reads at the most, padding included; one longer segment runs alone. */
  readonly batchTokens: number;
  /** What moving the keys and values of one token into a pass costs, in read tokens. */
  readonly movedShare: number;
}

/** What each run of a graph costs besides its tokens: small products reach less of the machine. */
const runTokens = 32;

/**
 * Tokens that the rows of a pass reach back to at the most, their own included, in batches: a bound on
 * memory where long pasts are gathered for short continuations.
 */
const reachBatches = 32;

/** Rows of a pass whose longest has `length` tokens of its own behind a past. */
export function rowsOf(length: number, past: number, { batchTokens }: PassCosts): number {
  const byReading = Math.floor(batchTokens / length);
  const byReach = Math.floor((reachBatches * batchTokens) / (past + length));
  return Math.max(1, Math.min(byReading, byReach));
}

/** What a pass costs, in read tokens; padding costs next to nothing, for only attention sees it. */
export function costOf(pass: Pass, costs: PassCosts): number {
  return costOfReading(tokensOf(pass), pass.segments.length * pass.past, costs);
}

/** What a pass costs that reads so many tokens of all rows together, behind pasts of so many. */
export function costOfReading(tokens: number, moved: number, { movedShare }: PassCosts): number {
  return tokens + moved * movedShare + runTokens;
}

/**
 * The lengths of pasts with which all prompts together cost least, ascending, padding left aside.
 *
 * A branch that has `shared` tokens in common goes on from the longest level up to there. So levels cut
 * the branches, sorted by what they share, into groups that each cost a sum over the group, and the best
 * cuts follow from the best cuts of fewer branches. O(k²) for k different values of `shared`.
 */
export function bestLevels(branches: readonly Branch[], costs: PassCosts): number[] {
  const { values, counts, tokens } = bySharing(branches);
  const before = (sums: readonly number[]): number[] => {
    const totals = [0];
    for (const value of sums) totals.push(totals[totals.length - 1] + value);
    return totals;
  };
  const [countTo, tokensTo] = [before(counts), before(tokens)];
  // best[j]: least cost of the values before j, where a group ends there; cut[j]: where it began.
  const best = [0];
  const cut = [0];
  for (let end = 1; end <= values.length; end++) {
    let [least, from] = [Infinity, 0];
    for (let start = 0; start < end; start++) {
      const group = {
        rows: countTo[end] - countTo[start],
        tokens: tokensTo[end] - tokensTo[start],
        past: values[start],
      };
      const cost = best[start] + groupCost(group, costs);
      if (cost < least) [least, from] = [cost, start];
    }
    best.push(least);
    cut.push(from);
  }
  const levels: number[] = [];
  for (let end = values.length; end > 0; end = cut[end]) levels.push(values[cut[end]]);
  return levels.toReversed().filter((level) => level > 0);
}

/** Branches and their tokens by what they share; those that add no tokens are none's concern. */
function bySharing(branches: readonly Branch[]) {
  const groups = new Map<number, { count: number; tokens: number }>([[0, { count: 0, tokens: 0 }]]);
  for (const { shared, length } of branches) {
    if (shared === length) continue;
    const group = groups.get(shared) ?? { count: 0, tokens: 0 };
    groups.set(shared, { count: group.count + 1, tokens: group.tokens + length });
  }
  const sorted = [...groups].sort(([a], [b]) => a - b);
  return {
    values: sorted.map(([shared]) => shared),
    counts: sorted.map(([, { count }]) => count),
    tokens: sorted.map(([, group]) => group.tokens),
  };
}

/** What branches cost that go on from one level; `tokens` are whole prompts', the past included. */
function groupCost(
  { rows, tokens, past }: { readonly rows: number; readonly tokens: number; readonly past: number },
  { batchTokens, movedShare }: PassCosts,
): number {
  const read = tokens - rows * past;
  const runs = Math.max(1, read / batchTokens, tokens / (reachBatches * batchTokens));
  return read + rows * past * movedShare + runs * runTokens;
}
