import { describe, expect, it } from 'vitest';

import { Random } from '../../src/base/random.ts';
import { invertDefinite } from '../../src/math/invert.ts';
import { columnGramSteps, here, multiplyHere, rowGramSteps } from '../../src/math/multiply.ts';
import { rowsOf } from '../../src/math/rows.ts';
import { columnGram, rowGram } from '../../src/math/vectors.ts';

const noise = (n: number, d: number): Float64Array => {
  const random = new Random(2).fork(n, d);
  return Float64Array.from({ length: n * d }, () => random.normal());
};

describe('invertDefinite', () => {
  // Below, at and beyond one block of 64.
  it.each([1, 5, 64, 65, 150])('times the matrix is the identity: %i', (n) => {
    const a = rowGram(rowsOf(n, n + 20, noise(n, n + 20)));
    const inverse = here(invertDefinite(a, n));
    const product = multiplyHere({ a: { n, d: n, data: a }, b: { n, d: n, data: inverse } });
    product.data.forEach((value, at) => expect(value).toBeCloseTo(at % (n + 1) === 0 ? 1 : 0, 10));
  });

  it('refuses a matrix that is not positive definite', () => {
    expect(() => here(invertDefinite(Float64Array.of(1, 2, 2, 1), 2))).toThrow(
      'the matrix to invert is not positive definite',
    );
  });
});

describe('columnGramSteps', () => {
  it('is that of the rows of the transpose, across bands', () => {
    const x = rowsOf(40, 300, noise(40, 300));
    const wanted = columnGram(x);
    here(columnGramSteps(x)).forEach((value, at) => expect(value).toBeCloseTo(wanted[at], 12));
  });
});

describe('rowGramSteps', () => {
  // Within one band of 256 rows, and beyond it.
  it.each([3, 300])('is what rowGram gives: %i rows', (n) => {
    const x = rowsOf(n, 7, noise(n, 7));
    const wanted = rowGram(x);
    here(rowGramSteps(x)).forEach((value, at) => expect(value).toBeCloseTo(wanted[at], 12));
  });
});
