/**
 * What does a model expect next, after each of some texts of equal length?
 *
 * A decoder reads tokens on top of a cache of keys and values and gives the logits after the last of
 * them. A cache belongs to nobody: it may be read on by another model of the same shape, and rows may
 * be taken from it. Nothing in a row's numbers depends on the other rows: same length, no padding,
 * and each sum runs in an order of its own row.
 */

import { invariant } from '../base/invariant.ts';
import type { Binding } from '../../models/bindings.ts';
import { cacheNames } from '../../models/compose.ts';
import { composeDecoder } from '../../models/composeDecoder.ts';
import type { Model } from '../../models/model.ts';
import { turnsAnew } from '../../models/rotary.ts';
import { openSession, type Fetch } from './session.ts';

/** Keys and values of everything read so far, for each row of a batch. */
export interface Cache {
  readonly rows: number;
  /** Tokens read. */
  readonly length: number;
  /** Keys and values of block 0, of block 1, …; each `[rows, heads, length, headDim]`. */
  readonly tensors: readonly Fetch[];
}

export interface Decoder {
  readonly model: Model;
  /** A cache of rows that have read nothing. */
  empty(rows: number): Cache;
  /**
   * Reads more tokens, as many in every row.
   *
   * @param texts Each row's whole text, the cached tokens included.
   * @param length How many of its tokens are to be in the cache afterwards.
   * @returns The logits after token `length − 1`, `[rows, vocabulary]`, and the longer cache.
   */
  read(texts: readonly (readonly number[])[], length: number, cache: Cache): Promise<Reading>;
  close(): Promise<void>;
}

export interface Reading {
  readonly logits: Float32Array;
  readonly cache: Cache;
}

export interface DecoderOptions {
  readonly bind: Binding;
  /** Threads inside an operator. */
  readonly threads: number;
  /** Longest text, its answer included. */
  readonly longest: number;
}

/** Compiles a model for decoding. Who opens it closes it. */
export async function openDecoder(model: Model, options: DecoderOptions): Promise<Decoder> {
  const { architecture, settings } = model;
  const graph = composeDecoder(architecture, settings, options.bind, options.longest);
  const session = await openSession(graph, { threads: options.threads });
  const names = Array.from({ length: settings.layers }, (_, layer) => cacheNames(layer)).flat();
  const turnings = [...architecture.rotary(settings).values()];
  const empty = (rows: number): Cache => ({
    rows,
    length: 0,
    tensors: names.map(() => ({
      data: new Float32Array(0),
      shape: [rows, settings.keyHeads, 0, settings.headDim],
    })),
  });
  return {
    model,
    empty,
    async read(texts, length, given) {
      invariant(texts.length === given.rows, `${texts.length} texts for ${given.rows} rows`);
      const isStale = turnings.some((turning) => staleFrom(turning, given.length, length));
      const cache = isStale ? empty(given.rows) : given;
      const fresh = length - cache.length;
      invariant(fresh > 0, 'nothing to read');
      const shape = [cache.rows, fresh];
      const ids = texts.flatMap((text) => text.slice(cache.length, length));
      const { logits, ...present } = await session.run({
        input_ids: { data: BigInt64Array.from(ids, BigInt), shape },
        position_ids: {
          data: BigInt64Array.from(ids, (_, i) => BigInt(cache.length + (i % fresh))),
          shape,
        },
        lengths: {
          data: new BigInt64Array(cache.rows).fill(BigInt(length)),
          shape: [cache.rows],
        },
        rows: {
          data: BigInt64Array.from(texts, (_, row) => BigInt((row + 1) * fresh - 1)),
          shape: [cache.rows],
        },
        ...Object.fromEntries(names.map(({ past }, i) => [past, cache.tensors[i]])),
      });
      const tensors = names.map((name) => present[name.present]);
      return { logits: logits.data, cache: { rows: cache.rows, length, tensors } };
    },
    close: () => session.close(),
  };
}

/** Whether keys of a text of `cached` tokens are wrong once it has `length`. */
function staleFrom(
  turning: Parameters<typeof turnsAnew>[0],
  cached: number,
  length: number,
): boolean {
  if (cached === 0) return false;
  for (let at = cached + 1; at <= length; at++) if (turnsAnew(turning, at)) return true;
  return false;
}

/** The cache of some of its rows, in the order given. */
export function keepRows(cache: Cache, rows: readonly number[]): Cache {
  if (rows.length === cache.rows && rows.every((row, i) => row === i)) return cache;
  return {
    rows: rows.length,
    length: cache.length,
    tensors: cache.tensors.map(({ data, shape }) => {
      const size = data.length / cache.rows;
      const some = new Float32Array(rows.length * size);
      rows.forEach((row, i) => some.set(data.subarray(row * size, (row + 1) * size), i * size));
      return { data: some, shape: [rows.length, ...shape.slice(1)] };
    }),
  };
}
