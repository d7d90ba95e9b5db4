/**
 * Large products are asked for, not carried out: who computes yields the two factors and goes on with
 * what comes back. So estimators stay plain functions of their matrices, and what multiplies is chosen
 * by whoever runs them: `here` in this language, `through` by a function that is handed in.
 *
 * float32 factors allow a product in float32. Whoever asks for that must finish in float64.
 */

import { invariant } from '../base/invariant.ts';
import { rowProducts } from './products.ts';
import { rowAt, type Rows } from './rows.ts';
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

/** Inner products of all rows, XXᵀ, asked for in bands. Shape: `[n, d] → [n, n]`. */
export function* rowGramSteps(x: Rows): Steps<Float64Array> {
  const { n } = x;
  const out = new Float64Array(n * n);
  for (let start = 0; start < n; start += band) {
    const end = Math.min(n, start + band);
    const rest = transposed({ n: n - start, d: x.d, data: x.data.subarray(start * x.d) });
    const some = { n: end - start, d: x.d, data: x.data.subarray(start * x.d, end * x.d) };
    const product = yield* times(inDouble(some), rest);
    for (let i = start; i < end; i++) {
      const row = rowAt(product, i - start);
      for (let j = i; j < n; j++) {
        out[i * n + j] = row[j - start];
        out[j * n + i] = row[j - start];
      }
    }
  }
  return out;
}

/** The same numbers in float64. */
export function inDouble({ n, d, data }: Rows): Rows {
  return data instanceof Float64Array ? { n, d, data } : { n, d, data: Float64Array.from(data) };
}

/** The same numbers, rounded to float32. */
export function inSingle({ n, d, data }: Rows): Rows {
  return data instanceof Float32Array ? { n, d, data } : { n, d, data: Float32Array.from(data) };
}
