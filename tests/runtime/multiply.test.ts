import { describe, expect, it } from 'vitest';

import { gradientTolerance } from '../../probes/logistic.ts';
import { fitMany } from '../../probes/logisticMany.ts';
import { Random } from '../../src/base/random.ts';
import { here, multiplyHere, through, times, type Steps } from '../../src/math/multiply.ts';
import type { Rows } from '../../src/math/rows.ts';
import { withMultiply } from '../../src/runtime/multiply.ts';

const noise = (n: number, d: number, name: string): Rows => {
  const random = new Random(3).fork(name, n, d);
  return { n, d, data: Float64Array.from({ length: n * d }, () => random.normal()) };
};
const rounded = ({ n, d, data }: Rows): Rows => ({ n, d, data: Float32Array.from(data) });

describe('withMultiply', () => {
  it.each([
    ['float64', (x: Rows) => x, Float64Array, 1e-12],
    // Sums of 150 products of numbers near 1, each rounded to 2⁻²⁴.
    ['float32', rounded, Float32Array, 1e-4],
  ] as const)('multiplies in %s', async (_, cast, type, tolerance) => {
    const [a, b] = [cast(noise(90, 150, 'a')), cast(noise(150, 33, 'b'))];
    const wanted = multiplyHere({ a, b }).data;
    await withMultiply(async (multiply) => {
      const found = await through(times(a, b), multiply);
      expect([found.n, found.d]).toEqual([90, 33]);
      expect(found.data).toBeInstanceOf(type);
      found.data.forEach((value, at) =>
        expect(Math.abs(value - wanted[at])).toBeLessThan(tolerance),
      );
      expect(await multiply({ a, b })).toEqual(found);
    });
  });

  it.each([
    ['more rows than columns, in float32', 700, 200],
    ['fewer rows than columns, in float32', 200, 700],
    ['more rows than columns, in float64', 120, 60],
    ['fewer rows than columns, in float64', 60, 120],
  ])('serves logistic fits as the products of this language do: %s', async (_, n, d) => {
    const rows = rounded(noise(n, d, 'rows'));
    const random = new Random(9);
    const train = Int32Array.from({ length: n - 10 }, (__, i) => i);
    const problems = Array.from({ length: n < 150 ? 40 : 6 }, () => ({
      train,
      labels: random.shuffle(Array.from({ length: n }, (__, i) => i % 2)),
      c: 0.1,
      tolerance: gradientTolerance,
    }));
    const framing = { standardise: true, intercept: true };
    const fits = (): { found: Float64Array[]; steps: Steps<void> } => {
      const found: Float64Array[] = [];
      return {
        found,
        steps: fitMany(rows, problems, framing, (i, { coef }) => (found[i] = coef)),
      };
    };
    const [native, plain] = [fits(), fits()];
    await withMultiply((multiply) => through(native.steps, multiply));
    here(plain.steps);
    // Each within 1e-8 of the gradient, whose length in d columns is at most √d of that.
    for (const [i, coef] of plain.found.entries()) {
      coef.forEach((value, j) =>
        expect(Math.abs(native.found[i][j] - value)).toBeLessThan(2e-8 * Math.sqrt(d)),
      );
    }
  });

  it('takes no detour for small factors', async () => {
    const [a, b] = [noise(3, 5, 'a'), noise(5, 2, 'b')];
    await withMultiply(async (multiply) =>
      expect(await multiply({ a, b })).toEqual(multiplyHere({ a, b })),
    );
  });

  it('refuses factors of two precisions', async () => {
    const attempt = withMultiply((multiply) =>
      multiply({ a: noise(90, 150, 'a'), b: rounded(noise(150, 33, 'b')) }),
    );
    await expect(attempt).rejects.toThrow('factors of two precisions');
  });
});
