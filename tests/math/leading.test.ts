import { describe, expect, it } from 'vitest';

import { Random } from '../../src/base/random.ts';
import { symmetricEigen } from '../../src/math/decompose.ts';
import { leadingEigen } from '../../src/math/leading.ts';
import { here } from '../../src/math/multiply.ts';
import { rowsOf } from '../../src/math/rows.ts';
import { columnGram, dot } from '../../src/math/vectors.ts';

const gramOf = (n: number, d: number): Float64Array => {
  const random = new Random(4);
  return columnGram(
    rowsOf(
      n,
      d,
      Float64Array.from({ length: n * d }, (_, at) => random.normal() / (1 + (at % d))),
    ),
  );
};

describe('leadingEigen', () => {
  it.each([
    ['full rank', 200],
    ['a rank below what is asked and spared', 9],
  ])('finds what the whole decomposition finds: %s', (_, n) => {
    const square = gramOf(n, 90);
    const found = here(leadingEigen(square, 90, 5));
    const wanted = symmetricEigen(square, 90);
    expect(found).not.toBeNull();
    found?.values.forEach((value, k) =>
      expect(Math.abs(value / wanted.values[k] - 1)).toBeLessThan(1e-12),
    );
    for (let k = 0; k < 5; k++) {
      const [a, b] = [found?.vectors ?? [], wanted.vectors].map((v) =>
        v.slice(k * 90, (k + 1) * 90),
      );
      expect(Math.abs(dot(a, b))).toBeCloseTo(1, 11);
    }
  });

  it('finds each of several equal eigenvalues', () => {
    const square = new Float64Array(80 * 80);
    for (let i = 0; i < 80; i++) square[i * 81] = i < 4 ? 7 : 1 / (1 + i);
    const found = here(leadingEigen(square, 80, 4));
    expect([...(found?.values ?? [])].map((value) => value.toFixed(12))).toEqual(
      Array.from({ length: 4 }, () => '7.000000000000'),
    );
    // The span of the first four unit vectors, all of it.
    for (let k = 0; k < 4; k++) {
      const row = found?.vectors.subarray(k * 80, k * 80 + 4) ?? new Float64Array(4);
      expect(dot(row, row)).toBeCloseTo(1, 12);
    }
  });

  it('says so where the wanted ones cannot be told from the next', () => {
    const square = new Float64Array(80 * 80);
    for (let i = 0; i < 80; i++) square[i * 81] = 1 - i * 1e-9;
    expect(here(leadingEigen(square, 80, 4))).toBeNull();
  });
});
