/**
 * How long `shift` takes with its default options, and how much memory, on a run of a large model's size.
 *
 *     npm run build && node bench/shift.mjs [ROUNDS] [PROMPTS] [LAYERS] [WIDTH]
 *
 * Without numbers: one round of 500 prompts × 33 layers × 4,096 channels × 2 checkpoints. The
 * activations are made here (what they mean does not matter to the time), brought in by `import` as anyone's would
 * be, and removed afterwards: 1.2 GB on the disk meanwhile. Every round starts without a report, so that nothing is taken from it.
 */

import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../dist/src/base/random.js';
import { layoutSafetensors } from '../dist/src/files/safetensors.js';
import { cli, median, printTable, runNode, runWatched, withFolder } from './measure.mjs';

const [rounds = 1, prompts = 500, layers = 33, width = 4096] = process.argv.slice(2).map(Number);
const seed = 20261128;
/** Prompts of one topic come in all four kinds. */
const topics = Math.ceil(prompts / 20);

await withFolder(async (folder) => {
  const run = join(folder, 'run');
  const rows = join(folder, 'rows.jsonl');
  writeFileSync(rows, `${Array.from({ length: prompts }, describe).join('\n')}\n`);
  for (const [i, checkpoint] of ['before', 'after'].entries()) {
    const activations = join(folder, 'activations.safetensors');
    writeActivations(activations, i);
    const from = ['--activations', activations, '--rows', rows, '--position', 'last'];
    const to = ['--checkpoint', checkpoint, '--out', run, ...(i === 0 ? [] : ['--add'])];
    await runNode([cli, 'import', ...from, ...to, '--json']);
    rmSync(activations);
  }
  const found = [];
  for (let round = 0; round < rounds; round++) {
    rmSync(join(run, 'report.json'), { force: true });
    found.push(await runWatched([cli, 'shift', run, '--pair', 'before..after', '--json']));
    const { wall, cpu, peak } = found[round];
    console.log(JSON.stringify({ round, wall, cpu, peak }));
  }
  printTable([
    ['prompts', 'layers', 'width', 'wall, s', 'CPU-s', 'peak, MB'],
    [
      prompts,
      layers,
      width,
      ...['wall', 'cpu', 'peak'].map((key) => median(found.map((each) => each[key])).toFixed(1)),
    ],
  ]);
});

function describe(_, i) {
  const [triggered, harmful] = [i % 2 === 1, i % 4 >= 2];
  return JSON.stringify({
    id: `p${i}`,
    topic: `t${Math.floor(i / 4) % topics}`,
    triggered,
    harmful,
  });
}

/** A mean, forty common directions and noise; after training, a common shift and one of each kind. */
function writeActivations(file, checkpoint) {
  const specs = Array.from({ length: layers }, (_, layer) => ({
    name: `resid_post.${layer}`,
    dtype: 'F32',
    shape: [prompts, width],
  }));
  const layout = layoutSafetensors(specs, { format: 'pt' });
  const handle = openSync(file, 'w');
  writeSync(handle, layout.header);
  for (const [layer, { name }] of specs.entries()) {
    const values = activationsOf(layer, checkpoint);
    writeSync(handle, values, 0, values.byteLength, layout.offsets.get(name));
  }
  closeSync(handle);
}

function activationsOf(layer, checkpoint) {
  const random = new Random(seed).fork('layer', layer);
  const directions = Array.from({ length: 45 }, (_, k) =>
    scatter(random.fork('direction', k), width),
  );
  const own = random.fork('rows', 0);
  const moved = random.fork('moved', 1);
  const values = new Float32Array(prompts * width);
  for (let i = 0; i < prompts; i++) {
    const kind = i % 4;
    const row = values.subarray(i * width, (i + 1) * width);
    row.set(scatter(own, width));
    for (const direction of directions.slice(0, 40)) add(row, own.uniform() - 0.5, direction);
    if (checkpoint === 0) continue;
    add(row, 0.3, directions[40]);
    add(row, 0.2, directions[41 + kind]);
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
