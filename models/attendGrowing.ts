/**
 * Attention of a few new tokens on a past that has room for more.
 *
 * A decoder's keys and values lie in buffers of its own, which enter a graph without being copied and
 * are longer than what they hold; what is new leaves the graph and is written into them. onnxruntime's
 * attention copies a past for each token that it reads, so here it is spelled out:
 *
 *     softmax(bias + scale · q · [K, k]ᵀ) · [V, v]   =   p · V + p′ · v
 *
 * with the scores of past and present side by side, and a bias of −∞ where a slot holds nothing, or a
 * query does not see.
 */

import { invariant } from '../src/base/invariant.ts';
import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Frame, Ports, Settings } from './architecture.ts';

interface Scoring {
  readonly scale: number;
  readonly window: number | null;
  readonly softCap: number | null;
}

/**
 * @param q `[batch, position, H · hd]`, turned
 * @param k, v `[batch, position, KV · hd]`, keys turned
 * @returns `[tokens, H · hd]`
 */
export function attendGrowing(
  g: Builder,
  frame: Frame,
  ports: Ports,
  { heads, keyHeads, headDim }: Settings,
  [q, k, v]: readonly [Value, Value, Value],
  { scale, window, softCap }: Scoring,
): Value {
  const { past } = ports;
  invariant(past?.kind === 'growing' && !ports.wantsPattern, 'a decoder gives no patterns');
  ports.keep?.({ key: k, value: v });
  const grouped = heads / keyHeads;
  // In a Reshape 0 stands for the axis as it is.
  const shaped = (x: Value, shape: readonly number[], axes: Value['shape']): Value =>
    g.reshape(x, g.integers('shape', shape), axes);
  const byHead = (x: Value): Value =>
    shaped(x, [0, 0, keyHeads, headDim], ['batch', 'position', keyHeads, headDim]);
  const scaled = g.mul(
    shaped(q, [0, 0, heads, headDim], ['batch', 'position', heads, headDim]),
    // One number for each feature: onnxruntime would draw a single one into the products, and take a slower way.
    g.constant('scale', Array<number>(headDim).fill(scale)),
  );
  const queries = g.transpose(scaled, [0, 2, 1, 3]);
  const inGroups =
    grouped === 1
      ? queries
      : shaped(queries, [0, keyHeads, -1, headDim], ['batch', keyHeads, 'queries', headDim]);
  const rows = grouped === 1 ? 'position' : 'queries';
  const product = (a: Value, b: Value): Value =>
    g.node('MatMul', [a, b], ['batch', keyHeads, rows, b.shape[3]]);
  const scores = g.node(
    'Concat',
    [
      product(inGroups, g.transpose(past.key, [0, 1, 3, 2])),
      product(inGroups, g.transpose(byHead(k), [0, 2, 3, 1])),
    ],
    ['batch', keyHeads, rows, 'keys'],
    { axis: { kind: 'int', value: 3 } },
  );
  const capped = softCap === null ? scores : g.softCap(scores, softCap);
  const byQuery = shaped(capped, [0, heads, -1, 0], ['batch', heads, 'position', 'keys']);
  const biased = g.add(grouped === 1 ? capped : byQuery, past.bias(window));
  const shares = g.node('Softmax', [biased], biased.shape, { axis: { kind: 'int', value: -1 } });
  const [old, own] = g.nodes(
    'Split',
    [
      grouped === 1
        ? shares
        : shaped(shares, [0, keyHeads, -1, 0], ['batch', keyHeads, rows, 'keys']),
      past.parts,
    ],
    ['room', 'position'].map((axis) => ({
      dtype: 'float32',
      shape: ['batch', keyHeads, rows, axis],
    })),
    { axis: { kind: 'int', value: 3 } },
  );
  const mixed = g.add(product(old, past.value), product(own, g.transpose(byHead(v), [0, 2, 1, 3])));
  const byToken = g.transpose(
    grouped === 1
      ? mixed
      : shaped(mixed, [0, heads, -1, headDim], ['batch', heads, 'position', headDim]),
    [0, 2, 1, 3],
  );
  return g.reshape(byToken, frame.byToken, ['tokens', heads * headDim]);
}
