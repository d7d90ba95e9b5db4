/** A checkpoint of any size that takes next to no room: its weights are a hole in a file. */

import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenFolder, readJson, readTensors } from './golden.ts';
import { scratchFolder } from './scratch.ts';

/** A small Llama but for its vocabulary: embedding and head take 192 bytes a word each. */
export function hollowCheckpoint(vocabulary: number): string {
  const small = goldenFolder('llama_mha');
  const known = readJson(join(small, 'config.json'));
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const [name, { dtype, shape }] of readTensors(join(small, 'model.safetensors'))) {
    const grown = shape.map((size) => (size === known['vocab_size'] ? vocabulary : size));
    const length = 4 * grown.reduce((size, axis) => size * axis, 1);
    header[name] = { dtype, shape: grown, data_offsets: [at, (at += length)] };
  }
  const text = JSON.stringify(header);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(text.length));
  const folder = scratchFolder('hollow');
  const config = { ...known, vocab_size: vocabulary };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const file = join(folder, 'model.safetensors');
  writeFileSync(file, Buffer.concat([start, Buffer.from(text)]));
  truncateSync(file, 8 + text.length + at);
  return folder;
}
