/** Which keys a query sees. */

import type { Builder } from '../src/graph/builder.ts';
import type { Axis, Value } from '../src/graph/onnx.ts';

/**
 * Keys up to the query's own, and no more than `window` of them where there is one.
 *
 * @param keys, queries Where they stand, int64, broadcast against each other to `shape`.
 * @returns bool
 */
export function seen(
  g: Builder,
  keys: Value,
  queries: Value,
  window: number | null,
  shape: readonly Axis[],
): Value {
  const compare = (op: string, b: Value): Value => g.node(op, [keys, b], shape, {}, 'bool');
  const isBefore = compare('LessOrEqual', queries);
  if (window === null) return isBefore;
  const isNear = compare('Greater', g.add(queries, g.integers('reach', [-window])));
  return g.node('And', [isBefore, isNear], shape);
}

/** 0, 1, … `count` − 1. Shape: `[1] → [axis]`. */
export function countUp(g: Builder, count: Value, axis: string): Value {
  const scalar = (x: Value): Value => g.reshape(x, g.integers('scalar', []), []);
  return g.node(
    'Range',
    [scalar(g.integers('first', [0])), scalar(count), scalar(g.integers('step', [1]))],
    [axis],
  );
}
