import { describe, expect, it } from 'vitest';

import { Random } from '../../src/base/random.ts';
import { here, rowGramSteps } from '../../src/math/multiply.ts';
import { rowProducts } from '../../src/math/products.ts';
import { rowsOf, type Rows } from '../../src/math/rows.ts';
import { rowGram, transposed } from '../../src/math/vectors.ts';

/** Small whole numbers: every sum is exact, in whatever order it runs. */
const whole = (n: number, d: number, name: string): Rows => {
  const random = new Random(5).fork(name, n, d);
  return rowsOf(
    n,
    d,
    Float32Array.from({ length: n * d }, () => random.below(19) - 9),
  );
};

const plainly = (a: Rows, b: Rows): number[] =>
  Array.from({ length: a.n * b.n }, (_, at) => {
    const [i, j] = [Math.floor(at / b.n), at % b.n];
    let sum = 0;
    for (let k = 0; k < a.d; k++) sum += a.data[i * a.d + k] * b.data[j * b.d + k];
    return sum;
  });

describe('rowProducts', () => {
  // Beyond and below what is taken together: 2 × 4 rows, 512 columns.
  it.each([
    [1, 1, 1],
    [2, 4, 512],
    [3, 5, 513],
    [7, 3, 1100],
    [8, 8, 7],
  ])('is the sum of products: %i and %i rows of %i columns', (n, m, d) => {
    const [a, b] = [whole(n, d, 'a'), whole(m, d, 'b')];
    expect([...rowProducts(a, b)]).toEqual(plainly(a, b));
  });

  it.each([1, 4, 6, 9])('of %i rows with themselves are mirrored by rowGram', (n) => {
    const x = whole(n, 600, 'x');
    expect([...rowGram(x)]).toEqual(plainly(x, x));
  });

  it('gives an entry the same bits whatever is computed beside it', () => {
    const random = new Random(1);
    const x = rowsOf(
      9,
      700,
      Float64Array.from({ length: 6300 }, () => random.normal()),
    );
    const alone = rowsOf(1, 700, x.data.slice(700, 1400));
    expect(rowProducts(alone, x).subarray(0, 9)).toEqual(rowProducts(x, x).subarray(9, 18));
  });
});

describe('rowGramSteps', () => {
  // Products are asked for in bands of 256 rows, and only on and above the diagonal.
  it.each([1, 256, 257, 600])('is whole and symmetric for %i rows', (n) => {
    const x = whole(n, 3, 'x');
    const gram = here(rowGramSteps(x));
    const wanted = plainly(x, x);
    expect(gram.findIndex((value, at) => value !== wanted[at])).toBe(-1);
  });
});

describe('transposed', () => {
  it('puts columns in the place of rows, beyond one tile', () => {
    const x = whole(35, 70, 'x');
    const t = transposed(x);
    for (let i = 0; i < 35; i++) {
      for (let j = 0; j < 70; j++) expect(t.data[j * 35 + i]).toBe(x.data[i * 70 + j]);
    }
  });
});
