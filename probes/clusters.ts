/**
 * Activation clustering: do the rows of one label fall into two heaps, one of them small?
 *
 * Two-means in the first ten principal components (the paper takes independent components; the split is
 * judged by the same silhouette). The paper's rules of thumb: a silhouette above .10–.15, or a cluster with less
 * than 35 % of the rows, is suspicious.
 *
 *     silhouette(i) = (bᵢ − aᵢ) / max(aᵢ, bᵢ),   a, b the mean distances to the own and to the other cluster
 *
 * The trap: two-means always finds two heaps. Any concept that splits the rows, such as the topic, gives a
 * silhouette as high as a trigger's; only clean rows of the same kind say what is usual.
 *
 * Its null is the silhouette of clean rows; no chance level is the same for all data.
 *
 * Held against scikit-learn's `silhouette_score` (tests/probes/erasure.test.ts).
 *
 * @see Chen et al. 2018, arXiv:1811.03728; Rousseeuw 1987, J. Comput. Appl. Math. 20.
 */

import { Random } from '../src/base/random.ts';
import { rowAt } from '../src/math/rows.ts';
import type { Rows } from '../src/math/rows.ts';
import { columnMeans, dot } from '../src/math/vectors.ts';
import { varyingAxes } from './curvature.ts';
import { less } from './ridge.ts';

export interface Clusters {
  /** 0 or 1 for each row, 1 the smaller cluster, `[n]`. */
  readonly member: Uint8Array;
  /** Share of the rows in the smaller cluster. */
  readonly smaller: number;
  /** Mean silhouette in the reduced coordinates, in [−1, 1]. */
  readonly silhouette: number;
  /** How much nearer each row is to the smaller cluster's centre: higher is stranger, `[n]`. */
  readonly scores: Float64Array;
}

export interface ClusterOptions {
  /** Principal components kept; 10 if left out. */
  readonly components?: number;
  /** Of the starts; 0 if left out. */
  readonly seed?: number;
}

const restarts = 10;

/** Two clusters of rows `[n, d]`, n ≥ 2, by the best of ten seeded starts. */
export function activationClusters(rows: Rows, options: ClusterOptions = {}): Clusters {
  const { components = 10, seed = 0 } = options;
  const x = reduced(rows, components);
  const random = new Random(seed).fork('clusters');
  let best: Split | undefined;
  for (let start = 0; start < restarts; start++) {
    const found = twoMeans(x, random);
    if (best === undefined || found.spread < best.spread) best = found;
  }
  const { member, centres } = best ?? twoMeans(x, random);
  const ones = member.reduce((sum, value) => sum + value, 0);
  const flip = ones * 2 > x.n;
  const [small, large] = flip ? [0, 1] : [1, 0];
  return {
    member: member.map((value) => (flip ? 1 - value : value)),
    smaller: Math.min(ones, x.n - ones) / x.n,
    silhouette: silhouette(x, member),
    scores: Float64Array.from(
      { length: x.n },
      (_, i) => squared(rowAt(x, i), centres[large]) - squared(rowAt(x, i), centres[small]),
    ),
  };
}

/**
 * Mean over rows of (b − a) / max(a, b): a the mean distance to the other rows of its cluster, b to those
 * of the other one; 0 for a row alone in its cluster. Two clusters, `member` 0 or 1. NaN where one is empty.
 */
export function silhouette(x: Rows, member: ArrayLike<number>): number {
  const sizes = [0, 0];
  for (let i = 0; i < x.n; i++) sizes[member[i]]++;
  if (sizes[0] === 0 || sizes[1] === 0) return Number.NaN;
  const sums = new Float64Array(2 * x.n);
  for (let i = 0; i < x.n; i++) {
    for (let j = 0; j < i; j++) {
      const distance = Math.sqrt(squared(rowAt(x, i), rowAt(x, j)));
      sums[2 * i + member[j]] += distance;
      sums[2 * j + member[i]] += distance;
    }
  }
  let total = 0;
  for (let i = 0; i < x.n; i++) {
    const own = member[i];
    if (sizes[own] === 1) continue;
    const a = sums[2 * i + own] / (sizes[own] - 1);
    const b = sums[2 * i + 1 - own] / sizes[1 - own];
    if (Math.max(a, b) > 0) total += (b - a) / Math.max(a, b);
  }
  return total / x.n;
}

function reduced(rows: Rows, components: number): Rows {
  const centred = less(rows, columnMeans(rows));
  const { directions } = varyingAxes(centred);
  const d = Math.min(components, directions.n);
  const data = new Float64Array(rows.n * d);
  for (let i = 0, at = 0; i < rows.n; i++) {
    for (let k = 0; k < d; k++, at++) data[at] = dot(rowAt(centred, i), rowAt(directions, k));
  }
  return { n: rows.n, d, data };
}

interface Split {
  readonly member: Uint8Array;
  readonly centres: readonly [Float64Array, Float64Array];
  /** Sum of squared distances to the own centre. */
  readonly spread: number;
}

/** Lloyd's algorithm from two rows, the second drawn by its squared distance (k-means++). */
function twoMeans(x: Rows, random: Random): Split {
  const first = rowAt(x, random.below(x.n));
  const distances = Float64Array.from({ length: x.n }, (_, i) => squared(rowAt(x, i), first));
  let left = random.uniform() * distances.reduce((sum, value) => sum + value, 0);
  const second = distances.findIndex((value) => (left -= value) < 0);
  let centres: [Float64Array, Float64Array] = [
    Float64Array.from(first),
    Float64Array.from(rowAt(x, Math.max(second, 0))),
  ];
  const member = new Uint8Array(x.n);
  let spread = Number.POSITIVE_INFINITY;
  for (;;) {
    let now = 0;
    for (let i = 0; i < x.n; i++) {
      const [a, b] = centres.map((centre) => squared(rowAt(x, i), centre));
      member[i] = b < a ? 1 : 0;
      now += Math.min(a, b);
    }
    if (!(now < spread)) return { member, centres, spread: now };
    spread = now;
    const index = [0, 1].map((value) => [...member.keys()].filter((i) => member[i] === value));
    if (index.some((rows) => rows.length === 0)) return { member, centres, spread };
    centres = [columnMeans(x, index[0]), columnMeans(x, index[1])];
  }
}

function squared(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += (a[j] - b[j]) ** 2;
  return sum;
}
