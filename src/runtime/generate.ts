/**
 * What does a model say next, if it always says the likeliest?
 *
 * Every step recomputes the whole sequence, so that what is generated rests on nothing but the graph
 * that activations come from; there is no cache that could disagree with it. It is the reference for
 * decoder.ts, which has one and is what `generate` runs, and what the doctor asks.
 */

import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { fromCheckpoint, type Binding } from '../../models/bindings.ts';
import { composeModel } from '../../models/compose.ts';
import type { Model } from '../../models/model.ts';
import type { DeviceName } from '../base/choices.ts';
import { openSession } from './session.ts';

export interface GreedyOptions {
  readonly maxTokens: number;
  /** Tokens after which nothing is added; the one that was met is part of the answer. */
  readonly stopIds?: readonly number[];
  /** Where the weights come from; the checkpoint unless told. */
  readonly bind?: Binding;
  /** Threads inside an operator. */
  readonly threads?: number;
  readonly device?: DeviceName;
}

/**
 * Greedy decoding: the token of the highest logit, the lowest id among equals, step by step.
 *
 * @param ids The prompt, at least one token.
 * @returns The tokens that were added, at most `maxTokens`.
 * @throws {UserError} `USAGE` if prompt and answer would outgrow the model's context.
 */
export async function greedy(
  model: Model,
  ids: readonly number[],
  {
    maxTokens,
    stopIds = [],
    bind = fromCheckpoint(model),
    threads = 1,
    device = 'cpu',
  }: GreedyOptions,
): Promise<number[]> {
  invariant(ids.length > 0, 'greedy decoding of an empty prompt');
  const length = ids.length + maxTokens;
  if (length > model.settings.context) {
    throw new UserError(
      'USAGE',
      `${ids.length} tokens and ${maxTokens} more do not fit into a context of ${model.settings.context}`,
      { where: model.folder, fix: 'Ask for fewer tokens, or shorten the prompt.' },
    );
  }
  const sites = [{ kind: 'logits', block: null }] as const;
  const graph = composeModel(model.architecture, model.settings, bind, { sites, length });
  const session = await openSession(graph, { threads, device });
  const sequence = [...ids];
  try {
    while (sequence.length < length) {
      const shape = [1, sequence.length];
      const { logits } = await session.run({
        input_ids: { data: BigInt64Array.from(sequence, BigInt), shape },
        position_ids: { data: BigInt64Array.from(sequence, (_, t) => BigInt(t)), shape },
        lengths: { data: BigInt64Array.of(BigInt(sequence.length)), shape: [1] },
        rows: { data: BigInt64Array.of(BigInt(sequence.length - 1)), shape: [1] },
      });
      const next = indexOfLargest(logits.data);
      sequence.push(next);
      if (stopIds.includes(next)) break;
    }
  } finally {
    await session.close();
  }
  return sequence.slice(ids.length);
}

function indexOfLargest(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}
