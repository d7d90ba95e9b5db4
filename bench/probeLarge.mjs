/**
 * How long `probe` takes on a run of a large model's size, and how much memory, by estimator and number of checkpoints.
 *
 *     npm run build && node bench/probeLarge.mjs [PROMPTS] [LAYERS] [WIDTH] [CHECKPOINTS] [ESTIMATOR…]
 *
 * Without arguments: 1,000 prompts × 33 layers × 4,096 channels of 1 checkpoint with the default options, 200 shuffled labellings,
 * 1,000 random directions at each site and the bag of words among them; 0.6 GB on the disk for each checkpoint meanwhile. With two checkpoints
 * `probe` also measures shifts and their planes. KEEP_RUN=FOLDER makes the run there, or takes the one that is there.
 */

import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { largeRun } from './largeRun.mjs';
import { cli, printTable, runWatched, withFolder } from './measure.mjs';

const [prompts = 1000, layers = 33, width = 4096, count = 1] = process.argv.slice(2, 6).map(Number);
const estimators = process.argv.length > 6 ? process.argv.slice(6) : ['mean_difference'];
const checkpoints = Array.from({ length: count }, (_, i) => `stage${i}`);
const kept = process.env.KEEP_RUN;

if (kept === undefined) await withFolder(measure);
else {
  mkdirSync(kept, { recursive: true });
  await measure(kept);
}

async function measure(folder) {
  const there = join(folder, 'run');
  const run = existsSync(there)
    ? there
    : await largeRun(folder, { prompts, layers, width, checkpoints });
  const rows = [['estimator', 'wall, s', 'CPU-s', 'peak, MB', 'AUROC, first and last site']];
  for (const estimator of estimators) {
    for (const made of ['report.json', 'probes'])
      rmSync(join(run, made), { recursive: true, force: true });
    const asked = ['--label', 'harmful', '--estimator', estimator, '--json'];
    const { wall, cpu, peak, stdout } = await runWatched([cli, 'probe', run, ...asked]);
    const { points } = JSON.parse(stdout).curves[0];
    const ends = [points[0], points.at(-1)].map(({ auroc }) => auroc.toFixed(3)).join(' ');
    console.log(
      JSON.stringify({ prompts, layers, width, count, estimator, wall, cpu, peak, ends }),
    );
    rows.push([estimator, ...[wall, cpu, peak].map((value) => value.toFixed(0)), ends]);
  }
  printTable(rows);
}
