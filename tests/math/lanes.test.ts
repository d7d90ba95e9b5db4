import { describe, expect, it } from 'vitest';

import { lanes, timesLanes, transposedTimesLanes } from '../../src/math/lanes.ts';
import { rowAt } from '../../src/math/rows.ts';
import { dot } from '../../src/math/vectors.ts';
import { sines } from '../support/sines.ts';

const x = sines(6, 5, 2);
/** Column l of an interleaved set of vectors. */
const lane = (v: Float64Array, l: number): Float64Array => v.filter((_, at) => at % lanes === l);

describe('timesLanes', () => {
  it('is four products with the matrix', () => {
    const v = Float64Array.from({ length: 5 * lanes }, (_, i) => Math.cos(i));
    const out = new Float64Array(6 * lanes);
    timesLanes(x, v, out);
    for (let l = 0; l < lanes; l++) {
      lane(out, l).forEach((value, i) =>
        expect(value).toBeCloseTo(dot(rowAt(x, i), lane(v, l)), 14),
      );
    }
  });
});

describe('transposedTimesLanes', () => {
  it('is four products with its transpose, whatever the output held', () => {
    const r = Float64Array.from({ length: 6 * lanes }, (_, i) => Math.cos(i));
    const out = new Float64Array(5 * lanes).fill(7);
    transposedTimesLanes(x, r, out);
    for (let l = 0; l < lanes; l++) {
      lane(out, l).forEach((value, j) => {
        const column = x.data.filter((_, at) => at % 5 === j);
        expect(value).toBeCloseTo(dot(column, lane(r, l)), 14);
      });
    }
  });
});
