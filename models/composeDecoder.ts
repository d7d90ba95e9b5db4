/**
 * Composes an architecture's blocks into a graph that reads the next tokens of texts begun before.
 *
 * One graph reads a whole prompt, on a cache of no positions, and then each single token. What was
 * read enters as `past.key.L` and `past.value.L` `[batch, heads, past, headDim]` and leaves, longer by
 * the tokens just read, as `present.key.L` and `present.value.L`. A cache begins at position 0 and has
 * no gaps, so all texts of a batch are equally long: a shorter one would leave a hole between its own
 * keys and those to come. Without padding no mask is needed, and no text's numbers depend on another's.
 */

import type { KeyValue } from '../src/graph/attention.ts';
import { Builder } from '../src/graph/builder.ts';
import { checked } from '../src/graph/legal.ts';
import type { Graph, Value } from '../src/graph/onnx.ts';
import { prune } from '../src/graph/prune.ts';
import type { Architecture, Settings } from './architecture.ts';
import type { Binding } from './bindings.ts';
import { frameOf, headOf, once } from './compose.ts';

/** Names of a block's keys and values where they enter the graph and where they leave it. */
export function cacheNames(
  layer: number,
): readonly { readonly past: string; readonly present: string }[] {
  return ['key', 'value'].map((part) => ({
    past: `past.${part}.${layer}`,
    present: `present.${part}.${layer}`,
  }));
}

/**
 * The model as a graph with a cache: `input_ids` and `position_ids` `[batch, position]`, `rows` as in
 * `composeModel`, past in and present out, `logits` `[rows, vocabulary]`.
 *
 * @param length Longest text, its answer included, that the graph will see.
 */
export function composeDecoder(
  architecture: Architecture,
  settings: Settings,
  bind: Binding,
  length: number,
): Graph {
  const g = new Builder(architecture.family);
  const frame = frameOf(g, architecture, settings, length);
  const rows = g.input('rows', 'int64', ['rows']);
  const params = once((name) => bind(g, name));
  const shape = ['batch', settings.keyHeads, 'past', settings.headDim];
  const kept: Value[] = [];
  let hidden = g.within('embed', () => architecture.embed(g, frame, params, settings));
  for (let layer = 0; layer < settings.layers; layer++) {
    const prefix = architecture.blockPrefix(layer);
    const [keys, values] = cacheNames(layer);
    const ports = {
      param: (name: string) => params(prefix + name),
      tap: (_kind: string, value: Value) => value,
      wantsPattern: false,
      past: {
        key: g.input(keys.past, 'float32', shape),
        value: g.input(values.past, 'float32', shape),
      },
      keep({ key, value }: KeyValue): void {
        kept.push(g.named(keys.present, key), g.named(values.present, value));
      },
    };
    hidden = g.within(`blocks.${layer}`, () =>
      architecture.block(g, frame, ports, settings, layer, hidden),
    );
  }
  const logits = g.within('head', () => {
    const norm = architecture.finalNorm(g, params, settings, g.gather(hidden, rows));
    return headOf(g, architecture, settings, params, norm);
  });
  return checked(prune(g.finish([g.named('logits', logits), ...kept])));
}
