/**
 * Keys and values of what a decoder has read, for each row of a batch of equally long texts.
 *
 * They lie in buffers with room for more, so that what is read next is written behind what is there and
 * no step copies a past. Caches may share buffers: each sees as many positions as it has read.
 */

import type { Settings } from '../../models/architecture.ts';

export interface Cache {
  readonly rows: number;
  /** Tokens read. */
  readonly length: number;
  /** Tokens that will have been read at the end, as far as is known. */
  readonly most: number;
  /** Keys of block 0, its values, keys of block 1, …; each `[rows, heads, room, headDim]`. */
  readonly stores: readonly Store[];
  readonly heads: number;
  readonly headDim: number;
}

interface Store {
  data: Float32Array;
  /** Positions that a row has a place for. */
  room: number;
  /** Positions that hold something, of whichever cache. */
  filled: number;
}

/** Tokens that a row has read, whose keys and values leave a graph or are kept: `[tokens, heads · headDim]` for each store. */
export type Stretch = readonly Float32Array[];

/** A cache of rows that have read nothing. @param most Tokens that will be read. */
export function emptyCache(
  { layers, keyHeads, headDim }: Settings,
  rows: number,
  most: number,
): Cache {
  const stores = Array.from({ length: 2 * layers }, () => ({
    data: new Float32Array(0),
    room: 0,
    filled: 0,
  }));
  return { rows, length: 0, most, stores, heads: keyHeads, headDim };
}

/**
 * Positions that a row gets a place for when it holds `length`, if there will be `most`.
 *
 * A row's bits may depend on how many masked keys stand beside its own, so this depends on nothing else.
 */
export function roomFor(length: number, most: number): number {
  const enough = Math.max(64, 1.5 * length);
  return Math.ceil(Math.min(Math.max(length, most), enough) / 8) * 8;
}

/** The cache of rows that have each read some stretches, one after the other; all rows equally many tokens. */
export function cacheOf(
  settings: Settings,
  rows: readonly (readonly Stretch[])[],
  length: number,
  most: number,
): Cache {
  const empty = emptyCache(settings, rows.length, most);
  const { heads, headDim } = empty;
  const room = roomFor(length, most);
  const stores = empty.stores.map((_, part): Store => {
    const data = new Float32Array(rows.length * heads * room * headDim);
    rows.forEach((stretches, row) => {
      let at = 0;
      for (const stretch of stretches) {
        const tokens = stretch[part].length / (heads * headDim);
        put(data, stretch[part], { row, at, tokens, heads, headDim, room });
        at += tokens;
      }
    });
    return { data, room, filled: length };
  });
  return { ...empty, length, stores };
}

/** The cache with `fresh` more tokens in each row; `news` is `[rows, fresh, heads · headDim]` for each store. */
export function grownBy(cache: Cache, fresh: number, news: readonly Float32Array[]): Cache {
  const { rows, length, heads, headDim } = cache;
  const stores = cache.stores.map((store, part): Store => {
    // In place, unless there is no room or another cache has gone on from there already.
    const isFree = store.filled === length && length + fresh <= store.room;
    const own = isFree ? store : moved(store, cache, roomFor(length + fresh, cache.most));
    const { data, room } = own;
    const size = fresh * heads * headDim;
    for (let row = 0; row < rows; row++) {
      const some = news[part].subarray(row * size, (row + 1) * size);
      put(data, some, { row, at: length, tokens: fresh, heads, headDim, room });
    }
    own.filled = length + fresh;
    return own;
  });
  return { ...cache, length: length + fresh, stores };
}

function moved(
  { data, room: before }: Store,
  { rows, length, heads, headDim }: Cache,
  room: number,
): Store {
  const wider = new Float32Array(rows * heads * room * headDim);
  for (let i = 0; i < rows * heads; i++) {
    const from = i * before * headDim;
    wider.set(data.subarray(from, from + length * headDim), i * room * headDim);
  }
  return { data: wider, room, filled: length };
}

interface Place {
  readonly row: number;
  readonly at: number;
  readonly tokens: number;
  readonly heads: number;
  readonly headDim: number;
  readonly room: number;
}

/** Puts `[tokens, heads · headDim]` where a row's positions from `at` on are. */
function put(
  data: Float32Array,
  some: Float32Array,
  { row, at, tokens, heads, headDim, room }: Place,
): void {
  for (let token = 0, from = 0; token < tokens; token++) {
    for (let head = 0; head < heads; head++) {
      const to = ((row * heads + head) * room + at + token) * headDim;
      // A head is too short for `set` to be worth its call.
      for (let i = 0; i < headDim; i++) data[to + i] = some[from++];
    }
  }
}

/** The cache of some of its rows, in ascending order; the rows it was made from are gone. */
export function keepRows(cache: Cache, rows: readonly number[]): Cache {
  if (rows.length === cache.rows) return cache;
  const stores = cache.stores.map(({ data, room, filled }): Store => {
    const size = cache.heads * room * cache.headDim;
    rows.forEach((row, place) => {
      if (row !== place) data.copyWithin(place * size, row * size, (row + 1) * size);
    });
    return { data: data.subarray(0, rows.length * size), room, filled };
  });
  return { ...cache, rows: rows.length, stores };
}
