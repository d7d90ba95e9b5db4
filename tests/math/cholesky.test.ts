import { describe, expect, it } from 'vitest';

import { Random } from '../../src/base/random.ts';
import { choleskySteps, solveUpper } from '../../src/math/cholesky.ts';
import { here } from '../../src/math/multiply.ts';
import { rowAt, rowsOf } from '../../src/math/rows.ts';
import { dot, rowGram, transposed } from '../../src/math/vectors.ts';
import { sines } from '../support/sines.ts';

describe('choleskySteps', () => {
  // Two blocks and a bit, and fewer rows than one block.
  it.each([150, 7])('is the triangular root of %i inner products', (n) => {
    const random = new Random(4);
    const normals = Float64Array.from({ length: n * (n + 50) }, () => random.normal());
    const gram = rowGram(rowsOf(n, n + 50, normals));
    const root = here(choleskySteps(gram, n));
    const again = rowGram({ n, d: n, data: root });
    // Entries of some hundred, from sums of 200 products.
    gram.forEach((value, at) => expect(again[at]).toBeCloseTo(value, 10));
    expect(root.findIndex((value, at) => at % n > Math.floor(at / n) && value !== 0)).toBe(-1);
  });

  it('has a root of rows that depend on each other, and of a row of zeros', () => {
    const x = sines(80, 5, 1);
    x.data.fill(0, 10, 15);
    const gram = rowGram(x);
    const root = here(choleskySteps(gram, 80, 1e-12));
    expect(root.every(Number.isFinite)).toBe(true);
    const again = rowGram({ n: 80, d: 80, data: root });
    // The ridge is 1e-12 of a diagonal of at most 5; its root's rounding grows by 1e6.
    gram.forEach((value, at) => expect(again[at]).toBeCloseTo(value, 9));
    expect([...rowAt({ n: 80, d: 80, data: root }, 2)].every((value) => value === 0)).toBe(true);
  });
});

describe('solveUpper', () => {
  it('undoes the transposed root', () => {
    const gram = rowGram(sines(6, 9, 2));
    const root = here(choleskySteps(gram, 6));
    const wanted = Float64Array.from({ length: 6 }, (_, i) => Math.cos(i));
    const turned = transposed({ n: 6, d: 6, data: root });
    const b = wanted.map((_, i) => dot(rowAt(turned, i), wanted));
    // Rounding grows by the condition of this root, some 1e4.
    solveUpper(root, b).forEach((value, i) => expect(value).toBeCloseTo(wanted[i], 9));
  });
});
