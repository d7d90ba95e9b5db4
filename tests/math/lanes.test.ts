import { describe, expect, it } from 'vitest';

import { evenRows, lanes, timesLanes } from '../../src/math/lanes.ts';
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

describe('evenRows', () => {
  it('adds a row of zeros to an odd number of rows, and nothing to an even one', () => {
    expect(evenRows(x)).toBe(x);
    const odd = evenRows(sines(3, 2, 2));
    expect(odd.n).toBe(4);
    expect([...odd.data]).toEqual([...sines(3, 2, 2).data, 0, 0]);
  });
});
