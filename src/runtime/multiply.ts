/**
 * Products of large matrices by onnxruntime, for estimators that ask for them (src/math/multiply.ts).
 *
 * One thread: the last bits then do not depend on how many cores a machine has. Small products are carried out
 * in this language, which costs less than the way there and back; onnxruntime is loaded at the first large one.
 */

import { invariant } from '../base/invariant.ts';
import { Builder } from '../graph/builder.ts';
import { multiplyHere, type Multiply } from '../math/multiply.ts';
import type { Session } from './session.ts';

/** Multiplications from which the way to onnxruntime pays. */
const large = 200_000;

/** Calls `use` with what multiplies; the sessions that it opens are closed afterwards. */
export async function withMultiply<T>(use: (multiply: Multiply) => Promise<T>): Promise<T> {
  const opened = new Map<Precision, Promise<Session>>();
  const sessionFor = (precision: Precision): Promise<Session> => {
    const session = opened.get(precision) ?? openProduct(precision);
    opened.set(precision, session);
    return session;
  };
  try {
    return await use(async (product) => {
      const { a, b } = product;
      if (a.n * a.d * b.d < large) return multiplyHere(product);
      const feeds = {
        a: { data: a.data, shape: [a.n, a.d] },
        b: { data: b.data, shape: [b.n, b.d] },
      };
      const isSingle = a.data instanceof Float32Array;
      invariant(isSingle === b.data instanceof Float32Array, 'factors of two precisions');
      const { product: found } = isSingle
        ? await (await sessionFor('float32')).run(feeds)
        : await (await sessionFor('float64')).runDouble(feeds);
      return { n: a.n, d: b.d, data: found.data };
    });
  } finally {
    for (const session of opened.values()) await (await session).close();
  }
}

type Precision = 'float32' | 'float64';

/** A · B with both as inputs, of whatever sizes. */
async function openProduct(precision: Precision): Promise<Session> {
  const g = new Builder('product');
  const a = g.input('a', precision, ['n', 'd']);
  const b = g.input('b', precision, ['d', 'k']);
  const product = g.named('product', g.node('MatMul', [a, b], ['n', 'k']));
  const { openSession } = await import('./session.ts');
  return await openSession(g.finish([product]), { threads: 1 });
}
