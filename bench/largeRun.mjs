/**
 * A run of a large model's size, without the model: activations with a mean, forty common directions, one of each kind of
 * prompt and noise, brought in by `import` as anyone's would be. What they mean does not matter to the time that they take.
 */

import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../dist/src/base/random.js';
import { layoutSafetensors } from '../dist/src/files/safetensors.js';
import { cli, runNode } from './measure.mjs';

const seed = 20261128;
const common = 40;
const kinds = 4;

/** Makes the run of these checkpoints in `folder`; its path. On the disk: 4 · prompts · layers · width bytes for each checkpoint. */
export async function largeRun(folder, { checkpoints, ...size }) {
  const run = join(folder, 'run');
  const rows = join(folder, 'rows.jsonl');
  const lines = Array.from({ length: size.prompts }, (_, i) => describe(i, size.prompts));
  writeFileSync(rows, `${lines.join('\n')}\n`);
  for (const [i, checkpoint] of checkpoints.entries()) {
    const activations = join(folder, 'activations.safetensors');
    writeActivations(activations, size, i);
    const from = ['--activations', activations, '--rows', rows, '--position', 'last'];
    const to = ['--checkpoint', checkpoint, '--out', run, ...(i === 0 ? [] : ['--add'])];
    await runNode([cli, 'import', ...from, ...to, '--json']);
    rmSync(activations);
  }
  return run;
}

/** Prompts of one topic come in all four kinds; their words say the topic and a little of the label. */
function describe(i, prompts) {
  const random = new Random(seed).fork('text', i);
  const topic = Math.floor(i / kinds) % Math.ceil(prompts / 20);
  const [triggered, harmful] = [i % 2 === 1, i % kinds >= 2];
  const words = Array.from({ length: 20 }, () => `w${random.below(500)}`);
  const hint = random.uniform() < 0.6 === harmful ? 'please' : 'now';
  const text = [`topic${topic}`, hint, ...words].join(' ');
  return JSON.stringify({ id: `p${i}`, text, topic: `t${topic}`, triggered, harmful });
}

function writeActivations(file, { prompts, layers, width }, checkpoint) {
  const specs = Array.from({ length: layers }, (_, layer) => ({
    name: `resid_post.${layer}`,
    dtype: 'F32',
    shape: [prompts, width],
  }));
  const layout = layoutSafetensors(specs, { format: 'pt' });
  const handle = openSync(file, 'w');
  writeSync(handle, layout.header);
  for (const [layer, { name }] of specs.entries()) {
    const values = activationsOf({ prompts, width }, layer, checkpoint);
    writeSync(handle, values, 0, values.byteLength, layout.offsets.get(name));
  }
  closeSync(handle);
}

/** After the first checkpoint: a common shift, one of each kind, and noise. */
function activationsOf({ prompts, width }, layer, checkpoint) {
  const random = new Random(seed).fork('layer', layer);
  const directions = Array.from({ length: common + 1 + kinds }, (_, k) =>
    scatter(random.fork('direction', k), width),
  );
  const own = random.fork('rows', 0);
  const moved = random.fork('moved', checkpoint);
  const values = new Float32Array(prompts * width);
  for (let i = 0; i < prompts; i++) {
    const ofKind = directions[common + 1 + (i % kinds)];
    const row = values.subarray(i * width, (i + 1) * width);
    row.set(scatter(own, width));
    for (const direction of directions.slice(0, common)) add(row, own.uniform() - 0.5, direction);
    add(row, 0.05, ofKind);
    if (checkpoint === 0) continue;
    add(row, 0.3, directions[common]);
    add(row, 0.2, ofKind);
    add(row, 0.1, scatter(moved, width));
  }
  return values;
}

function scatter(random, length) {
  return Float32Array.from({ length }, () => random.uniform() - 0.5);
}

function add(row, factor, direction) {
  for (let j = 0; j < row.length; j++) row[j] += factor * direction[j];
}
