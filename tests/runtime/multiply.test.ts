import { describe, expect, it } from 'vitest';

import { Random } from '../../src/base/random.ts';
import { multiplyHere, through, times } from '../../src/math/multiply.ts';
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
