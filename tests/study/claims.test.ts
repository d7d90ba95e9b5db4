/** What a report says of nothing, and of something: the whole default report on a thousand data sets. */

import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import type { ProbeCurve } from '../../src/contract/report.ts';
import { here } from '../../src/math/multiply.ts';
import { rowsOf, type Rows } from '../../src/math/rows.ts';
import { promptBaselines, scored, type ScoredBaseline } from '../../src/study/baselines.ts';
import { claimsOf, type Claims } from '../../src/study/claims.ts';
import { asFamily, judgeSite, materialOf, type FitRequest } from '../../src/study/points.ts';
import type { Prompt } from '../../src/text/prompts.ts';

/** Forty groups of a positive and a negative row, in five folds. */
const groups = Array.from({ length: 80 }, (_, i) => `g${String(i >> 1).padStart(2, '0')}`);
const judged = {
  labels: Uint8Array.from(groups, (_, i) => i % 2),
  groups,
  folds: Int32Array.from(groups, (_, i) => (i >> 1) % 5),
};
const sites = ['resid_post.0', 'resid_post.1'];

/** With 19 shuffles p ≤ .05 is the chance to come first of 20. */
function fitOf(seed: number): FitRequest {
  const plain = {
    estimator: 'mean_difference',
    c: 1,
    standardise: false,
    intercept: true,
  } as const;
  return { ...plain, folds: 5, shuffles: 19, seed };
}

/** Noise of three dimensions; the label moves the first by `signal`, and each group all by its own. */
function activations(signal: number, random: Random): Rows {
  let group = [0, 0, 0];
  const data = groups.flatMap((_, i) => {
    if (i % 2 === 0) group = [0, 1, 2].map(() => 0.7 * random.normal());
    return group.map((own, j) => own + random.normal() + (j === 0 ? signal * judged.labels[i] : 0));
  });
  return rowsOf(80, 3, Float64Array.from(data));
}

/** Four words of eight by chance. */
function promptsOf(random: Random): Prompt[] {
  return groups.map((_, i) => {
    const words = Array.from({ length: 3 + random.below(3) }, () => `w${random.below(8)}`);
    return { id: `p${i}`, body: { kind: 'text', text: words.join(' ') }, columns: {} } as Prompt;
  });
}

/** A curve as `probe` makes it, of activations in memory. */
function curveOf(signal: number, beside: readonly ScoredBaseline[], random: Random, seed: number) {
  const request = fitOf(seed);
  const own = scored(
    'embedding',
    judged,
    here(materialOf(activations(signal, random), null, request).scores(judged)),
  );
  const rivals = { baselines: [...beside, own] };
  const found = sites.map((site) => {
    const material = materialOf(activations(signal, random), null, request);
    return here(judgeSite(site, material, judged, rivals, request, { directions: false }));
  });
  const { nulls, maxima } = asFamily(found);
  const points = found.map(({ point }, i) => ({ ...point, null: nulls[i], probe: '' }));
  return { points, null_maxima: maxima, baselines: rivals.baselines.map((b) => b.baseline) };
}

/** Two checkpoints, as one report. */
function reportOf(signal: number, seed: number, readsPrompts: boolean): Claims[] {
  const random = new Random(seed);
  const prompts = promptsOf(random);
  const tokens = prompts.map((_, i) => 5 + (i % 3));
  const beside = readsPrompts ? promptBaselines(judged, prompts, tokens) : [];
  const curves = [0, 1].map(() => curveOf(signal, beside, random, seed));
  return claimsOf(curves as unknown as ProbeCurve[]);
}

/** Bounds that a count of 1,000 draws at rate .05 leaves once in 10,000 (normal, 3.9 deviations). */
const [least, most] = [50 - 27, 50 + 27];

describe('the whole default report', () => {
  it('says something of 1,000 data sets with nothing in them as often as said', () => {
    let said = 0;
    for (let seed = 0; seed < 1000; seed++) {
      const claims = reportOf(0, seed, true);
      if (claims.some(({ toldAt, wins }) => wins > 0 || toldAt.includes(true))) said++;
    }
    expect(said).toBeGreaterThanOrEqual(least);
    expect(said).toBeLessThanOrEqual(most);
  }, 240_000);

  it('says that a site beats an equally good baseline in no more than 5 % of 1,000 data sets', () => {
    let said = 0;
    for (let seed = 0; seed < 1000; seed++) {
      if (reportOf(1.2, seed, false).some(({ wins }) => wins > 0)) said++;
    }
    expect(said).toBeLessThanOrEqual(most);
  }, 240_000);

  it('finds a planted signal at every site, and that it beats words and length', () => {
    for (let seed = 0; seed < 20; seed++) {
      for (const { toldAt, remarks, p } of reportOf(3, seed, true)) {
        expect(toldAt).toEqual([true, true]);
        expect(p).toBe(1 / 20);
        expect(remarks.filter((remark) => /length|words/.test(remark))).toEqual([]);
        // The embedding layer holds the same signal.
        expect(remarks.some((remark) => remark.includes('the embedding layer'))).toBe(true);
      }
    }
  });
});
