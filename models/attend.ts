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
import { attendInPieces, type Scoring } from './attendInPieces.ts';
import { countUp, seen } from './sight.ts';

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
  const asked = {
    queryHeads: settings.heads,
    keyHeads: settings.keyHeads,
    scale,
    softCap: softCap ?? undefined,
    window,
  };
  const isAlone = !ports.wantsPattern && ports.keep === null && ports.past === null;
  const pieces = isAlone ? frame.pieces() : null;
  const output =
    pieces === null
      ? attendAtOnce(g, frame, ports, ports.past, turned, asked)
      : attendInPieces(g, pieces, turned, asked);
  const width = settings.heads * settings.headDim;
  const slots = g.reshape(output, frame.bySlot, [
    frame.packing === null ? 'tokens' : 'slots',
    width,
  ]);
  return frame.packing === null ? slots : g.gather(slots, frame.packing.tokens);
}

/** All queries in one product. Shape: `[batch, position, …] → [batch, position, H · hd]`. */
function attendAtOnce(
  g: Builder,
  frame: Frame,
  { keep, tap, wantsPattern }: Ports,
  past: KeyValue | null,
  qkv: readonly [Value, Value, Value],
  { window, ...asked }: Scoring,
): Value {
  const { output, pattern, present } = g.attention(...qkv, {
    ...asked,
    mask: window === null ? undefined : windowMask(g, frame, past, window),
    past: past ?? undefined,
    wantsPattern,
    // onnxruntime reads a past only where it may write past and present together.
    wantsPresent: keep !== null || past !== null,
  });
  if (present !== undefined) keep?.(present);
  if (pattern !== undefined) tap('pattern', pattern);
  return output;
}

/**
 * Query q sees keys q − window + 1 … q. Shape: `[batch, 1, position, keys]`.
 *
 * Key j of a cache stands at position j: a cache begins at position 0 and has no gaps.
 */
function windowMask(g: Builder, frame: Frame, past: KeyValue | null, window: number): Value {
  const fresh = g.sizes(frame.positions, 1, 2);
  const total = past === null ? fresh : g.add(g.sizes(past.key, 2, 3), fresh);
  const axis = past === null ? 'position' : 'keys';
  const queries = g.unsqueeze(frame.positions, 1, 3);
  return seen(g, countUp(g, total, axis), queries, window, ['batch', 1, 'position', axis]);
}
