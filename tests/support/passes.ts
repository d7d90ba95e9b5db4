/** Passes run by hand on a model, without a run folder: what each token of each prompt gets. */

import { siteKey, type Site } from '../../src/graph/sites.ts';
import { Caches, cacheShape, neededFrom } from '../../src/record/caches.ts';
import { feedsOf } from '../../src/record/runPass.ts';
import { pads, type Pass } from '../../src/record/segments.ts';
import { wantedRows, type Reading } from '../../src/record/wantedRows.ts';
import { openSession } from '../../src/runtime/session.ts';
import { fromCheckpoint } from '../../models/bindings.ts';
import { composeModel } from '../../models/compose.ts';
import type { Model } from '../../models/model.ts';
import type { Prepared } from '../../src/text/prepare.ts';

/** A reading of every token of prompts given as ids. */
export function readingOf(prompts: readonly (readonly number[])[]): Reading {
  let rows = 0;
  return {
    prepared: prompts.map((ids, prompt): Prepared => ({
      id: `p${prompt}`,
      prompt,
      ids,
      promptLength: ids.length,
      bos: null,
      tokens: ids.map(() => null),
      unknown: 0,
      positions: [{ indices: ids.map((_, token) => token), reason: null, note: null }],
    })),
    positions: [
      {
        selector: { name: 'all' },
        firstRow: prompts.map(({ length }) => (rows += length) - length),
      },
    ],
  };
}

/** Values by site, one entry for each token of each prompt in order; patterns as wide as the longest prompt. */
export async function runPasses(
  model: Model,
  prompts: readonly (readonly number[])[],
  passes: readonly Pass[],
  sites: readonly Site[],
  { done = 0 }: { readonly done?: number } = {},
): Promise<Record<string, Float32Array[]>> {
  const { architecture, settings } = model;
  const longest = Math.max(...prompts.map(({ length }) => length));
  const reading = readingOf(prompts);
  const graph = composeModel(architecture, settings, fromCheckpoint(model), {
    sites,
    length: longest,
    past: 'shared',
    keeps: 'chosen',
    isPacked: pads(passes),
  });
  const session = await openSession(graph, { threads: 1 });
  const caches = new Caches(passes, cacheShape(model, sites));
  const needed = neededFrom(passes, done);
  const found: Record<string, Float32Array[]> = Object.fromEntries(
    sites.map((site) => [siteKey(site), []]),
  );
  try {
    for (const [i, pass] of passes.entries()) {
      if (!needed[i]) continue;
      const wanted = wantedRows(reading, pass);
      const fetched = await session.run({
        ...feedsOf(reading, pass, wanted),
        ...caches.feedsOf(i),
      });
      caches.keep(i, fetched);
      if (i < done) continue;
      for (const site of sites) {
        const key = siteKey(site);
        const width = fetched[key].data.length / wanted.rows.length;
        for (const { storedAt, first, count } of wanted.places) {
          for (let k = 0; k < count; k++) {
            const values = fetched[key].data.slice((first + k) * width, (first + k + 1) * width);
            found[key][storedAt + k] =
              site.kind === 'pattern'
                ? widened(values, settings.heads, pass.past + pass.length, longest)
                : values;
          }
        }
      }
    }
  } finally {
    await session.close();
  }
  return found;
}

function widened(values: Float32Array, heads: number, keys: number, longest: number): Float32Array {
  const wide = new Float32Array(heads * longest);
  for (let head = 0; head < heads; head++) {
    wide.set(values.subarray(head * keys, (head + 1) * keys), head * longest);
  }
  return wide;
}

/**
 * From reference prompts: each itself and twice over, its beginnings, and others that leave it at one
 * place, one after another and one within the other.
 */
export function alike(references: readonly (readonly number[])[]): number[][] {
  return references.flatMap((ids, i) => {
    const other = references[(i + 1) % references.length];
    const half = Math.ceil(ids.length / 2);
    const late = Math.max(half, ids.length - 2);
    return [
      [...ids],
      [...ids],
      ids.slice(0, half),
      [...ids.slice(0, half), ...other.slice(0, ids.length - half)],
      [...ids.slice(0, half), ...other.slice(0, 2)],
      [...ids.slice(0, late), ...other.slice(0, ids.length - late)],
      [...ids.slice(0, late), ...other.slice(1, 1 + ids.length - late)],
    ].filter(({ length }) => length > 0);
  });
}
