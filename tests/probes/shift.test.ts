import { describe, expect, it } from 'vitest';

import { inPlaneShare, shiftCosine, shiftSize } from '../../probes/shift.ts';
import type { ShiftSize } from '../../probes/shift.ts';
import { Random } from '../../src/base/random.ts';
import { rowsOf } from '../../src/math/rows.ts';
import type { Rows } from '../../src/math/rows.ts';
import { readGolden, sines } from '../support/sines.ts';

interface Size {
  relative_size: number;
  mean_relative_size: number;
}
const {
  shift: golden,
}: {
  shift: {
    even: Size;
    third: Size;
    cosine: number;
    plane: number[][];
    in_plane_first4: number[];
    in_plane_pooled: number;
  };
} = readGolden('probes/probes.json');

const before = sines(24, 6, 1, (value) => value + 2);
const other = sines(24, 6, 2);
const after = rowsOf(
  24,
  6,
  Float64Array.from(before.data, (value, at) => {
    const common = [0.5, 0, -0.25, 0, 0, 0][at % 6];
    return value + 0.3 * other.data[at] + common;
  }),
);
const groups = Array.from({ length: 24 }, (_, i) => `pair-${Math.floor(i / 2)}`);
const even = Array.from({ length: 12 }, (_, i) => 2 * i);
const third = Array.from({ length: 8 }, (_, i) => 3 * i);
const sizeOf = (index: readonly number[], to: Rows = after): ShiftSize =>
  shiftSize(before, to, index, { groups, random: new Random(1) });

describe('shiftSize', () => {
  it.each([
    ['even', even],
    ['third', third],
  ] as const)('matches numpy: %s', (name, index) => {
    const size = sizeOf(index);
    expect(size.n).toBe(index.length);
    expect(size.relativeSize).toBeCloseTo(golden[name].relative_size, 12);
    expect(size.meanRelativeSize).toBeCloseTo(golden[name].mean_relative_size, 12);
    expect(size.low).toBeLessThan(size.relativeSize);
    expect(size.high).toBeGreaterThan(size.relativeSize);
  });

  it('matches values worked by hand, where rows move apart and together', () => {
    const from = rowsOf(2, 2, Float32Array.of(3, 4, 0, 5));
    const apart = rowsOf(2, 2, Float32Array.of(4, 4, -1, 5));
    const together = rowsOf(2, 2, Float32Array.of(4, 4, 1, 5));
    const measure = (to: Rows): ShiftSize =>
      shiftSize(from, to, [0, 1], { groups: ['a', 'b'], random: new Random(0) });
    expect(measure(apart)).toMatchObject({ relativeSize: 0, meanRelativeSize: 0.2 });
    expect(measure(together)).toMatchObject({ relativeSize: 0.2, meanRelativeSize: 0.2 });
    // Whichever groups are drawn, rows that move alike over equal lengths give the same size.
    expect(measure(together).low).toBeCloseTo(0.2, 14);
    expect(measure(together).high).toBeCloseTo(0.2, 14);
  });

  it('resamples whole groups: one group leaves nothing to draw', () => {
    const one = groups.map(() => 'all');
    const size = shiftSize(before, after, even, { groups: one, random: new Random(1) });
    expect(size.low).toBe(size.relativeSize);
    expect(size.high).toBe(size.relativeSize);
  });

  it('has an interval about as wide as the spread over fresh samples', () => {
    // Δ = (1 + noise, 0) with sd ½, h = (1, 0): the relative size is the mean of 50 such numbers,
    // whose standard error is ½/√50, so 95 % of it spans 3.92 of them.
    const random = new Random('interval');
    const n = 50;
    const from = rowsOf(
      n,
      2,
      Float64Array.from({ length: 2 * n }, (_, i) => (i % 2 === 0 ? 1 : 0)),
    );
    const to = rowsOf(
      n,
      2,
      from.data.map((value) => value * (2 + random.normal() / 2)),
    );
    const { low, high } = shiftSize(from, to, [...Array(n).keys()], {
      groups: Array.from({ length: n }, (_, i) => `${i}`),
      random,
    });
    const wanted = (3.92 * 0.5) / Math.sqrt(n);
    // The sample's own spread and a thousand draws leave the width uncertain by some 11 %.
    expect((high - low) / wanted).toBeGreaterThan(0.65);
    expect((high - low) / wanted).toBeLessThan(1.35);
  });

  it('refuses unequal shapes, an empty set, and a row without length', () => {
    const random = new Random(1);
    expect(() => shiftSize(before, sines(23, 6, 1), even, { groups, random })).toThrow(
      'a shift needs the same rows twice: got 24 × 6 before and 23 × 6 after',
    );
    expect(() => sizeOf([])).toThrow('a set without rows has no shift');
    const nothing = rowsOf(1, 1, Float32Array.of(0));
    expect(() => shiftSize(nothing, nothing, [0], { groups: ['a'], random })).toThrow(
      'the shift of a row has no size relative to it — row 0',
    );
  });
});

describe('shiftCosine', () => {
  it('matches numpy, and is 1 for a set with itself', () => {
    expect(shiftCosine(sizeOf(even), sizeOf(third))).toBeCloseTo(golden.cosine, 12);
    expect(shiftCosine(sizeOf(even), sizeOf(even))).toBeCloseTo(1, 14);
  });

  it('is undefined where a set did not move', () => {
    expect(shiftCosine(sizeOf(even), sizeOf(even, before))).toBeNaN();
  });
});

describe('inPlaneShare', () => {
  it('matches numpy', () => {
    const plane = rowsOf(2, 6, Float64Array.from(golden.plane.flat()));
    const share = inPlaneShare(before, after, plane);
    golden.in_plane_first4.forEach((value, i) => expect(share.rows[i]).toBeCloseTo(value, 12));
    expect(share.pooled).toBeCloseTo(golden.in_plane_pooled, 12);
  });

  it('is 1 in a plane that holds the shift, 0 across it, and undefined without a shift', () => {
    const from = rowsOf(3, 3, new Float32Array(9));
    const to = rowsOf(3, 3, Float32Array.of(1, 2, 0, 0, 0, 3, 0, 0, 0));
    const plane = rowsOf(2, 3, Float64Array.of(1, 0, 0, 0, 1, 0));
    const share = inPlaneShare(from, to, plane);
    expect([...share.rows]).toEqual([1, 0, Number.NaN]);
    expect(share.pooled).toBeCloseTo(5 / 14, 14);
  });
});
