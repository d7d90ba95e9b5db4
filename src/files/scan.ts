/**
 * Is every weight a finite number?
 *
 * One NaN in a checkpoint makes every activation after it NaN, and an infinity may hide until a
 * softmax meets it; both are told here by tensor, index and file. The test is on bits: a float is
 * infinite or NaN exactly if its exponent is all ones, so nothing needs converting.
 */

import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { Checkpoint } from './checkpoint.ts';
import { readRange, withFile } from './range.ts';
import { itemSize, type StoredDtype, type StoredTensor } from './safetensors.ts';

/** Read at a time; a multiple of every item size. */
const chunkBytes = 2 ** 23;

/**
 * Reads every weight of the named tensors, at most 8 MB at a time. Tensors of whole numbers hold
 * nothing that could be wrong and are passed over.
 *
 * @param onTensor Told of each tensor when it has been read.
 * @throws {UserError} `NOT_FINITE` at the first NaN or infinity, in the order of `names`.
 */
export async function scanWeights(
  checkpoint: Pick<Checkpoint, 'tensors'>,
  names: Iterable<string>,
  onTensor: (tensor: StoredTensor) => void = () => undefined,
): Promise<void> {
  for (const name of names) {
    const tensor = checkpoint.tensors.get(name);
    invariant(tensor !== undefined, `no tensor "${name}" to scan`);
    const isSpecial = specialTests[tensor.dtype];
    if (isSpecial !== undefined) await scanTensor(tensor, isSpecial);
    onTensor(tensor);
  }
}

/** Index of the first element in the chunk that is infinite or NaN, or -1. */
type SpecialTest = (chunk: ArrayBuffer) => number;

const specialTests: Readonly<Partial<Record<StoredDtype, SpecialTest>>> = {
  F64: (chunk) => new Float64Array(chunk).findIndex((value) => !Number.isFinite(value)),
  F32: (chunk) => firstSpecial(new Uint32Array(chunk), 0x7f800000),
  BF16: (chunk) => firstSpecial(new Uint16Array(chunk), 0x7f80),
  F16: (chunk) => firstSpecial(new Uint16Array(chunk), 0x7c00),
};

function firstSpecial(bits: Uint32Array | Uint16Array, exponent: number): number {
  for (let i = 0; i < bits.length; i++) if ((bits[i] & exponent) === exponent) return i;
  return -1;
}

async function scanTensor(tensor: StoredTensor, isSpecial: SpecialTest): Promise<void> {
  await withFile(tensor.file, async (handle, path) => {
    for (let begin = 0; begin < tensor.length; begin += chunkBytes) {
      const length = Math.min(chunkBytes, tensor.length - begin);
      const { buffer } = await readRange(handle, path, tensor.offset + begin, length);
      const at = isSpecial(buffer);
      if (at >= 0) throw notFinite(tensor, begin / itemSize(tensor.dtype) + at);
    }
  });
}

function notFinite({ name, shape, file }: StoredTensor, element: number): UserError {
  const index: number[] = [];
  let rest = element;
  for (const extent of shape.toReversed()) {
    index.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  const what = `tensor "${name}" is not finite at [${index.join(', ')}]`;
  return new UserError('NOT_FINITE', what, {
    where: file,
    fix: 'Use a checkpoint from before the training diverged, or download this one again.',
  });
}
