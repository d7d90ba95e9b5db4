/** How large an error do the identities of a pass let through? */

import { describe, expect, it } from 'vitest';
import { checkPatterns, checkStream } from '../../src/record/identities.ts';
import type { Sites } from '../../src/record/passes.ts';
import { goldenFolder, modelIn } from '../support/golden.ts';

const model = await modelIn(goldenFolder('gpt2'));
const { layers, heads } = model.settings;

function site(...values: readonly number[]): Sites[string] {
  return { data: Float32Array.from(values), shape: [1, values.length] };
}

describe('checkStream', () => {
  /** A stream that begins with 1 and grows by .75 a block, in two steps. */
  const stream = (change: number): Sites =>
    Object.fromEntries(
      Array.from({ length: layers }, (_, layer) => {
        const pre = 1 + 0.75 * layer;
        return [
          [`resid_pre.${layer}`, site(pre)],
          [`attn_out.${layer}`, site(0.5)],
          [`resid_mid.${layer}`, site(pre + 0.5 + (layer === 0 ? change : 0))],
          [`mlp_out.${layer}`, site(0.25)],
          [`resid_post.${layer}`, site(pre + 0.75)],
        ] as const;
      }).flat(),
    );

  it('lets four roundings pass, and no more', async () => {
    expect(await checkStream(stream(0), model)).toMatchObject({ outcome: 'holds', worst: 0 });
    // Steps of float32 at 1.5 are 2⁻²³, and a rounding of 1.5 is 1.5 · 2⁻²⁴.
    const three = await checkStream(stream(3 * 2 ** -23), model);
    expect(three).toMatchObject({ outcome: 'holds', worst: expect.closeTo(4, 5) });
    expect(await checkStream(stream(4 * 2 ** -23), model)).toMatchObject({ outcome: 'fails' });
  });
});

describe('checkPatterns', () => {
  /** One prompt of two tokens; the second looks at both. */
  const patterns = (change: number): Sites =>
    Object.fromEntries(
      Array.from({ length: layers }, (_, layer) => [
        `pattern.${layer}`,
        site(
          ...Array.from({ length: heads }, () => [1, 0]).flat(),
          ...Array.from({ length: heads }, () => [0.5, 0.5 + change]).flat(),
        ),
      ]),
    );

  it('lets a sum over two keys be off by five roundings, and not by six', () => {
    const check = (change: number) => checkPatterns(patterns(change), model, [[1, 2]]);
    expect(check(0)).toMatchObject({ outcome: 'holds', worst: 0 });
    // 4 + √2 = 5.4
    expect(check(5 * 2 ** -24)).toMatchObject({ outcome: 'holds', worst: 5 });
    expect(check(6 * 2 ** -24)).toMatchObject({ outcome: 'fails', worst: 6 });
  });
});
