/** The principal axes of rows, from whichever inner products are fewer. */

import { symmetricEigen } from '../src/math/decompose.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, columnGram, norm, rowGram } from '../src/math/vectors.ts';

/** Variation below this share of the largest is rounding of the inner products (n·2⁻⁵³ ≈ 1e-13). */
const rankTolerance = 1e-12;

/** The principal axes of rows as they stand: centre them first where the origin is not theirs. */
export interface Axes {
  /** Orthonormal, the axis of largest variation first: `[r, d]`. */
  readonly directions: Rows;
  /** Eigenvalues of XᵀX along them, `[r]`; with no fewer rows than columns some may be 0 but for rounding. */
  readonly variation: Float64Array;
}

/** XᵀX = Σ variation·directionᵀdirection, from whichever inner products are fewer. Shape: `[n, d] → [r, d]`. */
export function axesOf(x: Rows): Axes {
  return x.d <= x.n ? fromColumns(x) : fromRows(x);
}

/** The axes along which rows vary by more than rounding. */
export function varyingAxes(x: Rows): Axes {
  const { directions, variation } = axesOf(x);
  const rank = variation.filter((value) => value > rankTolerance * variation[0]).length;
  const data = directions.data.subarray(0, rank * directions.d);
  return { directions: { n: rank, d: directions.d, data }, variation: variation.slice(0, rank) };
}

function fromColumns(x: Rows): Axes {
  const { values, vectors } = symmetricEigen(columnGram(x), x.d);
  return { directions: { n: x.d, d: x.d, data: vectors }, variation: values };
}

/** With fewer rows than columns the n × n inner products hold the same variation at less cost. */
function fromRows(x: Rows): Axes {
  const { values, vectors } = symmetricEigen(rowGram(x), x.n);
  const rank = values.filter((value) => value > rankTolerance * values[0]).length;
  const data = new Float64Array(rank * x.d);
  for (let k = 0; k < rank; k++) {
    const direction = data.subarray(k * x.d, (k + 1) * x.d);
    for (let i = 0; i < x.n; i++) axpy(vectors[k * x.n + i], rowAt(x, i), direction);
    const length = norm(direction);
    for (let j = 0; j < x.d; j++) direction[j] /= length;
  }
  return { directions: { n: rank, d: x.d, data }, variation: values.slice(0, rank) };
}
