/**
 * Reads reference activations: what another implementation computed from the same checkpoint.
 *
 * A golden file holds `input_ids` and `attention_mask` `[batch, position]`, padded on the right, and
 * tensors named by site: in full (`resid_post.1` `[batch, position, d]`, `pattern.0` `[batch, head,
 * query, key]`), at the last prompt token (`last.resid_post.1` `[batch, d]`, with `last_position`), or
 * summaries of the logits there.
 */

import { UserError } from '../base/errors.ts';
import { isJsonObject, parseJson } from '../base/json.ts';
import { readFloats, readIntegers, readSafetensorsHeader } from '../files/safetensors.ts';
import type { StoredTensor } from '../files/safetensors.ts';
import { readText } from '../files/whole.ts';

export interface Golden {
  readonly path: string;
  readonly batch: number;
  readonly length: number;
  /** `[batch, position]` */
  readonly ids: BigInt64Array;
  /** Tokens of each prompt. */
  readonly lengths: readonly number[];
  /** Index of each prompt's last token; null unless the file reads there. */
  readonly lastPosition: readonly number[] | null;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** @throws {UserError} `CHECKPOINT_CORRUPT` if ids or mask are missing or contradict each other. */
export async function readGolden(path: string): Promise<Golden> {
  const { tensors } = await readSafetensorsHeader(path);
  const ids = tensors.get('input_ids');
  const mask = tensors.get('attention_mask');
  if (ids?.shape.length !== 2 || mask?.shape.join() !== ids.shape.join()) {
    throw unusable('input_ids and attention_mask must be there, both [batch, position]', path);
  }
  const [batch, length] = ids.shape;
  const real = await readIntegers(mask);
  const lengths = Array.from({ length: batch }, (_, b) => {
    const row = real.subarray(b * length, (b + 1) * length);
    const count = row.reduce((sum, bit) => sum + Number(bit), 0);
    if (count === 0 || row.subarray(0, count).some((bit) => bit !== 1n)) {
      throw unusable(`prompt ${b} is not padded on the right`, path);
    }
    return count;
  });
  const last = tensors.get('last_position');
  const lastPosition = last === undefined ? null : Array.from(await readIntegers(last), Number);
  const isThere = (t: number | undefined, b: number): boolean =>
    t !== undefined && t >= 0 && t < lengths[b];
  if (lastPosition !== null && !lengths.every((_, b) => isThere(lastPosition[b], b))) {
    throw unusable('last_position does not name a token of each prompt', path);
  }
  return {
    path,
    batch,
    length,
    ids: await readIntegers(ids),
    lengths,
    lastPosition,
    tensors,
  };
}

/** The values of a tensor at real tokens only, in the order of prompts and tokens. */
export async function goldenValues(golden: Golden, name: string): Promise<Float32Array> {
  const tensor = golden.tensors.get(name);
  if (tensor === undefined) throw unusable(`no tensor "${name}"`, golden.path);
  const all = await readFloats(tensor);
  const { batch, length, lengths } = golden;
  if (name.startsWith('pattern.')) return realPatterns(all, golden, tensor.shape[1]);
  if (tensor.shape[0] !== batch || tensor.shape[1] !== length || tensor.shape.length !== 3)
    return all;
  const width = tensor.shape[2];
  return concatenated(
    lengths.map((count, b) => all.subarray(b * length * width, (b * length + count) * width)),
  );
}

/** `[batch, head, query, key]` → for each real query, heads × the real keys. */
function realPatterns(all: Float32Array, { length, lengths }: Golden, heads: number): Float32Array {
  return concatenated(
    lengths.flatMap((count, b) =>
      Array.from({ length: count }, (_, query) =>
        Array.from({ length: heads }, (__, head) => {
          const start = ((b * heads + head) * length + query) * length;
          return all.subarray(start, start + count);
        }),
      ).flat(),
    ),
  );
}

/** What counts as rounding: the error that another float32 implementation makes, tensor by tensor. */
export type NoiseFloor = ReadonlyMap<string, { readonly maxAbs: number; readonly rmsRel: number }>;

/** Reads `noise_floor` of a golden's JSON. */
export async function readNoiseFloor(path: string): Promise<NoiseFloor> {
  const value = parseJson(await readText(path), path);
  const floors = isJsonObject(value) ? value['noise_floor'] : undefined;
  if (!isJsonObject(floors)) throw unusable('there is no "noise_floor"', path);
  return new Map(
    Object.entries(floors).map(([name, floor]) => {
      const maxAbs = isJsonObject(floor) ? floor['max_abs'] : undefined;
      const rmsRel = isJsonObject(floor) ? floor['rms_rel'] : undefined;
      if (typeof maxAbs !== 'number' || typeof rmsRel !== 'number') {
        throw unusable(`the noise floor of "${name}" lacks max_abs or rms_rel`, path);
      }
      return [name, { maxAbs, rmsRel }];
    }),
  );
}

export function concatenated(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let start = 0;
  for (const part of parts) {
    whole.set(part, start);
    start += part.length;
  }
  return whole;
}

function unusable(what: string, where: string): UserError {
  return new UserError('CHECKPOINT_CORRUPT', what, {
    where,
    fix: 'Write the reference file again; docs/formats.md says what it must hold.',
  });
}
