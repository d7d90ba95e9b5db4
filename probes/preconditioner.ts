/**
 * An approximate inverse Hessian of the logistic objective, one for all fits over the same rows.
 *
 * σ′ ≤ ¼ bounds the Hessian by I + (C/4)XᵀX whatever the labels and weights. Its inverse, with a middle C
 * and all rows, makes steps of the right shape for every fold and strength. The exact one of each would save few steps.
 *
 * @see Böhning and Lindsay 1988, Ann. Inst. Stat. Math. 40(4).
 */

import { invertDefinite } from '../src/math/invert.ts';
import { inSingle, rowGramSteps, times, type Steps } from '../src/math/multiply.ts';
import type { Rows } from '../src/math/rows.ts';
import type { LogisticProblem } from './logisticLane.ts';

/** A matrix and its transpose. */
export interface Sides {
  readonly x: Rows;
  readonly xt: Rows;
}

export interface Preconditioner {
  /** Gradients `[d]` to columns of steps, `[d, gradients]`. */
  readonly raise: (gradients: readonly Float64Array[]) => Steps<Rows>;
  /** What an unpenalised intercept's gradient is divided by: the bound along a column of ones. */
  readonly intercept: number;
}

/**
 * With fewer rows than columns, the inverse is a difference of nearly equal numbers where the bound is large. In
 * float32 that carries to bounds of about 10⁶.
 */
const largestBound = 1e6;

/** @param exact The rows in their common frame, `[n, d]`, in float64; `fast` in float32. */
export function* preconditionerOf(
  exact: Sides,
  fast: Sides,
  problems: readonly LogisticProblem[],
): Steps<Preconditioner> {
  const { n, d } = exact.x;
  const logs = problems.reduce((sum, { c }) => sum + Math.log(c), 0);
  const trained = problems.reduce((sum, { train }) => sum + train.length, 0);
  const c = (Math.exp(logs / problems.length) * trained) / problems.length / n / 4;
  if (d <= n) {
    const gram = yield* rowGramSteps(exact.xt);
    const inverse = yield* inverseOf(gram, c, 1);
    return { intercept: c * n, raise: (gradients) => times(inverse, columnsOf(gradients, d)) };
  }
  const gram = yield* rowGramSteps(exact.x);
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram[i * n + i];
  // (I + cXᵀX)⁻¹ = I − Xᵀ(I/c + XXᵀ)⁻¹X
  const ridge = Math.max(1 / c, trace / largestBound);
  const inner = yield* inverseOf(gram, 1, ridge);
  const raise = function* (gradients: readonly Float64Array[]): Steps<Rows> {
    const columns = columnsOf(gradients, d);
    const scores = yield* times(fast.x, columns);
    const solved = yield* times(inner, inSingle(scores));
    const taken = yield* times(fast.xt, inSingle(solved));
    const data = new Float64Array(columns.data.length);
    for (let at = 0; at < data.length; at++) data[at] = columns.data[at] - taken.data[at];
    return { n: d, d: gradients.length, data };
  };
  return { intercept: n / ridge, raise };
}

/** (c · gram + ridge · I)⁻¹ in float32. */
function* inverseOf(gram: Float64Array, c: number, ridge: number): Steps<Rows> {
  const n = Math.sqrt(gram.length);
  const bound = gram.map((value) => c * value);
  for (let i = 0; i < n; i++) bound[i * n + i] += ridge;
  return inSingle({ n, d: n, data: yield* invertDefinite(bound, n) });
}

function columnsOf(vectors: readonly Float64Array[], n: number): Rows {
  const k = vectors.length;
  const data = new Float32Array(n * k);
  vectors.forEach((vector, l) => {
    for (let j = 0, at = l; j < n; j++, at += k) data[at] = vector[j];
  });
  return { n, d: k, data };
}
