/**
 * Our extraction as a contestant beside opponents.py; prints one JSON line for each task.
 *
 *     node bench/contestant.mjs MODEL THREADS '[{"prompts": "FILE.json", "limit": 64, "mode": "last", "reps": 2}]'
 *
 * Each pass is a run of the library into a folder of its own. It is timed from the first batch to the
 * last row on its way to disk; opening the model is counted apart, as it is for the others. What the command takes from start to
 * files is measured by run.mjs, which starts it. `check` is the mean |resid_post| of the block before the last.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readFloats, readSafetensorsHeader } from '../dist/src/files/safetensors.js';
import { extract, planExtraction } from '../dist/src/index.js';
import { withFolder } from './measure.mjs';

const [folder, threads, tasks] = process.argv.slice(2);
const model = basename(folder);

for (const { prompts, limit, mode, reps = 1, batchTokens = 512 } of JSON.parse(tasks)) {
  await withFolder(async (scratch) => {
    const plan = await planExtraction({
      checkpoints: [{ name: 'm', folder }],
      prompts: writeJsonl(join(scratch, 'prompts.jsonl'), prompts, limit),
      sites: 'resid_post',
      positions: mode,
      batchTokens,
      threads: Number(threads),
      store: 'float32',
      ignoredConfigKeys: [],
    });
    const passes = [];
    for (let i = 0; i < reps; i++) passes.push(await pass(plan, join(scratch, `run${i}`)));
    console.log(
      JSON.stringify({
        contestant: 'ours',
        dtype: 'float32',
        threads: Number(threads),
        model,
        mode,
        prompts: basename(prompts),
        tokens: plan.tokens,
        ready: passes[0].ready,
        times: passes.map(({ wall }) => wall),
        cpu: passes.map(({ cpu }) => cpu),
        check: await meanSize(join(scratch, 'run0'), plan.checkpoints[0].sites.length - 2, mode),
        peak_mb: process.resourceUsage().maxRSS / 1024,
      }),
    );
  });
}

/** Seconds between the first batch and the last update, and those before the first batch. */
async function pass(plan, out) {
  const start = performance.now();
  let first;
  let last;
  const now = () => {
    const { user, system } = process.cpuUsage();
    return { wall: performance.now() / 1000, cpu: (user + system) / 1e6 };
  };
  const progress = {
    begin: () => (first = now()),
    update: () => (last = now()),
    note() {},
  };
  await extract(plan, { out, progress });
  const ready = first.wall - start / 1000;
  return { ready, wall: last.wall - first.wall, cpu: last.cpu - first.cpu };
}

function writeJsonl(path, prompts, limit) {
  const rows = JSON.parse(readFileSync(prompts, 'utf8')).slice(0, limit);
  const lines = rows.map((ids, i) => `${JSON.stringify({ id: `p${i}`, ids })}\n`);
  writeFileSync(path, lines.join(''));
  return path;
}

async function meanSize(run, block, position) {
  const file = join(run, 'activations', 'm', `resid_post.${block}.safetensors`);
  const values = await readFloats((await readSafetensorsHeader(file)).tensors.get(position));
  return values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
}
