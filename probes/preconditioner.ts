/**
 * An approximate inverse Hessian of the logistic objective, one for all fits over the same rows.
 *
 * σ′ ≤ ¼ bounds the Hessian by I + (C/4)XᵀX whatever the labels and weights. Its inverse, with a middle C
 * and all rows, makes steps of the right shape for every fold and strength. The exact one of each would save few steps.
 *
 * @see Böhning and Lindsay 1988, Ann. Inst. Stat. Math. 40(4).
 */

import { invertDefinite } from '../src/math/invert.ts';
import {
  columnGramSteps,
  inDouble,
  inSingle,
  rowGramSteps,
  times,
  type Steps,
} from '../src/math/multiply.ts';
import type { Rows } from '../src/math/rows.ts';
import { transposed } from '../src/math/vectors.ts';
import type { LogisticProblem } from './logisticLane.ts';

/** A matrix and its transpose. */
export interface Sides {
  readonly x: Rows;
  readonly xt: Rows;
}

export interface Preconditioner {
  /** Gradients to steps, a row each. Shape: `[k, d] → [k, d]`. */
  readonly raise: (gradients: Rows) => Steps<Rows>;
  /** What an unpenalised intercept's gradient is divided by: the bound along a column of ones. */
  readonly intercept: number;
}

/**
 * With fewer rows than columns, the inverse is a difference of nearly equal numbers where the bound is large. In
 * float32 that carries to bounds of about 10⁶.
 */
const largestBound = 1e6;

/** @param exact The rows in their common frame, `[n, d]`, in float64. @param fast The same in the precision of a step. */
export function* preconditionerOf(
  exact: Sides,
  fast: Sides,
  problems: readonly LogisticProblem[],
): Steps<Preconditioner> {
  const { n, d } = exact.x;
  // All factors of a product are of one precision.
  const isSingle = fast.x.data instanceof Float32Array;
  const [cast, Kind] = isSingle ? [inSingle, Float32Array] : [inDouble, Float64Array];
  const logs = problems.reduce((sum, { c }) => sum + Math.log(c), 0);
  const trained = problems.reduce((sum, { train }) => sum + train.length, 0);
  const c = (Math.exp(logs / problems.length) * trained) / problems.length / n / 4;
  if (d <= n) {
    const gram = yield* columnGramSteps(exact.x);
    const inverse = cast(yield* inverseOf(gram, c, 1));
    return {
      intercept: c * n,
      raise: function* (gradients) {
        return transposed(yield* times(inverse, transposed(gradients, Kind)));
      },
    };
  }
  const gram = yield* rowGramSteps(exact.x);
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram[i * n + i];
  // (I + cXᵀX)⁻¹ = I − Xᵀ(I/c + XXᵀ)⁻¹X
  const ridge = Math.max(1 / c, trace / largestBound);
  const inner = cast(yield* inverseOf(gram, 1, ridge));
  const raise = function* (gradients: Rows): Steps<Rows> {
    const scores = yield* times(fast.x, transposed(gradients, Kind));
    const solved = yield* times(inner, cast(scores));
    const taken = transposed(yield* times(fast.xt, cast(solved)));
    for (let at = 0; at < taken.data.length; at++) {
      taken.data[at] = gradients.data[at] - taken.data[at];
    }
    return taken;
  };
  return { intercept: n / ridge, raise };
}

/** (c · gram + ridge · I)⁻¹ */
function* inverseOf(gram: Float64Array, c: number, ridge: number): Steps<Rows> {
  const n = Math.sqrt(gram.length);
  const bound = gram.map((value) => c * value);
  for (let i = 0; i < n; i++) bound[i * n + i] += ridge;
  return { n, d: n, data: yield* invertDefinite(bound, n) };
}
