/**
 * The distributions that intervals and tests here are read off: beta, normal, Student’s t.
 *
 * Quantiles are found by bisection on the distribution function, which is slow and cannot fail.
 */

import { invariant } from '../base/invariant.ts';

/** Lanczos coefficients for g = 7, n = 9. */
const lanczos = [
  0.999_999_999_999_809_93, 676.5203681218851, -1259.1392167224028, 771.323_428_777_653_13,
  -176.615_029_162_140_59, 12.507343278686905, -0.13857109526572012, 9.984_369_578_019_571_6e-6,
  1.5056327351493116e-7,
] as const;

/** log Γ(x) for x > 0, to about 15 digits. @see Lanczos 1964, SIAM J. Numer. Anal. 1. */
export function logGamma(x: number): number {
  invariant(x > 0, `log Γ(${x})`);
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const t = x - 1 + 7.5;
  let sum: number = lanczos[0];
  for (let k = 1; k < lanczos.length; k++) sum += lanczos[k] / (x - 1 + k);
  return Math.log(2 * Math.PI) / 2 + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

/**
 * I_x(a, b), the distribution function of a beta variable, by its continued fraction.
 *
 * @see Press et al. 2007, Numerical Recipes, §6.4 (Lentz's method).
 */
export function betaCdf(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast on this side of the mean; the other follows by symmetry.
  if (x > (a + 1) / (a + b + 2)) return 1 - betaCdf(1 - x, b, a);
  const front = Math.exp(
    a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b),
  );
  return (front * continued(x, a, b)) / a;
}

function continued(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const safe = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / safe(1 - ((a + b) * x) / (a + 1));
  let out = d;
  for (let m = 1; m <= 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / safe(1 + even * d);
    c = safe(1 + even / c);
    out *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / safe(1 + odd * d);
    c = safe(1 + odd / c);
    out *= d * c;
    if (Math.abs(d * c - 1) < 1e-16) return out;
  }
  return out;
}

/** The x with I_x(a, b) = p. */
export function betaQuantile(p: number, a: number, b: number): number {
  let [low, high] = [0, 1];
  for (let step = 0; step < 200 && high > low; step++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (betaCdf(middle, a, b) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Φ(x), by the incomplete gamma function's series and fraction for χ² of one degree: two-sided tails first. */
export function normalCdf(x: number): number {
  const tail = twoSidedNormal(Math.abs(x)) / 2;
  return x > 0 ? 1 - tail : tail;
}

/** P(|Z| ≥ z) for a standard normal Z and z ≥ 0. */
export function twoSidedNormal(z: number): number {
  const t = (z * z) / 2;
  if (t === 0) return 1;
  const front = Math.exp(-t + Math.log(t) / 2 - logGamma(0.5));
  if (t < 1.5) {
    let term = 2;
    let sum = term;
    for (let k = 1; k < 500 && term > sum * 1e-17; k++) {
      term *= t / (0.5 + k);
      sum += term;
    }
    return 1 - front * sum;
  }
  let b = t + 0.5;
  let c = 1e300;
  let d = 1 / b;
  let h = d;
  for (let k = 1; k < 500; k++) {
    const a = -k * (k - 0.5);
    b += 2;
    d = 1 / (a * d + b);
    c = b + a / c;
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-16) break;
  }
  return front * h;
}

/** Φ⁻¹(p), 0 < p < 1. */
export function normalQuantile(p: number): number {
  invariant(p > 0 && p < 1, `the normal quantile of ${p}`);
  return p > 0.5 ? -normalQuantile(1 - p) : bisect((z) => normalCdf(z) < p, -40, 0);
}

/** P(T ≤ t) of Student's t with `df` degrees of freedom. */
export function studentCdf(t: number, df: number): number {
  const tail = betaCdf(df / (df + t * t), df / 2, 0.5) / 2;
  return t > 0 ? 1 - tail : tail;
}

/** The t with P(T ≤ t) = p. */
export function studentQuantile(p: number, df: number): number {
  if (p < 0.5) return -studentQuantile(1 - p, df);
  let high = 1;
  while (studentCdf(high, df) < p) high *= 2;
  return bisect((t) => studentCdf(t, df) < p, 0, high);
}

/** log of the number of ways to choose k of n. */
export function logChoose(n: number, k: number): number {
  return logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
}

/** The point between `low` and `high` where `isBelow` turns false, to the last bit. */
function bisect(isBelow: (x: number) => boolean, low: number, high: number): number {
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (isBelow(middle)) low = middle;
    else high = middle;
  }
}
