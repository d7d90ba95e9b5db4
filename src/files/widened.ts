/**
 * Weights that are stored in half precision, read as float32 into memory that is there already.
 *
 * A model larger than memory is widened block by block, each block into the place of the last: memory
 * that is given back and asked for again costs more than the widening. Read and widened in pieces that
 * stay in the cache, by copies that the engine does without a loop of ours.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { float16ToFloat32 } from '../base/dtype.ts';
import { UserError } from '../base/errors.ts';
import { explainFileError } from './atomic.ts';

/** Where half-precision numbers lie. */
export interface HalfRange {
  readonly file: string;
  readonly offset: number;
  readonly dtype: 'bfloat16' | 'float16';
}

/** Elements of a piece. */
const pieceLength = 2 ** 14;

const piece = new Uint16Array(pieceLength);
const pieceBytes = new Uint8Array(piece.buffer);
const spread = new Uint32Array(pieceLength);
const spreadBytes = new Uint8Array(spread.buffer);
let halves: Float32Array | undefined;

/** Fills `target` with the numbers that begin at the range's offset. */
export function readWidened({ file, offset, dtype }: HalfRange, target: Float32Array): void {
  const fd = openForReading(file);
  try {
    for (let at = 0; at < target.length; at += pieceLength) {
      const count = Math.min(pieceLength, target.length - at);
      readFully(fd, pieceBytes.subarray(0, 2 * count), offset + 2 * at, file);
      const some = target.subarray(at, at + count);
      if (dtype === 'bfloat16') widenBfloat16(count, some);
      else widenFloat16(count, some);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * A bfloat16 is the upper half of a float32. Spread over four bytes each, low half first, and then
 * moved on by two bytes, every number's bits stand in the upper half with zeros below.
 */
function widenBfloat16(count: number, target: Float32Array): void {
  spread.set(piece);
  const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
  bytes[0] = 0;
  bytes[1] = 0;
  bytes.set(spreadBytes.subarray(0, 4 * count - 2), 2);
}

function widenFloat16(count: number, target: Float32Array): void {
  halves ??= float16ToFloat32(Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits));
  for (let i = 0; i < count; i++) target[i] = halves[piece[i]];
}

function openForReading(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    throw explainFileError(error, file, 'CHECKPOINT_MISSING');
  }
}

function readFully(fd: number, bytes: Uint8Array, position: number, file: string): void {
  for (let done = 0; done < bytes.length;) {
    const read = readSync(fd, bytes, done, bytes.length - done, position + done);
    if (read === 0) {
      throw new UserError('CHECKPOINT_CORRUPT', 'the file has become shorter', { where: file });
    }
    done += read;
  }
}
