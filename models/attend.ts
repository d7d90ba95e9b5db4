/**
 * Attention as families ask for it: causal, with or without rotary positions, a window, a cap.
 *
 * Axis names are those of parts.ts: H and KV are the numbers of query and key heads, hd a head's width.
 */

import { invariant } from '../src/base/invariant.ts';
import type { KeyValue } from '../src/graph/attention.ts';
import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import type { Frame, Ports, Settings } from './architecture.ts';
import { attendGrowing } from './attendGrowing.ts';

export interface AttendOptions {
  readonly scale: number;
  /** Which of the frame's rotary tables turns queries and keys; undefined for none. */
  readonly rotary?: string;
  /** How many keys a query sees, its own included; null for all up to it. */
  readonly window?: number | null;
  /** c of c · tanh(score / c); null for none. */
  readonly softCap?: number | null;
}

/**
 * Causal attention; taps `pattern`.
 *
 * @param q `[tokens, H · hd]`
 * @param k, v `[tokens, KV · hd]`
 * @returns `[tokens, H · hd]`
 */
export function attend(
  g: Builder,
  frame: Frame,
  ports: Ports,
  settings: Settings,
  [q, k, v]: readonly [Value, Value, Value],
  { scale, rotary, window = null, softCap = null }: AttendOptions,
): Value {
  const table = rotary === undefined ? undefined : frame.rotary.get(rotary);
  invariant(rotary === undefined || table !== undefined, `the frame has no rotary "${rotary}"`);
  const apart = (x: Value, heads: number, turns: boolean): Value => {
    const shape = ['batch', 'position', heads * settings.headDim];
    const slots = frame.packing === null ? x : g.gather(x, frame.packing.slots);
    const split = g.reshape(slots, frame.byPosition, shape);
    return turns && table !== undefined ? g.rotary(split, table, heads) : split;
  };
  const turned = [
    apart(q, settings.heads, true),
    apart(k, settings.keyHeads, true),
    apart(v, settings.keyHeads, false),
  ] as const;
  if (ports.past?.kind === 'growing') {
    return attendGrowing(g, frame, ports, settings, turned, { scale, window, softCap });
  }
  const { output, pattern, present } = g.attention(...turned, {
    queryHeads: settings.heads,
    keyHeads: settings.keyHeads,
    scale,
    softCap: softCap ?? undefined,
    mask: window === null ? undefined : windowMask(g, frame, ports.past, window),
    past: ports.past ?? undefined,
    wantsPattern: ports.wantsPattern,
    // onnxruntime reads a past only where it may write past and present together.
    wantsPresent: ports.keep !== null || ports.past !== null,
  });
  if (present !== undefined) ports.keep?.(present);
  if (pattern !== undefined) ports.tap('pattern', pattern);
  const width = settings.heads * settings.headDim;
  const slots = g.reshape(output, frame.bySlot, [
    frame.packing === null ? 'tokens' : 'slots',
    width,
  ]);
  return frame.packing === null ? slots : g.gather(slots, frame.packing.tokens);
}

/**
 * Query q sees keys q − window + 1 … q. Shape: `[batch, 1, position, keys]`.
 *
 * Key j of a cache stands at position j: a cache begins at position 0 and has no gaps.
 */
function windowMask(g: Builder, frame: Frame, past: KeyValue | null, window: number): Value {
  const count = (x: Value, axis: number): Value =>
    g.reshape(g.sizes(x, axis, axis + 1), g.integers('scalar', []), []);
  const scalar = (name: string, value: number): Value =>
    g.reshape(g.integers(name, [value]), g.integers('scalar', []), []);
  const fresh = count(frame.positions, 1);
  const total = past === null ? fresh : g.add(count(past.key, 2), fresh);
  const axis = past === null ? 'position' : 'keys';
  const keys = g.node('Range', [scalar('first', 0), total, scalar('step', 1)], [axis]);
  const queries = g.unsqueeze(frame.positions, 1, 3);
  const shape = ['batch', 1, 'position', axis];
  const before = g.add(queries, g.integers('reach', [-window]));
  return g.node(
    'And',
    [
      g.node('LessOrEqual', [keys, queries], shape, {}, 'bool'),
      g.node('Greater', [keys, before], shape, {}, 'bool'),
    ],
    shape,
  );
}
