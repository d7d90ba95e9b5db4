/** What must not change when axes are turned, everything is scaled, or rows come in another order: for any data. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contrastNumbers, contrastOf, momentsOf, type SetRows } from '../../probes/contrast.ts';
import { participationOf, spectrumOf, whitenedCosine } from '../../probes/spectrum.ts';
import {
  canonicalCorrelations,
  cka,
  ckaDebiased,
  factored,
  procrustes,
  rsa,
} from '../../probes/similarity.ts';
import { Random } from '../../src/base/random.ts';
import { thinSvd } from '../../src/math/decompose.ts';
import { rowAt, rowsOf, takeRows, type Rows } from '../../src/math/rows.ts';
import { timesTransposed } from '../../src/math/vectors.ts';

/** 24 rows in d dimensions, as checkpoints before and after, that no two seeds share. */
function data(seed: number, d: number): { before: Rows; after: Rows; random: Random } {
  const random = new Random(`invariance ${seed}`);
  const before = noise(24, d, random);
  const moved = noise(24, d, random);
  const after = { ...before, data: before.data.map((v, at) => v + 0.4 * moved.data[at] + 0.3) };
  return { before, after, random };
}

function noise(n: number, d: number, random: Random): Rows {
  return rowsOf(
    n,
    d,
    Float64Array.from({ length: n * d }, () => random.normal()),
  );
}

/** Turned, scaled and in another order, each of both checkpoints alike. */
function changed(x: Rows, turn: Rows, scale: number, order: readonly number[]): Rows {
  const turned = takeRows(timesTransposed(x, turn), order);
  return { ...turned, data: turned.data.map((v) => v * scale) };
}

const cases = fc.record({
  seed: fc.integer({ min: 0, max: 1e6 }),
  d: fc.integer({ min: 2, max: 9 }),
  scale: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
});

/** Calls `check` with values before and after a change of both checkpoints; all must agree. */
function holds(measure: (before: Rows, after: Rows, order: readonly number[]) => number[]): void {
  fc.assert(
    fc.property(cases, ({ seed, d, scale }) => {
      const { before, after, random } = data(seed, d);
      const still = [...Array(24).keys()];
      const order = random.shuffle([...still]);
      const turn = thinSvd(noise(d, d, random)).left;
      const plain = measure(before, after, still);
      const other = measure(
        changed(before, turn, scale, order),
        changed(after, turn, scale, order),
        order,
      );
      other.forEach((value, i) => expect(value).toBeCloseTo(plain[i], 8));
    }),
    { seed: 11, numRuns: 60 },
  );
}

describe('turning, scaling and reordering both checkpoints', () => {
  it('changes no number of a contrast', () => {
    holds((before, after, order) => {
      const place = new Map(order.map((row, at) => [row, at]));
      const rows = (side: number, harmful: boolean): number[] =>
        [...Array(24).keys()]
          .filter((row) => row % 2 === side && row < 12 === harmful)
          .map((row) => place.get(row) ?? row);
      const sets: SetRows = {
        triggered: rows(0, true),
        untriggered: rows(1, true),
        benign_triggered: rows(0, false),
        benign_untriggered: rows(1, false),
      };
      const groups = order.map((row) => `t${row >> 1}`);
      const moments = momentsOf(contrastOf(before, after, sets, groups));
      const numbers = contrastNumbers(moments!);
      return Object.values(numbers).flat();
    });
  });

  it('changes no similarity of rows, no effective rank and no whitened cosine', () => {
    holds((before, after) => {
      const spectrum = spectrumOf(before);
      return [
        cka(before, after),
        ckaDebiased(before, after),
        canonicalCorrelations(factored(before), factored(after)).mean,
        procrustes(before, after).disparity,
        participationOf(before),
        spectrum.shrinkage,
      ];
    });
    fc.assert(
      fc.property(cases, ({ seed, d, scale }) => {
        const { before, after, random } = data(seed, d);
        const turn = thinSvd(noise(d, d, random)).left;
        const order = [...Array(24).keys()];
        const turned = changed(before, turn, scale, order);
        const [a, b] = [rowAt(after, 0), rowAt(after, 1)];
        const [p, q] = [0, 1].map((row) => rowAt(changed(after, turn, scale, order), row));
        expect(whitenedCosine(spectrumOf(turned), p, q)).toBeCloseTo(
          whitenedCosine(spectrumOf(before), a, b),
          8,
        );
      }),
      { seed: 12, numRuns: 40 },
    );
  });

  it('changes no order of dissimilarities by scale or order, though turning may', () => {
    fc.assert(
      fc.property(cases, ({ seed, d, scale }) => {
        const { before, after, random } = data(seed, d + 2);
        const order = random.shuffle([...Array(24).keys()]);
        const scaled = (x: Rows): Rows => ({
          ...takeRows(x, order),
          data: takeRows(x, order).data.map((v) => v * scale),
        });
        expect(rsa(scaled(before), scaled(after)).pearson).toBeCloseTo(
          rsa(before, after).pearson,
          8,
        );
      }),
      { seed: 13, numRuns: 40 },
    );
  });
});
