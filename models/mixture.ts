/**
 * A mixture of experts: each token is sent through the few MLPs that a router chose for it.
 *
 * Only chosen experts run: an expert's tokens are gathered, pass through it, and are added back where
 * they came from. Each token's sum runs over experts in their order, so that its numbers do not
 * depend on what else is in the batch.
 *
 * @see Jiang et al. 2024, arXiv:2401.04088, §2.1.
 */

import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';

export interface Mixture {
  readonly experts: number;
  /** How many experts each token is sent through. */
  readonly chosen: number;
  /** Whether the weights of the chosen ones are made to sum to 1. */
  readonly renormalises: boolean;
}

/**
 * Σ over chosen experts e of pₑ · expertₑ(x), where p = softmax(scores).
 *
 * @param scores The router's, `[tokens, experts]`
 * @param expert Expert e of some tokens. Shape: `[routed, d] → [routed, d]`
 * @returns `[tokens, d]`
 */
export function mixture(
  g: Builder,
  x: Value,
  scores: Value,
  { experts, chosen, renormalises }: Mixture,
  expert: (index: number, x: Value) => Value,
): Value {
  const last = { axis: { kind: 'int', value: -1 } } as const;
  const shares = g.node('Softmax', [scores], scores.shape, last);
  const [top, index] = g.nodes(
    'TopK',
    [shares, g.integers('chosen', [chosen])],
    [
      { dtype: 'float32', shape: ['tokens', chosen] },
      { dtype: 'int64', shape: ['tokens', chosen] },
    ],
    last,
  );
  const sum = g.node('ReduceSum', [top, g.integers('last', [-1])], ['tokens', 1]);
  const weights = renormalises ? g.div(top, sum) : top;
  let total = g.node('ConstantOfShape', [g.sizes(x, 0, 2)], x.shape, {}, 'float32');
  for (let e = 0; e < experts; e++) {
    total = g.within(`experts.${e}`, () => {
      const isChosen = g.node('Equal', [index, g.integers('expert', [e])], index.shape, {}, 'bool');
      const places = g.transpose(g.node('NonZero', [isChosen], [2, 'routed'], {}, 'int64'), [1, 0]);
      const [token] = g.split(places, 2);
      const routed = g.node('GatherND', [weights, places], ['routed'], {});
      const named = g.reshape(token, g.integers('flat', [-1]), ['routed']);
      // One more row, of weight 0: a product with one row alone may be summed in another order.
      const weight = g.unsqueeze(appended(g, routed, g.constant('nothing', [0])), 1);
      const flat = appended(g, named, g.integers('first', [0]));
      const output = g.mul(expert(e, g.gather(x, flat)), weight);
      return g.node('ScatterND', [total, g.unsqueeze(flat, 1), output], x.shape, {
        reduction: { kind: 'string', value: 'add' },
      });
    });
  }
  return total;
}

function appended(g: Builder, list: Value, one: Value): Value {
  return g.node('Concat', [list, one], ['routed + 1'], { axis: { kind: 'int', value: 0 } });
}
