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
import { composeDecoder } from '../../models/composeDecoder.ts';
import type { Model } from '../../models/model.ts';
import { cacheNames } from '../../models/pasts.ts';
import { turnsAnew } from '../../models/rotary.ts';
import { emptyCache, grownBy, type Cache } from './cache.ts';
import { openSession, type Feed } from './session.ts';

type Texts = readonly (readonly number[])[];

export interface Decoder {
  readonly model: Model;
  /** A cache of rows that have read nothing. @param most Tokens that will be read, as far as is known. */
  empty(rows: number, most: number): Cache;
  /**
   * Reads more tokens, as many in every row.
   *
   * @param texts Each row's whole text, the cached tokens included.
   * @param length How many of its tokens are to be in the cache afterwards.
   * @returns The logits after token `length − 1`, `[rows, vocabulary]`, and the longer cache.
   */
  read(texts: Texts, length: number, cache: Cache): Promise<Reading>;
  /** The same where nobody asks what comes next. */
  extend(texts: Texts, length: number, cache: Cache): Promise<Cache>;
  /** The same for what the tokens add: `[rows, tokens, heads · headDim]` for each store of a cache, piece after piece. */
  added(texts: Texts, length: number, cache: Cache): Promise<readonly (readonly Float32Array[])[]>;
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
  const presents = names.map(({ present }) => present);
  const turnings = [...architecture.rotary(settings).values()];

  async function read(
    texts: Texts,
    length: number,
    given: Cache,
    wants: 'logits' | 'cache' | 'added',
  ): Promise<Reading & { readonly pieces: readonly (readonly Float32Array[])[] }> {
    invariant(texts.length === given.rows, `${texts.length} texts for ${given.rows} rows`);
    const isStale = turnings.some((turning) => staleFrom(turning, given.length, length));
    let cache = isStale ? emptyCache(settings, given.rows, given.most) : given;
    invariant(length > cache.length, 'nothing to read');
    const pieces: Float32Array[][] = [];
    for (;;) {
      const to = Math.min(length, cache.length + mostAtOnce);
      const isWanted = wants === 'logits' && to === length;
      const feeds = feedsOf(texts, { to, length, cache, names, isWanted });
      const fetched = await session.run(feeds, isWanted ? [...presents, 'logits'] : presents);
      const news = presents.map((name) => fetched[name].data);
      if (wants === 'added') pieces.push(news);
      if (wants !== 'added' || to < length) cache = grownBy(cache, to - cache.length, news);
      if (to === length) return { logits: fetched['logits']?.data ?? noLogits, cache, pieces };
    }
  }

  return {
    model,
    empty: (rows, most) => emptyCache(settings, rows, most),
    read: async (texts, length, cache) => await read(texts, length, cache, 'logits'),
    extend: async (texts, length, cache) => (await read(texts, length, cache, 'cache')).cache,
    added: async (texts, length, cache) => (await read(texts, length, cache, 'added')).pieces,
    close: () => session.close(),
  };
}

/**
 * Tokens of a row that go through the model at once: scores of all of them with all keys are there at one
 * time. A row's bits may depend on where its text is cut, so this is the same for all.
 */
export const mostAtOnce = 256;

const noLogits = new Float32Array(0);

interface Step {
  /** Tokens `cache.length` to `to − 1` are read of texts that have `length`. */
  readonly to: number;
  readonly length: number;
  readonly cache: Cache;
  readonly names: ReturnType<typeof cacheNames>;
  readonly isWanted: boolean;
}

function feedsOf(texts: Texts, { to, length, cache, names, isWanted }: Step): Record<string, Feed> {
  const { rows, heads, headDim } = cache;
  const fresh = to - cache.length;
  const shape = [rows, fresh];
  const ids = new BigInt64Array(rows * fresh);
  const positions = new BigInt64Array(rows * fresh);
  texts.forEach((text, row) => {
    for (let t = 0; t < fresh; t++) {
      ids[row * fresh + t] = BigInt(text[cache.length + t]);
      positions[row * fresh + t] = BigInt(cache.length + t);
    }
  });
  const last = isWanted ? rows : 0;
  const feeds: Record<string, Feed> = {
    input_ids: { data: ids, shape },
    position_ids: { data: positions, shape },
    lengths: { data: new BigInt64Array(rows).fill(BigInt(length)), shape: [rows] },
    held: { data: BigInt64Array.of(BigInt(cache.length)), shape: [1] },
    rows: {
      data: BigInt64Array.from({ length: last }, (_, row) => BigInt((row + 1) * fresh - 1)),
      shape: [last],
    },
  };
  names.forEach(({ past }, i) => {
    const { data, room } = cache.stores[i];
    feeds[past] = { data, shape: [rows, heads, room, headDim] };
  });
  return feeds;
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
