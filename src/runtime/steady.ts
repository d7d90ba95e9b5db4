/**
 * With how many threads do sums keep one order, where weights are not packed?
 *
 * onnxruntime's matrix product x · W cuts the inner axis into stretches and adds up stretch after
 * stretch. Packed weights have stretches of one length. Otherwise the length follows from the number
 * of W's columns that a thread was given, and threads share columns or rows by how many rows there are:
 * with too many threads for a narrow matrix a row's numbers would depend on the batch that it is in.
 *
 * @see MlasSgemmOperation and MlasGemmBatch in onnxruntime 1.30, onnxruntime/core/mlas/lib/sgemm.cpp
 */

/** Columns are given to threads in groups of this many. */
const group = 16;
const usualStride = 128;

/** A matrix by the length of the sums and the number of columns. */
export interface MatrixSize {
  readonly inner: number;
  readonly columns: number;
}

/** The most threads, up to `asked`, with which none of the matrices is summed in another order. */
export function steadyThreads(matrices: readonly MatrixSize[], asked: number): number {
  const isSteady = (threads: number): boolean =>
    matrices.every(({ inner, columns }) => {
      const groups = Math.ceil(columns / group);
      const used = Math.min(threads, groups);
      // The last group may be only a part of one.
      const fewest = Math.floor(groups / used) * group - (groups * group - columns);
      return stride(Math.max(1, fewest), inner) === stride(columns, inner);
    });
  let threads = 1;
  // A product of few rows may use fewer threads than there are, so all numbers below must do.
  while (threads < asked && isSteady(threads + 1)) threads++;
  return threads;
}

/** Length of the stretches that a sum of `inner` terms is cut into, where a thread has `columns`. */
function stride(columns: number, inner: number): number {
  let across = usualStride;
  let along = usualStride;
  if (columns >= inner) {
    while (along / 2 >= inner) {
      across *= 2;
      along /= 2;
    }
  } else {
    while (across > group && across / 2 >= columns) {
      along *= 2;
      across /= 2;
    }
  }
  return Math.min(along, inner);
}
