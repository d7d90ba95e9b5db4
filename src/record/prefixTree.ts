/**
 * Which prompts begin alike, and where does each leave those before it?
 *
 * Sorted by their tokens, with a prompt after all that continue it, prompts are the leaves of their prefix
 * tree from left to right. A prompt then has most in common with its left neighbour, and where it leaves
 * that one it branches off from all before it. The order depends on tokens alone, so that a set in
 * another order comes to the same tree.
 */

/** A prompt as a branch of the tree. */
export interface Branch {
  readonly prompt: number;
  readonly length: number;
  /** Tokens in common with some branch before this one; `length` where it adds none of its own. */
  readonly shared: number;
}

/**
 * The prompts as branches, each after those that it leaves.
 *
 * @param kinds One for each prompt: only prompts of one kind compute alike where their tokens are alike.
 */
export function prefixTree(
  prompts: readonly (readonly number[])[],
  kinds: readonly string[],
): Branch[] {
  const order = prompts.map((_, prompt) => prompt);
  order.sort((a, b) => {
    if (kinds[a] !== kinds[b]) return kinds[a] < kinds[b] ? -1 : 1;
    const at = sharedTokens(prompts[a], prompts[b]);
    // Where one ends it comes second: ids are 0 or more, and Infinity is above them all.
    const [left, right] = [prompts[a][at] ?? Infinity, prompts[b][at] ?? Infinity];
    return left === right ? a - b : left - right;
  });
  return order.map((prompt, i) => {
    const before = order[i - 1] as number | undefined;
    const isAlike = before !== undefined && kinds[before] === kinds[prompt];
    const shared = isAlike ? sharedTokens(prompts[before], prompts[prompt]) : 0;
    return { prompt, length: prompts[prompt].length, shared };
  });
}

function sharedTokens(a: readonly number[], b: readonly number[]): number {
  const shorter = Math.min(a.length, b.length);
  let at = 0;
  while (at < shorter && a[at] === b[at]) at++;
  return at;
}

/** A branch with where it begins to be read, and what it goes on from there. */
export interface Read extends Branch {
  /** The first token that is read for it; `length` where none is. */
  readonly from: number;
  /** Index of the branch that has the tokens before, read in an earlier pass; null where there are none. */
  readonly parent: number | null;
}

/**
 * Where each branch begins, if pasts may only be as long as one of `levels`.
 *
 * Each goes on from the nearest on its left that begins before it does: those between begin no earlier,
 * so that they share as much.
 *
 * @param levels Ascending, without 0, which every branch may begin at.
 */
export function readsAt(branches: readonly Branch[], levels: readonly number[]): Read[] {
  const begins = branches.map(({ shared, length }) =>
    shared === length ? length : levelBelow(levels, shared),
  );
  // Branches that later ones may go on from; of those to come, none needs one that is popped.
  const open: number[] = [];
  return branches.map((branch, i) => {
    const from = begins[i];
    while (open.length > 0 && begins[open[open.length - 1]] >= from) open.pop();
    const parent = open.at(-1) ?? null;
    if (from < branch.length) open.push(i);
    return { ...branch, from, parent };
  });
}

/** The largest level that is not above `shared`; 0 if there is none. */
function levelBelow(levels: readonly number[], shared: number): number {
  let [low, high] = [0, levels.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (levels[middle] <= shared) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : levels[low - 1];
}
