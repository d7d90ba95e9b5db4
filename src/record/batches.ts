/**
 * In which batches do prompts run?
 *
 * Longest first, so that a batch pads little and the largest memory is met at once; a batch is as many
 * prompts as the token budget holds, padding included. The order depends on nothing but lengths and
 * the budget, so an interrupted run resumes into the same batches.
 */

/** Indices of the prompts that run together, and the length that they are padded to. */
export interface Batch {
  readonly prompts: readonly number[];
  readonly length: number;
}

/**
 * @param lengths Tokens of each prompt.
 * @param batchTokens Upper bound on prompts × length in a batch; one longer prompt runs alone.
 */
export function planBatches(lengths: readonly number[], batchTokens: number): Batch[] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const batches: Batch[] = [];
  for (let start = 0; start < order.length;) {
    const length = lengths[order[start]];
    const count = Math.max(1, Math.floor(batchTokens / length));
    batches.push({ prompts: order.slice(start, start + count), length });
    start += count;
  }
  return batches;
}
