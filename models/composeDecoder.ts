/**
 * A model as a graph that reads the next tokens of texts begun before.
 *
 * One graph reads a whole prompt, on a cache of no positions, and then each single token. All texts of a
 * batch are equally long: a shorter one would leave a hole between its own keys and those to come.
 * Without padding no mask is needed, and no text's numbers depend on another's.
 */

import type { Graph } from '../src/graph/onnx.ts';
import type { Architecture, Settings } from './architecture.ts';
import type { Binding } from './bindings.ts';
import { composeModel } from './compose.ts';

/**
 * The model with past in and present out, as `composeModel` names them, and `logits` `[rows, vocabulary]`.
 *
 * @param length Longest text, its answer included, that the graph will see.
 */
export function composeDecoder(
  architecture: Architecture,
  settings: Settings,
  bind: Binding,
  length: number,
): Graph {
  const sites = [{ kind: 'logits', block: null }] as const;
  return composeModel(architecture, settings, bind, {
    sites,
    length,
    past: 'growing',
    keeps: true,
  });
}
