/**
 * Sessions whose weights are widened once, for all of their runs and for all sessions that read the same.
 *
 * What is computed is bit for bit what a mapped session computes, which widens its weights in every run.
 */

import { readWidened } from '../files/widened.ts';
import type { Graph } from '../graph/onnx.ts';
import { takeWidenings, type Widening } from '../graph/widenings.ts';
import { openSession, type Feed, type Session, type SessionOptions } from './session.ts';

/** Tensors begin at multiples of so many floats: lines of the cache. */
const alignment = 16;

/** The widened weights of the graph at hand, in memory that the next one's take over. */
export class WidenedWeights {
  #floats = new Float32Array();
  #held: ReadonlyMap<string, Float32Array> = new Map();

  /** Widened weights as feeds; those of the call before are overwritten unless these are among them. */
  feeds(widenings: readonly Widening[]): Record<string, Feed> {
    if (!widenings.every((one) => this.#held.has(keyOf(one)))) this.#fill(widenings);
    return Object.fromEntries(
      widenings.map((one) => {
        const data = this.#held.get(keyOf(one)) ?? new Float32Array();
        return [one.input, { data, shape: one.shape }];
      }),
    );
  }

  #fill(widenings: readonly Widening[]): void {
    // Whoever reads what was here is done; were the filling to fail, nothing would be held.
    this.#held = new Map();
    const total = widenings.reduce((sum, one) => sum + roomOf(one), 0);
    if (total > this.#floats.length) this.#floats = new Float32Array(total);
    const held = new Map<string, Float32Array>();
    let at = 0;
    for (const one of widenings) {
      const { file, offset } = one.data;
      const target = this.#floats.subarray(at, at + elementsOf(one));
      readWidened({ file, offset, dtype: one.dtype }, target);
      held.set(keyOf(one), target);
      at += roomOf(one);
    }
    this.#held = held;
  }
}

/**
 * Opens a mapped session whose weights in half precision are widened into `weights`.
 *
 * Sessions of other weights must be done before this one runs.
 */
export async function openWidened(
  graph: Graph,
  options: SessionOptions,
  weights: WidenedWeights,
): Promise<Session> {
  const taken = takeWidenings(graph);
  const session = await openSession(taken.graph, { ...options, mapped: true });
  if (taken.widenings.length === 0) return session;
  return {
    ...session,
    run: async (feeds, wanted) =>
      await session.run({ ...feeds, ...weights.feeds(taken.widenings) }, wanted),
  };
}

/** Floats that the widened weights of a graph take. */
export function widenedFloats(graph: Graph): number {
  return takeWidenings(graph).widenings.reduce((sum, one) => sum + roomOf(one), 0);
}

function keyOf({ data: { file, offset, length }, dtype }: Widening): string {
  return `${file} ${offset} ${length} ${dtype}`;
}

function elementsOf({ shape }: Widening): number {
  return shape.reduce((size, axis) => size * axis, 1);
}

function roomOf(one: Widening): number {
  return Math.ceil(elementsOf(one) / alignment) * alignment;
}
