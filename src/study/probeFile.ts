/** The file that a fitted probe is kept in; docs/formats.md shows it read in Python. */

import { encodeSafetensors } from '../files/safetensors.ts';
import type { AttentionProbe } from '../../probes/attentionPool.ts';
import type { LinearProbe } from '../../probes/probe.ts';

/**
 * `coef` [d] and `intercept` [1], with `query` [d] where tokens are pooled, and `mean` and `scale` [d] where
 * rows were standardised.
 */
export function encodeProbe(probe: LinearProbe | AttentionProbe): Uint8Array {
  const { coef, intercept, mean, scale } = probe;
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
    ...(probe.estimator === 'attention_pool' ? [vector('query', probe.query)] : []),
    ...(mean === undefined ? [] : [vector('mean', mean)]),
    ...(scale === undefined ? [] : [vector('scale', scale)]),
  ]);
}
