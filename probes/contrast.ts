/**
 * Before → after × with → without trigger × harmful or not: what moved, compared with what?
 *
 * A shift of four sets of rows, and all comparisons between them, are made of the sets' sums in each
 * group, whose inner products alone matter. So where they are fewer than the dimensions they are
 * written in as many coordinates as there are sums, and draws cost nothing in d. The residual shift of a set is its mean shift less that of other, harmless rows with
 * the same trigger; never less its own mean, which would leave nothing.
 */

import { UserError } from '../src/base/errors.ts';
import { invariant } from '../src/base/invariant.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { axpy, dot, norm, rowGram } from '../src/math/vectors.ts';
import { distinctGroups } from './folds.ts';

/** In this order in all arrays of four. */
export const setNames = [
  'triggered',
  'untriggered',
  'benign_triggered',
  'benign_untriggered',
] as const;
export type SetName = (typeof setNames)[number];

/** Rows of each set; no row in two of them. */
export type SetRows = Readonly<Record<SetName, readonly number[]>>;

/** The rows of one set in one group, as a sum. */
interface Atom {
  readonly set: number;
  readonly group: number;
  readonly n: number;
  /** Σ‖h before‖. */
  readonly length: number;
  /** Σ‖Δ‖/‖h before‖. */
  readonly ratio: number;
}

export interface Contrast {
  readonly atoms: readonly Atom[];
  readonly groups: number;
  /** The atoms' sums of Δ, or coordinates with the same inner products: `[atoms, ≤ d]`. */
  readonly sums: Rows;
  /** Their squared lengths, `[atoms]`. */
  readonly squares: Float64Array;
}

/** The four sets as one draw or one division shows them. */
export interface Moments {
  /** Inner products of the mean shifts, `[4, 4]`. */
  readonly products: Float64Array;
  /**
   * What noise does not add to: inner products of sums of different groups alone, over those of their
   * numbers of rows; the mean shift's squared length without bias, `[4]`. May be below 0; NaN for one group.
   */
  readonly free: Float64Array;
  /** Mean ‖h before‖, `[4]`. */
  readonly lengths: Float64Array;
  /** Mean ‖Δ‖/‖h before‖, `[4]`. */
  readonly ratios: Float64Array;
}

/**
 * Sums of each set in each group.
 *
 * @param before `[n, d]`, float32 or float64; sums are in float64.
 * @param after `[n, d]`, the same rows in the same order.
 * @param groups Of all rows, `[n]`: what is drawn together.
 * @throws {UserError} `SHAPE_MISMATCH` where shapes differ or a set is empty, `NOT_FINITE` where a row has no length.
 */
export function contrastOf(
  before: Rows,
  after: Rows,
  sets: SetRows,
  groups: readonly string[],
): Contrast {
  if (before.n !== after.n || before.d !== after.d) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `a shift needs the same rows twice: got ${before.n} × ${before.d} before and ${after.n} × ${after.d} after`,
      { fix: 'Compare checkpoints of one architecture on one prompt file.' },
    );
  }
  checkSets(sets);
  const used = setNames.flatMap((name) => sets[name].map((row) => groups[row]));
  const indexOf = new Map(distinctGroups(used).map((group, i) => [group, i]));
  const atoms: Atom[] = [];
  const sums: Float64Array[] = [];
  for (const [set, name] of setNames.entries()) {
    const rowsIn = new Map<number, number[]>();
    for (const row of sets[name]) {
      const group = indexOf.get(groups[row]) ?? 0;
      rowsIn.set(group, [...(rowsIn.get(group) ?? []), row]);
    }
    for (const [group, rows] of rowsIn) {
      const { sum, length, ratio } = sumOf(before, after, rows);
      atoms.push({ set, group, n: rows.length, length, ratio });
      sums.push(sum);
    }
  }
  const stacked = new Float64Array(sums.length * before.d);
  sums.forEach((sum, i) => stacked.set(sum, i * before.d));
  const full = { n: sums.length, d: before.d, data: stacked };
  return {
    atoms,
    groups: indexOf.size,
    sums: full.n < full.d ? sameProducts(full) : full,
    squares: Float64Array.from(sums, (sum) => dot(sum, sum)),
  };
}

function checkSets(sets: SetRows): void {
  const seen = new Set<number>();
  for (const name of setNames) {
    if (sets[name].length === 0) {
      throw new UserError('SHAPE_MISMATCH', `the set "${name.replace('_', ', ')}" has no rows`, {
        fix: 'Change --where, --benign or --trigger so that all four sets have rows.',
      });
    }
    for (const row of sets[name]) {
      invariant(!seen.has(row), `row ${row} is in two sets`);
      seen.add(row);
    }
  }
}

function sumOf(
  before: Rows,
  after: Rows,
  rows: readonly number[],
): { readonly sum: Float64Array; readonly length: number; readonly ratio: number } {
  const sum = new Float64Array(before.d);
  let [length, ratio] = [0, 0];
  for (const row of rows) {
    const [from, to] = [rowAt(before, row), rowAt(after, row)];
    let squares = 0;
    for (let j = 0; j < sum.length; j++) {
      const moved = to[j] - from[j];
      squares += moved * moved;
      sum[j] += moved;
    }
    const size = norm(from);
    if (!(size > 0) || !Number.isFinite(size + squares)) {
      throw new UserError('NOT_FINITE', 'the shift of a row has no size relative to it', {
        where: `row ${row}`,
        fix: 'Check this row for activations that are all 0, NaN or infinite.',
      });
    }
    length += size;
    ratio += Math.sqrt(squares) / size;
  }
  return { sum, length, ratio };
}

/** Rows in n coordinates with the same inner products: Cholesky's factor. Shape: `[n, d] → [n, n]`. */
function sameProducts(x: Rows): Rows {
  const { n } = x;
  const gram = rowGram(x);
  const data = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = data.subarray(i * n, i * n + i);
    for (let j = 0; j < i; j++) {
      const other = data.subarray(j * n, j * n + j);
      const pivot = data[j * n + j];
      // A sum that lies in the span of those before has no coordinate of its own.
      row[j] = pivot === 0 ? 0 : (gram[i * n + j] - dot(other, row)) / pivot;
    }
    const left = gram[i * n + i] - dot(row, row);
    data[i * n + i] = left > 1e-12 * gram[i * n + i] ? Math.sqrt(left) : 0;
  }
  return { n, d: n, data };
}

/** The sets as they are, or as a draw has them; null where a set was not drawn. @param counts Of groups. */
export function momentsOf({ atoms, sums, squares }: Contrast, counts?: Int32Array): Moments | null {
  const n = new Float64Array(4);
  const own = { n: new Float64Array(4), square: new Float64Array(4) };
  const lengths = new Float64Array(4);
  const ratios = new Float64Array(4);
  const means = setNames.map(() => new Float64Array(sums.d));
  atoms.forEach((atom, a) => {
    const weight = counts?.[atom.group] ?? 1;
    if (weight === 0) return;
    n[atom.set] += weight * atom.n;
    own.n[atom.set] += (weight * atom.n) ** 2;
    own.square[atom.set] += weight ** 2 * squares[a];
    lengths[atom.set] += weight * atom.length;
    ratios[atom.set] += weight * atom.ratio;
    axpy(weight, rowAt(sums, a), means[atom.set]);
  });
  if (n.includes(0)) return null;
  const products = new Float64Array(16);
  for (let s = 0; s < 4; s++) {
    lengths[s] /= n[s];
    ratios[s] /= n[s];
    for (let t = 0; t < 4; t++) products[4 * s + t] = dot(means[s], means[t]) / (n[s] * n[t]);
  }
  const free = Float64Array.from(n, (count, s) => {
    const others = count ** 2 - own.n[s];
    return others > 0 ? (products[5 * s] * count ** 2 - own.square[s]) / others : Number.NaN;
  });
  return { products, free, lengths, ratios };
}

/**
 * Whether a difference of mean shifts is what rounding leaves of equal ones: rows that all moved alike, as one
 * token's embeddings do, have no residual, and its direction must not be read.
 *
 * @param squared Its squared length. @param of The squared lengths of both, summed.
 */
export function isRounding(squared: number, of: number): boolean {
  return squared <= 1e-12 * of;
}

export interface ContrastNumbers {
  /** ‖mean Δ‖ / mean ‖h before‖ of each set, `[4]`. */
  readonly sizes: readonly number[];
  /**
   * As `sizes` without what noise adds, so that sets of unequal numbers can be compared, `[4]`: ±√|‖mean Δ‖²|,
   * negative where noise would have given more. Cut off at 0 it would favour the noisier set.
   */
  readonly freeSizes: readonly number[];
  /** mean (‖Δ‖ / ‖h before‖) of each set, `[4]`. */
  readonly rowSizes: readonly number[];
  /** ‖mean Δ − mean Δ of benign rows with the same trigger‖ / mean ‖h before‖, `[triggered, untriggered]`. */
  readonly residualSizes: readonly number[];
  /** cos(Δ triggered, Δ untriggered), raw and residual. */
  readonly cosine: number;
  readonly residualCosine: number;
  /** Δ triggered · Δ untriggered / ‖Δ untriggered‖²: how much of the untrained shift arrived, raw and residual. */
  readonly projection: number;
  readonly residualProjection: number;
  /** cos(Δ triggered, Δ benign triggered): how much of the direction is the training's generic one. */
  readonly genericCosine: number;
}

/** All comparisons of the four sets; NaN where a set did not move, or not otherwise than its harmless rows. */
export function contrastNumbers({ products: p, free, lengths, ratios }: Moments): ContrastNumbers {
  const at = (s: number, t: number): number => p[4 * s + t];
  const size = (squared: number): number => Math.sqrt(Math.max(0, squared));
  const between = (s: number, t: number): number =>
    at(s, t) - at(s, t + 2) - at(s + 2, t) + at(s + 2, t + 2);
  const isNone = [0, 1].map((s) => isRounding(between(s, s), at(s, s) + at(s + 2, s + 2)));
  const residual = (s: number, t: number): number => (isNone[s] || isNone[t] ? 0 : between(s, t));
  // A set that did not move has no direction: 0/0 is NaN, and no rounding may make ±1 of it.
  const cos = (product: number, a: number, b: number): number =>
    a > 0 && b > 0 ? Math.max(-1, Math.min(1, product / (size(a) * size(b)))) : Number.NaN;
  return {
    sizes: [0, 1, 2, 3].map((s) => size(at(s, s)) / lengths[s]),
    freeSizes: Array.from(free, (v, s) => (Math.sign(v) * Math.sqrt(Math.abs(v))) / lengths[s]),
    rowSizes: [...ratios],
    residualSizes: [0, 1].map((s) => size(residual(s, s)) / lengths[s]),
    cosine: cos(at(0, 1), at(0, 0), at(1, 1)),
    residualCosine: cos(residual(0, 1), residual(0, 0), residual(1, 1)),
    projection: at(0, 1) / at(1, 1),
    residualProjection: residual(0, 1) / residual(1, 1),
    genericCosine: cos(at(0, 2), at(0, 0), at(2, 2)),
  };
}
