/** Does a stream without padding hold the same bits, token for token, as one that pads? */

import { describe, expect, it } from 'vitest';
import { siteKey } from '../../src/graph/sites.ts';
import { allSites as sitesOf } from '../../src/record/passes.ts';
import { pads, plainPasses } from '../../src/record/segments.ts';
import type { Model } from '../../models/model.ts';
import { modelOf, variantCases, variantModel, wholeCases } from '../support/families.ts';
import { bitsOf, forward } from '../support/golden.ts';
import { runPasses } from '../support/passes.ts';

/** Shorter ones first, so that no row of the stream stands where it would with padding. */
const prompts = [2, 9, 1, 5, 7].map((length, p) =>
  Array.from({ length }, (_, t) => 1 + ((p * 7 + t * 5) % 23)),
);

async function expectSameBits(model: Model): Promise<void> {
  const sites = sitesOf(model);
  const longest = Math.max(...prompts.map(({ length }) => length));
  const passes = plainPasses(
    prompts.map(({ length }) => length),
    prompts.length * longest,
  );
  expect(passes).toHaveLength(1);
  expect(pads(passes)).toBe(true);
  const packed = await runPasses(model, prompts, passes, sites);
  const padded = await forward(model, { prompts, sites });
  for (const key of sites.map(siteKey)) {
    const { data, shape } = padded[key];
    const width = data.length / shape[0];
    let row = 0;
    for (const [p, prompt] of prompts.entries()) {
      for (const t of prompt.keys()) {
        const start = (p * longest + t) * width;
        const expected = bitsOf(data.slice(start, start + width));
        expect(bitsOf(packed[key][row++]).equals(expected), `${key}, ${p}:${t}`).toBe(true);
      }
    }
    expect(row).toBe(packed[key].length);
  }
}

describe('a packed stream', () => {
  it.each(wholeCases)('changes no bit of %s', async (name) => {
    await expectSameBits(await modelOf(name));
  });

  it.each(variantCases)('changes no bit of the variant %s', async (name) => {
    await expectSameBits(await variantModel(name));
  });
});
