/** The logistic function and its integral, in the forms that neither overflow nor cancel. */

/** σ(x) = 1 / (1 + e^{−x}), in (0, 1). */
export function sigmoid(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/** log(1 + eˣ), finite for every finite x and exact to rounding at both ends. */
export function log1pExp(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}
