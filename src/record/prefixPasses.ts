/**
 * In which passes do prompts run that are read only from where they differ?
 *
 * A pass takes segments with pasts of one length, longest first, so that it pads little. Short pasts run
 * first, so that continuations gather and passes fill, as long as what must be kept for them stays within
 * a bound; beyond it the longest pasts run first, which lets go of what they go on from.
 */

import { invariant } from '../base/invariant.ts';
import { rowsOf, type PassCosts } from './prefixLevels.ts';
import type { Read } from './prefixTree.ts';
import type { Parent, Pass, Stretch } from './segments.ts';

export interface Bounds extends PassCosts {
  /** Tokens whose keys and values may be kept; passes are reordered to stay near it. */
  readonly keptTokens: number;
}

/** Passes in the order in which they run, parents before those that go on from them. */
export function prefixPasses(reads: readonly Read[], bounds: Bounds): Pass[] {
  const children = childrenOf(reads);
  const others = othersOf(reads);
  const waiting = new Queues(reads);
  reads.forEach(({ parent, from, length }, i) => {
    if (parent === null && from < length) waiting.add(i);
  });
  const placed = new Map<number, Parent>();
  const kept = new Kept(reads, children);
  const passes: Pass[] = [];
  while (!waiting.isEmpty) {
    const taken = waiting.take(kept.tokens < bounds.keptTokens, bounds);
    const past = reads[taken[0]].from;
    passes.push({
      segments: taken.map((i) => {
        const { prompt, length } = reads[i];
        return { prompt, to: length, others: others[i] };
      }),
      length: reads[taken[0]].length - past,
      past,
      parents: past === 0 ? [] : taken.map((i) => placeOf(placed, reads[i].parent)),
      keeps: taken.some((i) => children[i].length > 0),
    });
    taken.forEach((i, row) => {
      placed.set(i, { pass: passes.length - 1, row });
      kept.ran(i);
      for (const child of children[i]) waiting.add(child);
    });
  }
  return passes;
}

function placeOf(placed: ReadonlyMap<number, Parent>, branch: number | null): Parent {
  const place = branch === null ? undefined : placed.get(branch);
  invariant(place !== undefined, `branch ${branch} has not run`);
  return place;
}

/** Which branches go on from each, those left out that add no tokens. */
function childrenOf(reads: readonly Read[]): number[][] {
  const children = reads.map((): number[] => []);
  reads.forEach(({ parent, from, length }, i) => {
    if (parent !== null && from < length) children[parent].push(i);
  });
  return children;
}

/** Prompts that each branch is read for as well, and up to where: those that leave it, or leave those that do. */
function othersOf(reads: readonly Read[]): Stretch[][] {
  const others = reads.map((): Stretch[] => []);
  for (const { prompt, parent, from } of reads) {
    let to = from;
    for (let above = parent; above !== null; above = reads[above].parent) {
      others[above].push({ prompt, to });
      to = reads[above].from;
    }
  }
  return others;
}

/** Branches that can run, by the length of their past. */
class Queues {
  readonly #reads: readonly Read[];
  readonly #levels = new Map<number, { branches: number[]; isSorted: boolean }>();

  constructor(reads: readonly Read[]) {
    this.#reads = reads;
  }

  get isEmpty(): boolean {
    return this.#levels.size === 0;
  }

  add(branch: number): void {
    const { from } = this.#reads[branch];
    const level = this.#levels.get(from) ?? { branches: [], isSorted: true };
    level.branches.push(branch);
    level.isSorted = false;
    this.#levels.set(from, level);
  }

  /** Takes the longest of one level, as many as a pass holds. */
  take(shortPastsFirst: boolean, costs: PassCosts): number[] {
    const pasts = [...this.#levels.keys()];
    const past = shortPastsFirst ? Math.min(...pasts) : Math.max(...pasts);
    const level = this.#levels.get(past);
    invariant(level !== undefined, `no branches with a past of ${past}`);
    if (!level.isSorted) {
      // The longest last, where they are taken from; equals in the order of the tree.
      const lengthOf = (i: number): number => this.#reads[i].length;
      level.branches.sort((a, b) => lengthOf(a) - lengthOf(b) || b - a);
      level.isSorted = true;
    }
    const longest = this.#reads[level.branches[level.branches.length - 1]].length;
    const rows = rowsOf(longest - past, past, costs);
    const taken = level.branches.splice(-rows).toReversed();
    if (level.branches.length === 0) this.#levels.delete(past);
    return taken;
  }
}

/** Counts tokens that are kept for continuations that have not run. */
class Kept {
  readonly #reads: readonly Read[];
  readonly #children: readonly (readonly number[])[];
  readonly #waiting: number[];
  tokens = 0;

  constructor(reads: readonly Read[], children: readonly (readonly number[])[]) {
    this.#reads = reads;
    this.#children = children;
    this.#waiting = children.map((all) => all.length);
  }

  ran(branch: number): void {
    this.tokens += this.#tokensOf(branch);
    const { parent } = this.#reads[branch];
    if (parent === null) return;
    this.#waiting[parent]--;
    if (this.#waiting[parent] === 0) this.tokens -= this.#tokensOf(parent);
  }

  /** As far as the longest continuation needs it. */
  #tokensOf(branch: number): number {
    return this.#children[branch].reduce((most, i) => Math.max(most, this.#reads[i].from), 0);
  }
}
