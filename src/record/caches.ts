/**
 * Keys and values between passes: what one pass leaves for those that go on from its rows.
 *
 * A row is kept as far as its longest continuation needs it, the past that it went on from included, and
 * let go once the last continuation has run. What it holds beyond that is the row's own tokens, and
 * padding. The graph is one of `past: 'shared', keeps: 'chosen'`: a past enters once for all rows that go
 * on from it, and only rows that someone goes on from leave.
 */

import { invariant } from '../base/invariant.ts';
import type { Site } from '../graph/sites.ts';
import { blocksNeeded, type BlockRange } from '../../models/compose.ts';
import { cacheNames } from '../../models/pasts.ts';
import type { Model } from '../../models/model.ts';
import type { Feed, Fetch } from '../runtime/session.ts';
import type { Pass } from './segments.ts';

/** Sizes of what is kept: of which blocks, and the heads of one. */
export interface CacheShape {
  readonly blocks: BlockRange;
  readonly keyHeads: number;
  readonly headDim: number;
}

/** What the graph of these sites keeps. */
export function cacheShape(
  { settings }: Pick<Model, 'settings'>,
  sites: readonly Site[],
): CacheShape {
  const { keyHeads, headDim, layers } = settings;
  return { blocks: blocksNeeded(sites, layers), keyHeads, headDim };
}

/** How long a row is needed: tokens of it, and the last pass that goes on from it. */
interface Use {
  readonly tokens: number;
  readonly last: number;
}

/** Keys and values of block 0, of block 1, …; each `[heads, tokens, headDim]`. */
type Kept = readonly Float32Array[];

/** What is kept while passes run in order; made anew for each checkpoint. */
export class Caches {
  readonly #passes: readonly Pass[];
  readonly #shape: CacheShape;
  readonly #names: readonly { readonly past: string; readonly present: string }[];
  readonly #uses: readonly ReadonlyMap<number, Use>[];
  readonly #kept = new Map<number, Map<number, Kept>>();

  constructor(passes: readonly Pass[], shape: CacheShape) {
    const { from, to } = shape.blocks;
    this.#passes = passes;
    this.#shape = shape;
    this.#names = Array.from({ length: to - from }, (_, i) => cacheNames(from + i)).flat();
    this.#uses = usesOf(passes);
  }

  /** Outputs of pass i that `keep` asks for; none where nobody goes on from it. */
  outputsOf(i: number): readonly string[] {
    return this.#passes[i].keeps ? this.#names.map(({ present }) => present) : [];
  }

  /**
   * Inputs of pass i besides its tokens: pasts, each given once, which of them a row goes on from, and
   * which rows are to be kept.
   *
   * @param copies How often all rows of the pass are in the batch, one after the other.
   */
  feedsOf(i: number, copies = 1): Record<string, Feed> {
    const { parents, segments, past } = this.#passes[i];
    const { keyHeads, headDim } = this.#shape;
    const given: Kept[] = [];
    const found = new Map<string, number>();
    const places = parents.map(({ pass, row }) => {
      const known = found.get(`${pass} ${row}`);
      if (known !== undefined) return known;
      const kept = this.#kept.get(pass)?.get(row);
      invariant(kept !== undefined, `pass ${i} goes on from row ${row} of pass ${pass}, not kept`);
      found.set(`${pass} ${row}`, given.length);
      return given.push(kept) - 1;
    });
    // A pass that goes on from nothing goes on from one past of no tokens.
    const shape = [Math.max(1, given.length), keyHeads, past, headDim];
    const pasts = this.#names.map(({ past: name }, part) => {
      const data = stacked(
        given.map((kept) => kept[part]),
        { keyHeads, headDim, tokens: past },
      );
      return [name, { data, shape }] as const;
    });
    const once = parents.length === 0 ? segments.map(() => 0) : places;
    const rows = Array.from({ length: copies }, () => once).flat();
    const kept = [...this.#uses[i].keys()];
    return {
      parents: { data: BigInt64Array.from(rows, BigInt), shape: [rows.length] },
      kept: { data: BigInt64Array.from(kept, BigInt), shape: [kept.length] },
      ...Object.fromEntries(pasts),
    };
  }

  /** Takes what later passes need of what pass i left, and lets go what none of them needs any more. */
  keep(i: number, fetched: Readonly<Record<string, Fetch>>): void {
    const rows = new Map<number, Kept>();
    let place = 0;
    for (const [row, { tokens }] of this.#uses[i]) {
      const at = place++;
      const kept = this.#names.map(({ present }) => rowOf(fetched[present], at, tokens));
      rows.set(row, kept);
    }
    if (rows.size > 0) this.#kept.set(i, rows);
    this.#release(i);
  }

  /** Lets go what no pass after i needs. */
  #release(i: number): void {
    for (const [pass, rows] of this.#kept) {
      for (const row of rows.keys()) {
        if ((this.#uses[pass].get(row)?.last ?? 0) <= i) rows.delete(row);
      }
      if (rows.size === 0) this.#kept.delete(pass);
    }
  }
}

/** Which rows of each pass later ones go on from, and for how long. */
function usesOf(passes: readonly Pass[]): ReadonlyMap<number, Use>[] {
  const uses = passes.map(() => new Map<number, Use>());
  passes.forEach(({ parents, past }, i) => {
    for (const { pass, row } of parents) {
      const tokens = Math.max(past, uses[pass].get(row)?.tokens ?? 0);
      uses[pass].set(row, { tokens, last: i });
    }
  });
  return uses;
}

/**
 * Floats that keys and values take at the most while some pass runs.
 *
 * What is kept; what leaves the graph, there and here; the pasts that enter it; the pasts of all rows, for
 * all blocks at once, since onnxruntime gathers pasts long before they are read; and of one block past and
 * present together, which its attention makes and the next block's makes again in the same place.
 */
export function cacheFloats(
  passes: readonly Pass[],
  { blocks, keyHeads, headDim }: CacheShape,
): number {
  const inOne = 2 * keyHeads * headDim;
  const inAll = inOne * (blocks.to - blocks.from);
  const uses = usesOf(passes);
  const ending = passes.map(() => 0);
  let kept = 0;
  let most = 0;
  passes.forEach(({ segments, length, past, parents }, i) => {
    for (const { tokens, last } of uses[i].values()) {
      kept += tokens;
      ending[last] += tokens;
    }
    const leaving = 2 * uses[i].size * (past + length);
    const entering = past * new Set(parents.map(({ pass, row }) => `${pass} ${row}`)).size;
    const gathered = segments.length * past;
    const together = segments.length * (past + length) * inOne;
    most = Math.max(most, (kept + leaving + entering + gathered) * inAll + together);
    kept -= ending[i];
  });
  return most;
}

/**
 * Passes that must run, though their rows are written, because one from `done` on goes on from them.
 *
 * @returns For each pass, whether it runs at all.
 */
export function neededFrom(passes: readonly Pass[], done: number): boolean[] {
  const needed = passes.map((_, i) => i >= done);
  for (let i = passes.length - 1; i >= 0; i--) {
    if (!needed[i]) continue;
    for (const { pass } of passes[i].parents) needed[pass] = true;
  }
  return needed;
}

/** The first tokens of one row of `[rows, heads, tokens, headDim]`, as `[heads, tokens, headDim]`. */
function rowOf({ data, shape }: Fetch, row: number, tokens: number): Float32Array {
  const [, heads, held, headDim] = shape;
  const some = new Float32Array(heads * tokens * headDim);
  for (let head = 0; head < heads; head++) {
    const start = (row * heads + head) * held * headDim;
    some.set(data.subarray(start, start + tokens * headDim), head * tokens * headDim);
  }
  return some;
}

/** The first tokens of each `[heads, …, headDim]`, one after the other: `[given, heads, tokens, headDim]`. */
function stacked(
  given: readonly Float32Array[],
  {
    keyHeads,
    headDim,
    tokens,
  }: { readonly keyHeads: number; readonly headDim: number; readonly tokens: number },
): Float32Array {
  const size = keyHeads * tokens * headDim;
  if (given.length === 1 && given[0].length === size) return given[0];
  const all = new Float32Array(given.length * size);
  given.forEach((kept, g) => {
    const held = kept.length / keyHeads;
    for (let head = 0; head < keyHeads; head++) {
      const part = kept.subarray(head * held, head * held + tokens * headDim);
      all.set(part, g * size + head * tokens * headDim);
    }
  });
  return all;
}
