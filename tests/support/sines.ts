/** Rows and labels that Python makes by the same formula, so that golden files need not hold them. */

import { readFileSync } from 'node:fs';

import { rowsOf } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';

/** X[i][j] = sin(0.7ij + 1.3·seed·i + 0.11·j·seed + seed) · scale(j) + shift(j), i and j from 1. */
export function sines(
  n: number,
  d: number,
  seed: number,
  column: (value: number, j: number) => number = (value) => value,
): Rows {
  const data = new Float64Array(n * d);
  for (let i = 1, at = 0; i <= n; i++) {
    for (let j = 1; j <= d; j++, at++) {
      data[at] = column(Math.sin(0.7 * i * j + 1.3 * seed * i + 0.11 * j * seed + seed), j);
    }
  }
  return rowsOf(n, d, data);
}

/** Label i is 1 where 7i mod 5 < 2, i from 1. */
export function stripedLabels(n: number): number[] {
  return Array.from({ length: n }, (_, i) => (((i + 1) * 7) % 5 < 2 ? 1 : 0));
}

/** A parsed JSON file under tests/golden; its shape is what the caller annotates it with. */
export function readGolden(path: string) {
  return JSON.parse(readFileSync(new URL(`../golden/${path}`, import.meta.url), 'utf8'));
}
