/** Do two stored tensors say the same? Asked of a tied head that is stored all the same. */

import { readTensorBytes, type StoredTensor } from './safetensors.ts';

const chunkBytes = 2 ** 23;

/** True if type, shape and every byte agree; reads at most 8 MB of each at a time. */
export async function equalTensors(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  for (let begin = 0; begin < a.length; begin += chunkBytes) {
    const length = Math.min(chunkBytes, a.length - begin);
    const [left, right] = await Promise.all([
      readTensorBytes(a, begin, length),
      readTensorBytes(b, begin, length),
    ]);
    if (Buffer.compare(left, right) !== 0) return false;
  }
  return true;
}
