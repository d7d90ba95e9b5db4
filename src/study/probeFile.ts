/** The file that a fitted probe is kept in; docs/formats.md shows it read in Python. */

import { encodeSafetensors } from '../files/safetensors.ts';
import type { LinearProbe } from '../../probes/probe.ts';

/** `coef` [d] and `intercept` [1], with `mean` and `scale` [d] where rows were standardised. */
export function encodeProbe({ coef, intercept, mean, scale }: LinearProbe): Uint8Array {
  const vector = (
    name: string,
    values: Float64Array,
  ): Parameters<typeof encodeSafetensors>[0][number] => ({
    name,
    dtype: 'F64',
    shape: [values.length],
    data: values,
  });
  return encodeSafetensors([
    vector('coef', coef),
    vector('intercept', Float64Array.of(intercept)),
    ...(mean === undefined ? [] : [vector('mean', mean)]),
    ...(scale === undefined ? [] : [vector('scale', scale)]),
  ]);
}
