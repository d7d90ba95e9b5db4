import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeNpy,
  readNpyFloats,
  readNpyHeader,
  readNpyIntegers,
  type NpyDtype,
} from '../../src/files/npy.ts';
import { scratchPath } from '../support/scratch.ts';

/** Puts bytes in a file of their own. */
function fileOf(bytes: Uint8Array): string {
  const path = scratchPath('array.npy');
  writeFileSync(path, bytes);
  return path;
}

/** A file with this header, of version 1 unless told, and so many bytes of zeros. */
function withHeader(header: string, data = 0, version = 1): string {
  const text = Buffer.from(header, version === 3 ? 'utf8' : 'latin1');
  const start = Buffer.alloc(version === 1 ? 10 : 12);
  start.write('\u0093NUMPY', 'latin1');
  start[6] = version;
  if (version === 1) start.writeUInt16LE(text.length, 8);
  else start.writeUInt32LE(text.length, 8);
  return fileOf(Buffer.concat([start, text, Buffer.alloc(data)]));
}

const sound = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";

describe('encodeNpy', () => {
  it('gives back what it was given, and data that begin at a multiple of 64', async () => {
    const values = fc.array(fc.float({ noNaN: false }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(values, fc.integer({ min: 1, max: 4 }), async (numbers, width) => {
        const n = Math.floor(numbers.length / width);
        const data = Float32Array.from(numbers.slice(0, n * width));
        const array = await readNpyHeader(fileOf(encodeNpy('<f4', [n, width], data)));
        expect(array).toMatchObject({ dtype: '<f4', shape: [n, width] });
        expect(array.offset % 64).toBe(0);
        expect(await readNpyFloats(array)).toEqual(data);
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  it('writes, byte for byte, what numpy.save writes', () => {
    // numpy 2.4: numpy.save(file, numpy.array([[1.5, -2.0]], dtype='<f4')); file.hex()
    const numpy =
      '934e554d5059010076007b276465736372273a20273c6634272c2027666f727472616e5f6f72646572273a2046' +
      '616c73652c20277368617065273a2028312c2032292c207d' +
      '20'.repeat(58) +
      '0a0000c03f000000c0';
    expect(Buffer.from(encodeNpy('<f4', [1, 2], Float32Array.of(1.5, -2))).toString('hex')).toBe(
      numpy,
    );
  });
});

describe('readNpyHeader', () => {
  it.each([
    ['version 1', sound, 1],
    ['version 2', sound, 2],
    ['version 3', sound, 3],
    ['keys in another order', "{'shape': (2,3), 'descr': '<f4', 'fortran_order': False}", 1],
    ['numbers of Python 2', "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }", 1],
    ['double quotes', '{"descr": "<f4", "fortran_order": False, "shape": (2, 3)}', 1],
  ])('reads %s', async (_name, header, version) => {
    expect(await readNpyHeader(withHeader(header, 24, version))).toMatchObject({
      dtype: '<f4',
      shape: [2, 3],
      length: 24,
    });
  });

  it.each([
    ['(4,)', [4], 16],
    ['()', [], 4],
    ['(0, 3)', [0, 3], 0],
  ])('reads the shape %s', async (shape, axes, bytes) => {
    const header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}}`;
    expect((await readNpyHeader(withHeader(header, bytes))).shape).toEqual(axes);
  });

  const header = (descr: string, order = 'False', shape = '(2, 3)'): string =>
    `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}}`;

  it.each([
    ['a file that is cut off', sound, 23, 'the array of <f4 [2, 3] needs 24 bytes but has 23'],
    ['bytes past the end', sound, 25, 'the array of <f4 [2, 3] needs 24 bytes but has 25'],
    [
      'a shape whose product wraps',
      header("'<f4'", 'False', '(4294967296, 4294967296)'),
      0,
      'the array of <f4 [4294967296, 4294967296] needs 73786976294838206464 bytes but has 0',
    ],
    [
      'Python objects',
      header("'|O'"),
      0,
      'the array holds Python objects, a pickle, which is never opened',
    ],
    ['big-endian numbers', header("'>f4'"), 24, 'the array is big-endian (">f4")'],
    [
      'Fortran order',
      header("'<f4'", 'True'),
      24,
      'the array is stored column by column (Fortran order)',
    ],
    ['complex numbers', header("'<c8'"), 48, 'the array has the type "<c8", which is not read'],
    ['records', header("[('a', '<f4')]"), 24, 'the array has records of several fields'],
    ['a number for a shape', header("'<f4'", 'False', '(6)'), 24, 'the header has the shape (6)'],
    ['a negative shape', header("'<f4'", 'False', '(-1, 3)'), 24, 'the header cannot be read'],
    [
      '65 axes',
      header("'<f4'", 'False', `(${'1,'.repeat(65)})`),
      4,
      'the header has the shape (1,',
    ],
    ['no shape', "{'descr': '<f4', 'fortran_order': False}", 24, 'the header has no "shape"'],
    [
      'a key twice',
      "{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
      12,
      'the header has two keys "descr"',
    ],
    [
      'a key that we do not know',
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': True}",
      12,
      'the header has an unknown key "x"',
    ],
    [
      'code where a literal was due',
      "{'descr': __import__('os'), 'fortran_order': False, 'shape': (3,)}",
      12,
      "the header cannot be read from \"'descr': __import__",
    ],
    ['no dictionary', '[]', 0, 'the header is not a dictionary'],
    ['a space that Python does not know', `${sound}\u00a0`, 24, 'characters that are not ASCII'],
  ])('refuses %s', async (_name, text, bytes, message) => {
    await expect(readNpyHeader(withHeader(text, bytes))).rejects.toThrow(message);
  });

  it.each([
    ['an empty file', [], 'the file is empty'],
    ['five bytes', [0x93, 0x4e, 0x55, 0x4d, 0x50], 'this is not an .npy file'],
    ['a zip archive', [0x50, 0x4b, 3, 4, 0, 0], 'this is a zip archive such as numpy.savez writes'],
    [
      'version 9',
      [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 9, 0, 1, 0],
      '.npy version 9.0 is not known',
    ],
    [
      'a header past the end',
      [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 0xff, 0],
      'the header claims 255 bytes in a file of 10',
    ],
    [
      'a header of four gigabytes',
      [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 0xff, 0xff, 0xff, 0xff],
      'the header claims 4294967295 bytes; 65536 are the most read',
    ],
  ])('refuses %s', async (_name, bytes, message) => {
    await expect(readNpyHeader(fileOf(Uint8Array.from(bytes)))).rejects.toThrow(message);
  });
});

describe('readNpyFloats', () => {
  it('widens float16 exactly, and keeps float64', async () => {
    // 1.5, -2, 2⁻²⁴ and the largest float16.
    const half = Uint16Array.of(0x3e00, 0xc000, 0x0001, 0x7bff);
    const read = async (dtype: NpyDtype, data: ArrayBufferView): Promise<ArrayLike<number>> =>
      await readNpyFloats(await readNpyHeader(fileOf(encodeNpy(dtype, [4], data))));
    expect(await read('<f2', half)).toEqual(Float32Array.of(1.5, -2, 2 ** -24, 65504));
    const double = Float64Array.of(0.1, 1e300, -0, 5e-324);
    expect(await read('<f8', double)).toEqual(double);
  });

  it('refuses integers', async () => {
    const array = await readNpyHeader(fileOf(encodeNpy('<i4', [1], Int32Array.of(1))));
    await expect(readNpyFloats(array)).rejects.toThrow('the array is <i4; floats were due');
  });
});

describe('readNpyIntegers', () => {
  it.each<[NpyDtype, ArrayBufferView, number[]]>([
    ['|i1', Int8Array.of(-128, 127), [-128, 127]],
    ['<i2', Int16Array.of(-32768, 1), [-32768, 1]],
    ['<i4', Int32Array.of(-1, 2 ** 31 - 1), [-1, 2 ** 31 - 1]],
    ['<i8', BigInt64Array.of(-5n, 2n ** 53n - 1n), [-5, 2 ** 53 - 1]],
    ['|u1', Uint8Array.of(0, 255), [0, 255]],
    ['<u2', Uint16Array.of(0, 65535), [0, 65535]],
    ['<u4', Uint32Array.of(0, 2 ** 32 - 1), [0, 2 ** 32 - 1]],
    ['<u8', BigUint64Array.of(0n, 7n), [0, 7]],
    ['|b1', Uint8Array.of(1, 0), [1, 0]],
  ])('reads %s', async (dtype, data, numbers) => {
    const array = await readNpyHeader(fileOf(encodeNpy(dtype, [2], data)));
    expect(await readNpyIntegers(array)).toEqual(numbers);
  });

  it('refuses floats, and numbers that it would round', async () => {
    const float = await readNpyHeader(fileOf(encodeNpy('<f8', [1], Float64Array.of(1))));
    await expect(readNpyIntegers(float)).rejects.toThrow('the array is <f8; integers were due');
    const big = await readNpyHeader(fileOf(encodeNpy('<u8', [1], BigUint64Array.of(2n ** 60n))));
    await expect(readNpyIntegers(big)).rejects.toThrow('is beyond what can be held exactly');
  });
});
