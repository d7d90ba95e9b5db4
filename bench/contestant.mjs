/**
 * The real command as one contestant among other programs; prints what it took as one JSON line.
 *
 *     node bench/contestant.mjs MODEL PROMPTS.json THREADS [pass]
 *
 * With `pass` it gives the passes of pass.mjs, model loaded, as other programs time theirs. Else the CPU seconds are those of both processes from start to end, so that loading, hashing and
 * compiling count against us. `check` is the mean |resid_post| of the last block at the last token.
 */

import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readFloats, readSafetensorsHeader } from '../dist/src/files/safetensors.js';
import { cli, runScript, runWatched, withFolder } from './measure.mjs';

const [model, prompts, threads, what] = process.argv.slice(2);
if (what === 'pass') {
  const set = basename(prompts, '.json').replace('prompts-', '');
  const task = {
    model: basename(model),
    prompts: set,
    threads: Number(threads),
    rounds: 1,
    batchTokens: 512,
  };
  const { tokens, wall, cpu, peak } = await runScript('pass.mjs', JSON.stringify(task));
  const line = { model: task.model, tokens, times: wall, cpu, ready_s: 0, wall_s: 0 };
  console.log(JSON.stringify({ ...line, rss_mb: peak, out_bytes: 0, check: 0 }));
  process.exit();
}
await withFolder(async (folder) => {
  const run = join(folder, 'run');
  const jsonl = prompts.replace(/\.json$/, '.jsonl');
  const options = `--sites resid_post --positions last --threads ${threads} --json`.split(' ');
  const { wall, cpu, peak, stdout } = await runWatched([
    cli,
    'extract',
    `m=${model}`,
    '--prompts',
    jsonl,
    '--out',
    run,
    ...options,
  ]);
  const { tokens, sites } = JSON.parse(stdout);
  const file = join(run, 'activations', 'm', `${sites.at(-1)}.safetensors`);
  const values = await readFloats((await readSafetensorsHeader(file)).tensors.get('last'));
  const check = values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
  const size = statSync(file).size * sites.length;
  const line = {
    model: basename(model),
    tokens,
    times: [wall],
    cpu: [cpu],
    ready_s: 0,
    wall_s: wall,
  };
  console.log(JSON.stringify({ ...line, rss_mb: Math.round(peak), out_bytes: size, check }));
});
