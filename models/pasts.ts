/**
 * How what earlier tokens left behind enters a graph: once for all rows that go on from it, or each row's
 * own, in buffers with room for more.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Axis, Value } from '../src/graph/onnx.ts';
import type { Frame, GrowingPast, Past, Settings } from './architecture.ts';
import { countUp, seen } from './sight.ts';

/** Names of a block's keys and values where they enter a graph and where they leave it. */
export function cacheNames(
  layer: number,
): readonly { readonly past: string; readonly present: string }[] {
  return ['key', 'value'].map((part) => ({
    past: `past.${part}.${layer}`,
    present: `present.${part}.${layer}`,
  }));
}

/** Keys and values of earlier tokens by block, as inputs made when a block asks. */
export function pastInputs(
  g: Builder,
  frame: Frame,
  { keyHeads, headDim }: Settings,
  past: 'growing' | 'shared',
): (layer: number) => Past {
  const inputs = (layer: number, shape: readonly Axis[]): Value[] =>
    cacheNames(layer).map((names) => g.input(names.past, 'float32', shape));
  if (past === 'shared') {
    const parents = g.input('parents', 'int64', ['batch']);
    return (layer) => {
      const given = inputs(layer, ['parents', keyHeads, 'past', headDim]);
      const [key, value] = given.map((x) => g.gather(x, parents));
      return { kind: 'whole', key, value };
    };
  }
  const held = g.input('held', 'int64', [1]);
  let shared: Pick<GrowingPast, 'bias' | 'parts'> | undefined;
  return (layer) => {
    const [key, value] = inputs(layer, ['batch', keyHeads, 'room', headDim]);
    shared ??= g.within('past', () => growing(g, frame, held, key));
    return { kind: 'growing', key, value, ...shared };
  };
}

/** What all blocks ask of a past with room: which of its slots and of the new tokens a query sees. */
function growing(
  g: Builder,
  frame: Frame,
  held: Value,
  key: Value,
): Pick<GrowingPast, 'bias' | 'parts'> {
  const [room, fresh] = [g.sizes(key, 2, 3), g.sizes(frame.positions, 1, 2)];
  const slots = countUp(g, room, 'room');
  const isHeld = g.node('Less', [slots, held], ['room'], {}, 'bool');
  // A slot that holds nothing stands where no query reaches.
  const never = g.integers('never', [Number.MAX_SAFE_INTEGER]);
  const old = g.node('Where', [isHeld, slots, never], ['room'], {}, 'int64');
  const own = g.add(countUp(g, fresh, 'position'), held);
  const along = { axis: { kind: 'int', value: 0 } } as const;
  const keys = g.node('Concat', [old, own], ['keys'], along);
  const queries = g.unsqueeze(own, 1);
  const shape = ['position', 'keys'];
  const biases = new Map<number | null, Value>();
  const bias = (window: number | null): Value => {
    const isSeen = seen(g, keys, queries, window, shape);
    const choices = [g.constant('seen', [0]), g.constant('hidden', [-Infinity])];
    return g.node('Where', [isSeen, ...choices], shape, {}, 'float32');
  };
  return {
    parts: g.concat([room, fresh]),
    bias(window) {
      const known = biases.get(window) ?? bias(window);
      biases.set(window, known);
      return known;
    },
  };
}
