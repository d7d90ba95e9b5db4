import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16 } from '../../src/base/dtype.ts';

/** Every pattern of 16 bits. */
const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);

/** The IEEE 754 value of a small float, in float64: (-1)^s · 2^(e - bias) · 1.f, or its special cases. */
function closedForm(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >>> 15 === 0 ? 1 : -1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** Indices where the two differ, -0 and 0 told apart, NaN equal to NaN. */
function differences(got: ArrayLike<number>, want: (i: number) => number): number[] {
  return [...all].filter((i) => !Object.is(got[i], want(i)));
}

describe('bfloat16ToFloat32', () => {
  it('is exact for all 65 536 patterns', () => {
    expect(differences(bfloat16ToFloat32(all), (i) => closedForm(i, 8, 7))).toEqual([]);
  });
});

describe('float16ToFloat32', () => {
  it('is exact for all 65 536 patterns', () => {
    expect(differences(float16ToFloat32(all), (i) => closedForm(i, 5, 10))).toEqual([]);
  });
});

describe('float32ToBfloat16', () => {
  it('gives every bfloat16 back as it was, NaN as a NaN', () => {
    const back = float32ToBfloat16(bfloat16ToFloat32(all));
    const wrong = [...all].filter((i) =>
      Number.isNaN(closedForm(i, 8, 7)) ? !Number.isNaN(closedForm(back[i], 8, 7)) : back[i] !== i,
    );
    expect(wrong).toEqual([]);
  });

  it('rounds to the nearest, and between two equally near ones to the even', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 0x7f7e }),
        fc.nat({ max: 0xffff }),
        fc.boolean(),
        (lower, low, negative) => {
          const sign = negative ? 0x8000 : 0;
          const wide = new Uint32Array([((sign | lower) << 16) | low]);
          const [rounded] = float32ToBfloat16(new Float32Array(wide.buffer));
          const [value] = new Float32Array(wide.buffer);
          // Float64 holds these differences exactly: neighbours share their exponent or touch it.
          const below = Math.abs(value - closedForm(sign | lower, 8, 7));
          const above = Math.abs(closedForm(sign | (lower + 1), 8, 7) - value);
          const up = above < below || (above === below && lower % 2 === 1);
          expect(rounded).toBe(sign | (up ? lower + 1 : lower));
        },
      ),
      {
        seed: 20261121,
        numRuns: 2000,
        examples: [
          [2, 0x8000, false],
          [3, 0x8000, true],
          [0x7f7e, 0xffff, true],
        ],
      },
    );
  });

  it('makes the largest float32 infinite and keeps NaN, also one whose payload lies in the low bits', () => {
    const wide = new Uint32Array([0x7f7fffff, 0xff7fffff, 0x7f800001, 0xff800001, 0x7f7f7fff]);
    const bits = float32ToBfloat16(new Float32Array(wide.buffer));
    expect([...bits]).toEqual([0x7f80, 0xff80, 0x7fc0, 0xffc0, 0x7f7f]);
  });

  it('reads a view that does not begin at its buffer', () => {
    const values = new Float32Array([1, 2, -3]).subarray(1);
    expect([...bfloat16ToFloat32(float32ToBfloat16(values))]).toEqual([2, -3]);
  });
});
