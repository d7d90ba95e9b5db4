/**
 * How long `shift` takes with its default options, and how much memory, on a run of a large model's size.
 *
 *     npm run build && node bench/shift.mjs [ROUNDS] [PROMPTS] [LAYERS] [WIDTH]
 *
 * Without numbers: one round of 500 prompts × 33 layers × 4,096 channels × 2 checkpoints. The
 * activations are made here and removed afterwards: 1.2 GB on the disk meanwhile. Every round starts without a report,
 * so that nothing is taken from it.
 */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { largeRun } from './largeRun.mjs';
import { cli, median, printTable, runWatched, withFolder } from './measure.mjs';

const [rounds = 1, prompts = 500, layers = 33, width = 4096] = process.argv.slice(2).map(Number);

await withFolder(async (folder) => {
  const run = await largeRun(folder, {
    prompts,
    layers,
    width,
    checkpoints: ['before', 'after'],
  });
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
