/**
 * How are prompts read that `generate` answers, where they begin alike?
 *
 * Prompts but for their last token, sorted, are the branches of a prefix tree (prefixTree.ts). Each branch is
 * read once, from where it leaves another, and keeps the keys and values of its own tokens alone; a row's
 * past is put together from its branch and those above. Nothing is padded: a pass takes branches that
 * begin and end at the same token. So a row's numbers follow from where its branches were cut, which
 * depends on the prompts and the model's shape, and neither on batches nor on what was answered before.
 */

import { invariant } from '../base/invariant.ts';
import type { Model } from '../../models/model.ts';
import { turningKind } from '../../models/rotary.ts';
import { cacheOf, type Cache, type Stretch } from '../runtime/cache.ts';
import type { Decoder } from '../runtime/decoder.ts';
import type { Batch } from './batches.ts';
import { bestLevels, costOfReading, rowsOf, type PassCosts } from './prefixLevels.ts';
import { prefixTree, readsAt, type Read } from './prefixTree.ts';
import { allLevels, leastGain, movedShare, type PrefixSharing } from './sharing.ts';

/** What is read once for several prompts. */
export interface Prefill {
  readonly branches: readonly Read[];
  /** The branch of each prompt. */
  readonly branchOf: readonly number[];
  /** Tokens that are read, and those of all prompts, the last of each left aside. */
  readonly read: number;
  readonly tokens: number;
}

/** Branches that are read together: they begin at the same token and are equally long. */
interface PrefillPass {
  readonly branches: readonly number[];
  readonly from: number;
  readonly length: number;
}

/** Tokens of a pass that are reckoned with: a plan does not depend on how batches are cut. */
export const plannedTokens = 4096;

/**
 * @param prompts Token ids, the last of each included.
 * @param batches All prompts as they are answered.
 * @returns Null where each prompt is read whole.
 */
export function planPrefill(
  prompts: readonly (readonly number[])[],
  batches: readonly Batch[],
  model: Pick<Model, 'architecture' | 'settings'>,
  sharing: PrefixSharing,
): Prefill | null {
  const prefixes = prompts.map((ids) => ids.slice(0, -1));
  const longest = Math.max(...prefixes.map((ids) => ids.length));
  const turnings = [...model.architecture.rotary(model.settings).values()];
  // Beyond the trained length a text may be turned by its own, and nothing of it is another's.
  const isTurned = turnings.some((turning) => turningKind(turning, longest) !== 0);
  if (sharing === 'never' || isTurned) return null;
  const costs = { batchTokens: plannedTokens, movedShare: movedShare(model) };
  const branches = prefixTree(
    prefixes,
    prefixes.map(() => ''),
  );
  const levels = sharing === 'always' ? allLevels(branches) : bestLevels(branches, costs);
  const reads = readsAt(branches, levels);
  const branchOf: number[] = [];
  reads.forEach(({ prompt }, branch) => (branchOf[prompt] = branch));
  const tokens = prefixes.reduce((sum, ids) => sum + ids.length, 0);
  const read = reads.reduce((sum, { from, length }) => sum + length - from, 0);
  const prefill = { branches: reads, branchOf, read, tokens };
  if (read === tokens) return null;
  const gain = wholeCost(batches, costs) / sharedCost(prefill, batches, costs);
  return sharing === 'always' || gain >= leastGain ? prefill : null;
}

function wholeCost(batches: readonly Batch[], costs: PassCosts): number {
  return batches
    .filter(({ length }) => length > 1)
    .reduce(
      (sum, { prompts, length }) => sum + costOfReading(prompts.length * (length - 1), 0, costs),
      0,
    );
}

function sharedCost(prefill: Prefill, batches: readonly Batch[], costs: PassCosts): number {
  const plan = prefillPasses(prefill, batches, costs);
  return plan
    .flatMap(({ passes }) => passes)
    .reduce(
      (sum, { branches, from, length }) =>
        sum + costOfReading(branches.length * (length - from), branches.length * from, costs),
      0,
    );
}

/** What is read before one batch is answered, and which branches nobody needs afterwards. */
interface BatchPrefill {
  readonly passes: readonly PrefillPass[];
  readonly released: readonly number[];
}

/** For each batch the passes that it needs and that none before it has run. */
export function prefillPasses(
  prefill: Prefill,
  batches: readonly Batch[],
  costs: PassCosts,
): BatchPrefill[] {
  const needed = batches.map(({ prompts }) => closureOf(prefill, prompts));
  const lastUse = new Map<number, number>();
  needed.forEach((branches, b) => {
    for (const branch of branches) lastUse.set(branch, b);
  });
  const held = new Set<number>();
  return needed.map((branches, b) => {
    const missing = [...branches].filter((branch) => !held.has(branch));
    for (const branch of missing) held.add(branch);
    const released = [...branches].filter((branch) => lastUse.get(branch) === b);
    return { passes: passesOf(prefill, missing, costs), released };
  });
}

/** The branches of some prompts and all above them that add tokens. */
function closureOf({ branches, branchOf }: Prefill, prompts: readonly number[]): Set<number> {
  const found = new Set<number>();
  for (const prompt of prompts) {
    for (let at: number | null = branchOf[prompt]; at !== null; at = branches[at].parent) {
      if (found.has(at)) break;
      if (branches[at].from < branches[at].length) found.add(at);
    }
  }
  return found;
}

/** Shorter pasts first, since what goes on from a branch begins after it does. */
function passesOf({ branches }: Prefill, some: readonly number[], costs: PassCosts): PrefillPass[] {
  const alike = new Map<string, number[]>();
  for (const branch of some) {
    const { from, length } = branches[branch];
    const key = `${from} ${length}`;
    const others = alike.get(key);
    if (others === undefined) alike.set(key, [branch]);
    else others.push(branch);
  }
  return [...alike.values()]
    .flatMap((all) => {
      const { from, length } = branches[all[0]];
      const rows = rowsOf(length - from, from, costs);
      const starts = Array.from({ length: Math.ceil(all.length / rows) }, (_, i) => i * rows);
      return starts.map((start) => ({ branches: all.slice(start, start + rows), from, length }));
    })
    .sort((a, b) => a.from - b.from || b.length - a.length);
}

/** Floats of keys and values that are kept besides those of the batch at hand, at the most. */
export function prefillFloats(
  prefill: Prefill,
  batches: readonly Batch[],
  costs: PassCosts,
  floatsOfToken: number,
): number {
  const own = (branch: number): number =>
    prefill.branches[branch].length - prefill.branches[branch].from;
  let [kept, most] = [0, 0];
  for (const { passes, released } of prefillPasses(prefill, batches, costs)) {
    for (const { branches } of passes) for (const branch of branches) kept += own(branch);
    most = Math.max(most, kept);
    for (const branch of released) kept -= own(branch);
  }
  return most * floatsOfToken;
}

/** What branches have read, while batches are answered in order. */
export class Prefixes {
  readonly #prefill: Prefill;
  readonly #prompts: readonly (readonly number[])[];
  readonly #decoder: Decoder;
  readonly #batches: readonly Batch[];
  readonly #plan: readonly BatchPrefill[];
  readonly #kept = new Map<number, readonly Stretch[]>();

  /** @param batches Those that are still to be answered, in their order. */
  constructor(
    prefill: Prefill,
    prompts: readonly (readonly number[])[],
    decoder: Decoder,
    batches: readonly Batch[],
    costs: PassCosts,
  ) {
    this.#prefill = prefill;
    this.#prompts = prompts;
    this.#decoder = decoder;
    this.#batches = batches;
    this.#plan = prefillPasses(prefill, batches, costs);
  }

  /** The cache of a batch's prompts but for their last token; each batch is asked for once, in order. */
  async cacheFor(batch: number, maxTokens: number): Promise<Cache> {
    const { prompts, length } = this.#batches[batch];
    const { settings } = this.#decoder.model;
    const { passes, released } = this.#plan[batch];
    for (const pass of passes) await this.#run(pass);
    const rows = prompts.map((prompt) => this.#before(this.#prefill.branchOf[prompt], length - 1));
    const cache = cacheOf(settings, rows, length - 1, length + maxTokens - 1);
    for (const branch of released) this.#kept.delete(branch);
    return cache;
  }

  async #run({ branches, from, length }: PrefillPass): Promise<void> {
    const { settings } = this.#decoder.model;
    const reads = branches.map((branch) => this.#prefill.branches[branch]);
    const pasts = reads.map(({ parent }) => this.#before(parent, from));
    const past =
      from === 0 ? this.#decoder.empty(reads.length, length) : cacheOf(settings, pasts, from, from);
    const texts = reads.map(({ prompt }) => this.#prompts[prompt]);
    const pieces = await this.#decoder.added(texts, length, past);
    branches.forEach((branch, row) => {
      const own = pieces.map((stores) =>
        stores.map((news) => {
          const size = news.length / branches.length;
          return news.slice(row * size, (row + 1) * size);
        }),
      );
      this.#kept.set(branch, own);
    });
  }

  /** What a branch and those above it have read, up to a token. */
  #before(branch: number | null, length: number): Stretch[] {
    const { settings } = this.#decoder.model;
    const width = settings.keyHeads * settings.headDim;
    const stretches: Stretch[] = [];
    let to = length;
    for (let at = branch; at !== null && to > 0; at = this.#prefill.branches[at].parent) {
      const { from, length: end } = this.#prefill.branches[at];
      if (from >= Math.min(to, end)) continue;
      const kept = this.#kept.get(at);
      invariant(kept !== undefined, `branch ${at} has not been read`);
      stretches.unshift(...upTo(kept, to - from, width));
      to = from;
    }
    invariant(to === 0, `the first ${to} tokens are nobody's`);
    return stretches;
  }
}

/** The first tokens of some stretches. */
function upTo(stretches: readonly Stretch[], tokens: number, width: number): Stretch[] {
  const some: Stretch[] = [];
  let left = tokens;
  for (const stretch of stretches) {
    if (left <= 0) break;
    const held = stretch[0].length / width;
    some.push(held <= left ? stretch : stretch.map((part) => part.subarray(0, left * width)));
    left -= held;
  }
  return some;
}
