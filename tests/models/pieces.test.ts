/** Does attention in pieces compute what transformers computed, and is it there where it pays? */

import { describe, expect, it } from 'vitest';
import { parseSite, siteKey } from '../../src/graph/sites.ts';
import { openSession } from '../../src/runtime/session.ts';
import { fromCheckpoint } from '../../models/bindings.ts';
import { composeModel, type Composition } from '../../models/compose.ts';
import { pieceLength } from '../../models/attendInPieces.ts';
import type { Model } from '../../models/model.ts';
import {
  modelOf,
  parityOf,
  sitesOf,
  variantCases,
  variantModel,
  wholeCases,
} from '../support/families.ts';
import { feedsOf, forward } from '../support/golden.ts';

/** Of lengths that fill a last piece, leave one query in it, and lie within the first. */
const queriesAtOnce = 3;

async function faultsOf(model: Model, name: string, size = queriesAtOnce): Promise<unknown[]> {
  const { comparisons } = await parityOf(model, name, { queriesAtOnce: size });
  expect(comparisons.length).toBeGreaterThan(3);
  return comparisons.filter(({ ofAllowed }) => !(ofAllowed <= 1));
}

describe('attention in pieces', () => {
  it.each(wholeCases)('is within 4 noise floors in %s', async (name) => {
    expect(await faultsOf(await modelOf(name), name)).toEqual([]);
  });

  it.each(variantCases)('is within 4 noise floors in the variant %s', async (name) => {
    expect(await faultsOf(await variantModel(name), `variants/${name}`)).toEqual([]);
  });

  it.each(['mistral_sliding', 'gemma2', 'phi3', 'starcoder2', 'mixtral'])(
    'sees a window that is shorter than the first piece in %s',
    async (name) => {
      expect(await faultsOf(await modelOf(name), name, 12)).toEqual([]);
    },
  );

  /** A prompt's stream depends on nothing but the prompt; the bound is some roundings of float32. */
  it.each(['llama_gqa_llama3', 'gemma2', 'gpt2'])(
    'leaves out the pieces that a short batch does not reach in %s',
    async (name) => {
      const model = await modelOf(name);
      const sites = sitesOf(model).filter(({ kind }) => kind !== 'pattern');
      const graph = composeModel(model.architecture, model.settings, fromCheckpoint(model), {
        sites,
        length: 20,
        queriesAtOnce: 4,
      });
      const session = await openSession(graph, { threads: 1 });
      try {
        for (const length of [1, 2, 4, 5, 11, 20]) {
          const prompts = [3, 1].map((step) =>
            Array.from({ length }, (_, t) => 1 + ((t * step) % 19)),
          );
          const got = await session.run(feedsOf(prompts));
          const wanted = await forward(model, { prompts, sites });
          for (const key of sites.map(siteKey)) {
            expect(got[key].shape).toEqual(wanted[key].shape);
            const most = wanted[key].data.reduce((top, x) => Math.max(top, Math.abs(x)), 0);
            const worst = got[key].data.reduce(
              (top, x, i) => Math.max(top, Math.abs(x - wanted[key].data[i])),
              0,
            );
            expect(got[key].data.every(Number.isFinite)).toBe(true);
            expect(worst, `${key} at ${length}`).toBeLessThan(2 ** -18 * most);
          }
        }
      } finally {
        await session.close();
      }
    },
  );

  it('is taken for long prompts, and only where nobody asks for patterns, keys or values', async () => {
    const model = await modelOf('llama_mha');
    const attentions = (composition: Partial<Composition>): number => {
      const sites = [parseSite('resid_post.0')];
      const whole = { sites, length: 65, ...composition };
      const graph = composeModel(model.architecture, model.settings, fromCheckpoint(model), whole);
      return graph.nodes.filter(({ op }) => op === 'Attention').length;
    };
    expect(attentions({})).toBe(2);
    expect(attentions({ length: 64 })).toBe(1);
    expect(attentions({ length: 1024 })).toBe(16);
    expect(attentions({ length: 1025 })).toBe(9);
    expect(attentions({ keeps: true })).toBe(1);
    expect(attentions({ past: 'shared' })).toBe(1);
    expect(attentions({ sites: [parseSite('pattern.0')] })).toBe(1);
    expect([1, 64, 1024, 1025, 2048, 2049].map(pieceLength)).toEqual([64, 64, 64, 128, 128, 192]);
  });
});
