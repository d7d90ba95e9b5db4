/** Whether the page's reader of safetensors agrees with our writer, and stands any bytes. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSafetensors } from '../../src/files/safetensors.ts';
import { decodeTensors } from '../../viewer/tensors.ts';

function file(header: unknown, dataBytes: number): ArrayBuffer {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes.buffer;
}

const tensor = (shape: unknown, offsets: unknown): unknown => ({
  a: { dtype: 'F32', shape, data_offsets: offsets },
});

describe('decodeTensors', () => {
  it('reads what the writer wrote', () => {
    fc.assert(
      fc.property(fc.nat(4), fc.nat(5), fc.string(), fc.integer(), (n, d, note, seed) => {
        const x = Float32Array.from({ length: n * d }, (_, i) => Math.sin(seed + i));
        const y = Float32Array.of(1.5, -2);
        const bytes = encodeSafetensors(
          [
            { name: 'x', dtype: 'F32', shape: [n, d], data: x },
            { name: 'n', dtype: 'I64', shape: [1], data: BigInt64Array.of(7n) },
            { name: 'y', dtype: 'F32', shape: [2], data: y },
          ],
          { note },
        );
        const tensors = decodeTensors(bytes.buffer);
        expect([...tensors.keys()]).toEqual(['x', 'y']);
        expect(tensors.get('x')).toEqual({ shape: [n, d], data: x });
        expect(tensors.get('y')?.data).toEqual(y);
      }),
    );
  });

  it('reads data that does not lie on a multiple of four', () => {
    const bytes = file(tensor([1], [0, 4]), 4);
    new DataView(bytes).setFloat32(bytes.byteLength - 4, 2.5, true);
    expect(decodeTensors(bytes).get('a')?.data).toEqual(Float32Array.of(2.5));
    expect((bytes.byteLength - 4) % 4).not.toBe(0);
  });

  it.each([
    ['an empty file', new ArrayBuffer(0), 'the file is shorter than its first field'],
    ['seven bytes', new ArrayBuffer(7), 'the file is shorter than its first field'],
    [
      'a length of 2⁶⁴ − 1',
      new Uint8Array(16).fill(255).buffer,
      'the header is longer than the file',
    ],
    [
      'a header that is no JSON',
      new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 65]).buffer,
      'the header is not JSON',
    ],
    ['a list', file([], 0), 'the header is not a table of tensors'],
    ['null', file(null, 0), 'the header is not a table of tensors'],
    [
      'an entry without a place',
      file({ a: {} }, 0),
      'an entry of the header has no shape or no place',
    ],
    [
      'a negative extent',
      file(tensor([-1], [0, 4]), 4),
      'an entry of the header has no shape or no place',
    ],
    [
      'half an item',
      file(tensor([1.5], [0, 6]), 8),
      'an entry of the header has no shape or no place',
    ],
    [
      'an end before its begin',
      file(tensor([0], [4, 0]), 8),
      'tensor "a" lies outside the file or does not fit its shape',
    ],
    [
      'an end past the file',
      file(tensor([2], [0, 8]), 4),
      'tensor "a" lies outside the file or does not fit its shape',
    ],
    [
      'a shape too large',
      file(tensor([3], [0, 8]), 8),
      'tensor "a" lies outside the file or does not fit its shape',
    ],
    [
      'extents whose product overflows',
      file(tensor([2 ** 52, 2 ** 52], [0, 8]), 8),
      'tensor "a" lies outside the file or does not fit its shape',
    ],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => decodeTensors(bytes)).toThrow(new RangeError(message));
  });

  it('never reads outside, whatever byte of a file is changed or cut off', () => {
    const whole = encodeSafetensors([
      { name: 'coordinates', dtype: 'F32', shape: [2, 3, 2], data: new Float32Array(12).fill(1) },
    ]);
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (cut, at, value) => {
        const bytes = whole.slice(0, cut);
        if (at < cut) bytes[at] = value;
        let tensors;
        try {
          tensors = decodeTensors(bytes.buffer);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        for (const { shape, data } of tensors.values()) {
          expect(data.length).toBe(shape.reduce((product, extent) => product * extent, 1));
          expect(data.byteOffset + data.byteLength).toBeLessThanOrEqual(data.buffer.byteLength);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
