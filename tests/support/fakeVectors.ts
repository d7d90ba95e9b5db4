/** Sums over vectors, and hashes, for tests/support/fakeRun.ts. */

import { createHash } from 'node:crypto';

export function meanOf(vectors: readonly Float64Array[]): Float64Array {
  const mean = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) {
    for (let j = 0; j < mean.length; j++) mean[j] += vector[j] / vectors.length;
  }
  return mean;
}

export function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, j) => value - b[j]);
}

export function squared(a: Float64Array): number {
  return a.reduce((sum, value) => sum + value ** 2, 0);
}

export function cosine(a: Float64Array, b: Float64Array): number {
  const dot = a.reduce((sum, value, j) => sum + value * b[j], 0);
  return dot / Math.sqrt(squared(a) * squared(b));
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
