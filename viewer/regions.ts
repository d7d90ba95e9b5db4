/**
 * How sure is the mean of shifts in a plane?
 *
 * Rows of one group vary together, so the covariance of the mean is that of its groups' sums (the
 * sandwich for clusters), and the region is Hotelling's: every mean that G groups do not rule out at
 * 95 %. F with 2 and ν degrees of freedom has its quantile in closed form, ν/2 ((1 − p)^(−2/ν) − 1).
 */

/** An ellipse about the mean: mean + u cos θ + v sin θ. */
export interface Region {
  readonly u: readonly [number, number];
  readonly v: readonly [number, number];
  readonly groups: number;
}

/** With fewer groups than this the region says nothing. */
const fewestGroups = 5;

/**
 * The 95 % region of a mean.
 *
 * @param shifts x and y of each row. `[n]`
 * @param groups What each row belongs to. `[n]`
 */
export function meanRegion(
  shifts: readonly (readonly [number, number])[],
  groups: readonly unknown[],
): Region | null {
  const n = shifts.length;
  const mean = [0, 1].map((axis) => shifts.reduce((sum, at) => sum + at[axis], 0) / n);
  const sums = new Map<unknown, [number, number]>();
  for (const [i, [x, y]] of shifts.entries()) {
    const sum = sums.get(groups[i]) ?? [0, 0];
    sums.set(groups[i], [sum[0] + x - mean[0], sum[1] + y - mean[1]]);
  }
  const count = sums.size;
  if (count < fewestGroups) return null;
  const entry = (a: 0 | 1, b: 0 | 1): number =>
    ([...sums.values()].reduce((sum, of) => sum + of[a] * of[b], 0) * count) /
    ((count - 1) * n * n);
  const [xx, xy, yy] = [entry(0, 0), entry(0, 1), entry(1, 1)];
  const reach = Math.sqrt((count - 1) * (0.05 ** (-2 / (count - 2)) - 1));
  // Cholesky's columns are conjugate half-diameters of the ellipse.
  const first = Math.sqrt(xx);
  const across = first === 0 ? 0 : xy / first;
  const second = Math.sqrt(Math.max(0, yy - across ** 2));
  return {
    u: [reach * first, reach * across],
    v: [0, reach * second],
    groups: count,
  };
}
