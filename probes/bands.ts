/** How far from 0 may a cosine lie between two directions that mean nothing? Bands around a matrix of cosines. */

import type { Random } from '../src/base/random.ts';
import { studentCdf } from '../src/math/distributions.ts';
import { quantile } from '../src/math/resample.ts';
import { cosine } from '../src/math/vectors.ts';
import { covarianceMatched, whitenedCosine, type Spectrum } from './spectrum.ts';

/**
 * 95 % of |cos| between two directions that are uniform on the sphere lie below; about 1.96/√d.
 *
 * Exact: t = cos · √(d−1) / √(1−cos²) has Student's law with d − 1 degrees of freedom.
 *
 * @param d At least 2.
 */
export function isotropicBand(d: number): number {
  let [low, high] = [0, 1];
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    const t = (middle * Math.sqrt(d - 1)) / Math.sqrt(1 - middle * middle);
    if (studentCdf(t, d - 1) < 0.975) low = middle;
    else high = middle;
  }
  return low;
}

/** The same of two directions that both vary where the data do, plain and after whitening. */
export function covarianceBands(
  spectrum: Spectrum,
  draws: number,
  random: Random,
): { readonly plain: number; readonly whitened: number } {
  const plain = new Float64Array(draws);
  const whitened = new Float64Array(draws);
  for (let i = 0; i < draws; i++) {
    const [a, b] = [covarianceMatched(spectrum, random), covarianceMatched(spectrum, random)];
    plain[i] = Math.abs(cosine(a, b));
    whitened[i] = Math.abs(whitenedCosine(spectrum, a, b));
  }
  return { plain: quantile(plain.sort(), 0.95), whitened: quantile(whitened.sort(), 0.95) };
}
