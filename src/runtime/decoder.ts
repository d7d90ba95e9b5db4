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
import { openSession } from './session.ts';

/**
 * Keys and values of everything read so far, for each row of a batch.
 *
 * Position follows position in the stores, so that what is read is written behind what is there, and no
 * step copies a past. Caches may share stores: each sees as many positions as it has read.
 */
export interface Cache {
  readonly rows: number;
  /** Tokens read. */
  readonly length: number;
  /** Floats of one row at one position: heads · headDim. */
  readonly rowWidth: number;
  /** Keys of block 0, its values, keys of block 1, …; each `[length and more, rows, heads, headDim]`. */
  readonly stores: readonly Store[];
}

interface Store {
  data: Float32Array;
  /** Positions that hold something, of whichever cache. */
  filled: number;
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
  const rowWidth = settings.keyHeads * settings.headDim;
  const empty = (rows: number): Cache => ({
    rows,
    length: 0,
    rowWidth,
    stores: names.map(() => ({ data: new Float32Array(0), filled: 0 })),
  });
  return {
    model,
    empty,
    async read(texts, length, given) {
      invariant(texts.length === given.rows, `${texts.length} texts for ${given.rows} rows`);
      const isStale = turnings.some((turning) => staleFrom(turning, given.length, length));
      const cache = isStale ? empty(given.rows) : given;
      const fresh = length - cache.length;
      const wide = cache.rows * rowWidth;
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
        ...Object.fromEntries(
          names.map(({ past }, i) => [
            past,
            {
              data: cache.stores[i].data.subarray(0, cache.length * wide),
              shape: [cache.length, cache.rows, settings.keyHeads, settings.headDim],
            },
          ]),
        ),
      });
      const stores = names.map((name, i) =>
        grown(cache.stores[i], cache.length, present[name.present].data, wide),
      );
      return { logits: logits.data, cache: { ...cache, length, stores } };
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

/** Positions that a store gets beyond those it needs, so that it moves only now and then. */
const spare = 32;

/** A store with more positions; in place, unless another cache has gone on from there already. */
function grown(store: Store, length: number, news: Float32Array, wide: number): Store {
  const end = length * wide;
  const filled = length + news.length / wide;
  if (store.filled === length && filled * wide <= store.data.length) {
    store.data.set(news, end);
    store.filled = filled;
    return store;
  }
  const data = new Float32Array((filled + spare) * wide);
  data.set(store.data.subarray(0, end));
  data.set(news, end);
  return { data, filled };
}

/** The cache of some of its rows, in the order given. */
export function keepRows(cache: Cache, rows: readonly number[]): Cache {
  if (rows.length === cache.rows && rows.every((row, i) => row === i)) return cache;
  const { length, rowWidth } = cache;
  const runs = runsOf(rows);
  const stores = cache.stores.map(({ data }): Store => {
    const some = new Float32Array((length + spare) * rows.length * rowWidth);
    let end = 0;
    for (let at = 0; at < length; at++) {
      const start = at * cache.rows;
      for (const { from, count } of runs) {
        some.set(data.subarray((start + from) * rowWidth, (start + from + count) * rowWidth), end);
        end += count * rowWidth;
      }
    }
    return { data: some, filled: length };
  });
  return { ...cache, rows: rows.length, stores };
}

/** Neighbours that stay neighbours, to be copied in one go. */
function runsOf(rows: readonly number[]): { readonly from: number; count: number }[] {
  const runs: { from: number; count: number }[] = [];
  for (const row of rows) {
    const last = runs.at(-1);
    if (last !== undefined && row === last.from + last.count) last.count++;
    else runs.push({ from: row, count: 1 });
  }
  return runs;
}
