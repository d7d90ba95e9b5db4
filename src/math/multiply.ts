/**
 * Large products are asked for, not carried out: who computes yields the two factors and goes on with
 * what comes back. So estimators stay plain functions of their matrices, and what multiplies is chosen
 * by whoever runs them: `here` in this language, `through` by a function that is handed in.
 *
 * float32 factors allow a product in float32. Whoever asks for that must finish in float64.
 */

import { invariant } from '../base/invariant.ts';
import { rowProducts } from './products.ts';
import type { Rows } from './rows.ts';
import { transposed } from './vectors.ts';

/** A · B. Shape: `[n, d], [d, k] → [n, k]`, both of one precision. */
export interface Product {
  readonly a: Rows;
  readonly b: Rows;
}

/** A computation that waits for its products. */
export type Steps<T> = Generator<Product, T, Rows>;

/** Carries out a product; may answer float32 factors in float32. */
export type Multiply = (product: Product) => Promise<Rows>;

/** Asks for A · B. */
export function* times(a: Rows, b: Rows): Steps<Rows> {
  invariant(a.d === b.n, `a product of ${a.n} × ${a.d} and ${b.n} × ${b.d}`);
  return yield { a, b };
}

/** Runs a computation to its end, products in float64 by `rowProducts`. */
export function here<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (step.done !== true) step = steps.next(multiplyHere(step.value));
  return step.value;
}

/** Runs a computation to its end, products by `multiply` where there is one. */
export async function through<T>(steps: Steps<T>, multiply?: Multiply): Promise<T> {
  if (multiply === undefined) return here(steps);
  let step = steps.next();
  while (step.done !== true) step = steps.next(await multiply(step.value));
  return step.value;
}

/** A · B in float64. */
export function multiplyHere({ a, b }: Product): Rows {
  return { n: a.n, d: b.d, data: rowProducts(a, transposed(b)) };
}

/** Rows that go together into one product of a Gram matrix, which is symmetric: a quarter is then saved. */
const band = 256;

/** Inner products of all rows, XXᵀ, in float64. Shape: `[n, d] → [n, n]`. */
export function* rowGramSteps(x: Rows): Steps<Float64Array> {
  return yield* gramSteps(inDouble(x), transposed(x));
}

/** Inner products of all columns, XᵀX, in float64. Shape: `[n, d] → [d, d]`. */
export function* columnGramSteps(x: Rows): Steps<Float64Array> {
  return yield* gramSteps(transposed(x), inDouble(x));
}

/** AAᵀ of a matrix and its transpose, asked for in bands. Shape: `[n, d], [d, n] → [n, n]`. */
function* gramSteps(a: Rows, at: Rows): Steps<Float64Array> {
  const { n, d } = a;
  const out = new Float64Array(n * n);
  for (let start = 0; start < n; start += band) {
    const end = Math.min(n, start + band);
    const some = { n: end - start, d, data: a.data.subarray(start * d, end * d) };
    const { data } = yield* times(some, columnsFrom(at, start));
    const width = n - start;
    for (let i = start; i < end; i++) {
      out.set(data.subarray((i - start) * width, (i - start + 1) * width), i * n + start);
    }
  }
  const tile = 32;
  for (let top = 0; top < n; top += tile) {
    for (let left = 0; left <= top; left += tile) {
      for (let i = top; i < Math.min(n, top + tile); i++) {
        for (let j = left; j < Math.min(i, left + tile); j++) out[i * n + j] = out[j * n + i];
      }
    }
  }
  return out;
}

/** Without the first columns. */
function columnsFrom(x: Rows, start: number): Rows {
  if (start === 0) return x;
  const width = x.d - start;
  const data = new Float64Array(x.n * width);
  for (let i = 0; i < x.n; i++) {
    data.set(x.data.subarray(i * x.d + start, (i + 1) * x.d), i * width);
  }
  return { n: x.n, d: width, data };
}

/** The same numbers in float64. */
export function inDouble({ n, d, data }: Rows): Rows {
  return data instanceof Float64Array ? { n, d, data } : { n, d, data: Float64Array.from(data) };
}

/** The same numbers, rounded to float32. */
export function inSingle({ n, d, data }: Rows): Rows {
  return data instanceof Float32Array ? { n, d, data } : { n, d, data: Float32Array.from(data) };
}
