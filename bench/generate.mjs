/**
 * Answers a minute: decoding with a cache, as `generate` does it, against recomputing every sequence.
 *
 *     npm run build && node bench/generate.mjs [ROUNDS]
 *
 * The bundled organism, its 880 prompts, exactly 20 tokens each (no end token), greedy, 2 threads. The
 * loop that recomputes takes one prompt at a time and answers only every tenth of them. Both must say the same.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from '../dist/src/record/generate.js';
import { planAnswers } from '../dist/src/record/planAnswers.js';
import { greedy } from '../dist/src/runtime/generate.js';
import { interleaved, printTable, root, spread, timed, withFolder } from './measure.mjs';

const [maxTokens, threads, share] = [20, 2, 10];
const folder = join(root, 'models', 'organism');

const full = await planAnswers({
  model: { folder: join(folder, 'planb') },
  prompts: join(folder, 'prompts.jsonl'),
  maxTokens,
  sampling: { temperature: 0, topP: 1 },
  seed: 0,
  stop: [],
  threads,
  ignoredConfigKeys: [],
});
const plan = { ...full, endIds: [] };

async function cached() {
  return await withFolder(async (scratch) => {
    const out = join(scratch, 'answers.jsonl');
    const { wall, cpu } = await timed(() => generate(plan, { out }));
    const said = readFileSync(out, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).reply_ids);
    return { wall, cpu, answers: said.length, said };
  });
}

async function recomputed() {
  const some = plan.prepared.filter((_, i) => i % share === 0);
  const said = [];
  const { wall, cpu } = await timed(async () => {
    for (const { ids } of some)
      said.push(await greedy(plan.writer.model, ids, { maxTokens, threads }));
  });
  return { wall, cpu, answers: said.length, said };
}

const results = await interleaved({ cached, recomputed }, Number(process.argv[2] ?? 5));
const wanted = results.recomputed[0].said;
const differing = wanted.filter(
  (ids, i) => String(ids) !== String(results.cached[0].said[i * share]),
);
console.log(`${differing.length} of ${wanted.length} answers differ\n`);

const perMinute = (runs, time) => runs.map((run) => (60 * run.answers) / run[time]);
printTable([
  ['', 'answers a minute, least / median', 'answers a CPU-minute, least / median'],
  ...Object.entries(results).map(([name, runs]) => [
    name,
    spread(perMinute(runs, 'wall'), 0),
    spread(perMinute(runs, 'cpu'), 0),
  ]),
]);
