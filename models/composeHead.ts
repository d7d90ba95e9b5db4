/**
 * The head for some of the words: a head in slices, so that neither its matrix nor the logits of many
 * rows are ever in memory as a whole.
 */

import { Builder } from '../src/graph/builder.ts';
import { lookUpFirst } from '../src/graph/lookups.ts';
import type { Graph, Value } from '../src/graph/onnx.ts';
import type { Architecture, Settings } from './architecture.ts';
import type { Binding } from './bindings.ts';
import { headOf, once } from './compose.ts';

/** Words `from … to − 1` of the vocabulary. */
export interface WordRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Logits of some words from rows that the final norm has passed.
 *
 * Input `normed` `[rows, d]`, output `logits` `[rows, to − from]`.
 */
export function composeHead(
  architecture: Architecture,
  settings: Settings,
  bind: Binding,
  { from, to }: WordRange,
): Graph {
  const g = new Builder(`${architecture.family} head`);
  const normed = g.input('normed', 'float32', ['rows', settings.width]);
  const words = g.integers(
    'words',
    Array.from({ length: to - from }, (_, i) => from + i),
  );
  const whole = once((name) => bind(g, name));
  const perWord = new Set(['lm_head.weight', 'lm_head.bias', architecture.embedding]);
  const params = once((name): Value => {
    const value = whole(name);
    return perWord.has(name) ? g.gather(value, words) : value;
  });
  const logits = headOf(g, architecture, settings, params, normed);
  return lookUpFirst(g.finish([g.named('logits', logits)]));
}
