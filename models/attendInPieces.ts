/**
 * Queries in pieces, each against the keys up to its end.
 *
 * A causal query has nothing to do with later keys, but onnxruntime's attention scores all keys for all
 * queries and hides half of them afterwards, in a matrix that no cache holds. In pieces the later
 * keys are not there, and scores stay near. A graph has as many pieces as its longest prompt needs; where a batch is
 * shorter, those past its end are given query 0 and key 0, since attention takes no empty list, and what
 * they give is cut off. No number changes: a hidden key adds 0 to a sum at whose end it stands.
 */

import type { AttentionOptions } from '../src/graph/attention.ts';
import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import { countUp, seen } from './sight.ts';

/** Queries `from … to − 1` against keys `0 … to − 1`; each of shape `[1]`. */
export interface Piece {
  readonly from: Value;
  readonly to: Value;
  /** What its queries see, `[queries, keys]`; undefined where that is all keys up to a query's own, counted from the first. */
  readonly mask: (window: number | null) => Value | undefined;
}

export interface Pieces {
  readonly each: readonly Piece[];
  /** How many positions a batch has. Shape: `[1]`. */
  readonly count: Value;
}

/** How queries score keys, and how many of them one sees; null for all up to its own. */
export interface Scoring extends Pick<
  AttentionOptions,
  'queryHeads' | 'keyHeads' | 'scale' | 'softCap'
> {
  readonly window: number | null;
}

const leastQueries = 64;
const mostPieces = 16;

/** Queries of a piece where the longest prompt has so many tokens. */
export function pieceLength(longest: number): number {
  return leastQueries * Math.max(1, Math.ceil(longest / (leastQueries * mostPieces)));
}

/** The pieces of a batch `[batch, position]`; null where all prompts lie within one. */
export function piecesOf(
  g: Builder,
  positions: Value,
  longest: number,
  length: number = pieceLength(longest),
): Pieces | null {
  if (longest <= length) return null;
  return g.within('pieces', () => {
    const count = g.sizes(positions, 1, 2);
    const range = countUp(g, count, 'position');
    const [zero, one] = [g.integers('start', [0]), g.integers('one', [1])];
    const each = Array.from({ length: Math.ceil(longest / length) }, (_, i): Piece => {
      const end = g.integers('end', [(i + 1) * length]);
      if (i === 0) {
        const mask = maskOf(g, range, zero, end);
        return {
          from: zero,
          to: end,
          mask: (window) => (window === null ? undefined : mask(window)),
        };
      }
      const start = g.integers('start', [i * length]);
      const isThere = g.node('Less', [start, count], [1], {}, 'bool');
      const from = g.node('Where', [isThere, start, zero], [1], {}, 'int64');
      const to = g.node('Where', [isThere, end, one], [1], {}, 'int64');
      return { from, to, mask: maskOf(g, range, from, to) };
    });
    return { each, count };
  });
}

/**
 * @param q `[batch, position, H · hd]`, turned
 * @param k, v `[batch, position, KV · hd]`, keys turned
 * @returns `[batch, position, H · hd]`
 */
export function attendInPieces(
  g: Builder,
  { each, count }: Pieces,
  [q, k, v]: readonly [Value, Value, Value],
  { window, ...asked }: Scoring,
): Value {
  const first = g.integers('start', [0]);
  const given = each.map(({ from, to, mask }) => {
    const queries = g.slice(q, from, to, 1, 'queries');
    const [keys, values] = [k, v].map((x) => g.slice(x, first, to, 1, 'keys'));
    const options = { ...asked, mask: mask(window), wantsPattern: false, wantsPresent: false };
    return g.attention(queries, keys, values, options).output;
  });
  const shape = ['batch', 'positions', q.shape[2]];
  const joined = g.node('Concat', given, shape, { axis: { kind: 'int', value: 1 } });
  return g.slice(joined, first, count, 1, 'position');
}

/** What queries `from … to − 1` see, worked out once for each window. */
function maskOf(
  g: Builder,
  range: Value,
  from: Value,
  to: Value,
): (window: number | null) => Value {
  const masks = new Map<number | null, Value>();
  const make = (window: number | null): Value => {
    const queries = g.unsqueeze(g.slice(range, from, to, 0, 'queries'), 1);
    const keys = g.slice(range, g.integers('start', [0]), to, 0, 'keys');
    return seen(g, keys, queries, window, ['queries', 'keys']);
  };
  return (window) => {
    const mask = masks.get(window) ?? make(window);
    masks.set(window, mask);
    return mask;
  };
}
