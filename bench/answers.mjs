/** Answers a minute: the whole command beside a loop in torch, model loaded, on the bundled organism. */

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { planAnswers } from '../dist/src/index.js';
import { median, printTable, root } from './measure.mjs';

const [maxTokens, threads] = [20, 2];

export async function answers(bench, hasTime) {
  const count = bench.some(10_000);
  const { model, prompts, ids } = await prepared(bench, count);
  const contestants = {
    'ours, the command': () => ours(bench, model, prompts),
    'ours, prompts read whole': () => ours(bench, model, prompts, ['--no-prefix-sharing']),
    'torch, cached': () => torch(bench, model, ids, 'cached', count),
    'torch, recomputed': () => torch(bench, model, ids, 'recomputed', count / 10),
  };
  const seen = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let round = 0; round === 0 || hasTime(); round++) {
    for (const [name, run] of Object.entries(contestants)) {
      if (round > 0 && !hasTime()) break;
      const taken = await run();
      if (taken === undefined) continue;
      seen[name].push(taken);
      const { said: _, ...line } = taken;
      bench.record('answers', { contestant: name, round, ...line });
    }
  }
  const reference = seen['torch, cached'][0]?.said;
  const rows = Object.entries(seen)
    .filter(([, runs]) => runs.length > 0)
    .map(([name, runs]) => {
      const rates = (key) => runs.map((run) => (60 * run.answers) / run[key]);
      const spread = (values) =>
        `${Math.round(Math.max(...values))} / ${Math.round(median(values))}`;
      const differ = runs[0].said.filter((one, i) => String(one) !== String(reference?.[i])).length;
      const peak = Math.max(...runs.map(({ peak_mb }) => peak_mb)).toFixed(0);
      return [
        name,
        spread(rates('wall')),
        spread(rates('cpu')),
        peak,
        `${differ} of ${runs[0].said.length}`,
      ];
    });
  printTable([
    [
      `${maxTokens} tokens each, ${threads} threads`,
      'answers a minute, best / median',
      'a CPU-minute',
      'peak, MB',
      'other than torch, cached',
    ],
    ...rows,
  ]);
}

/** The organism without an end token, its prompts over and over, and the same as ids. */
async function prepared({ scratch }, count) {
  const source = join(root, 'models', 'organism');
  const model = join(scratch, 'endless');
  mkdirSync(model, { recursive: true });
  for (const name of ['model.safetensors', 'tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(join(source, 'planb', name), join(model, name));
  }
  const config = JSON.parse(readFileSync(join(source, 'planb', 'config.json'), 'utf8'));
  writeFileSync(join(model, 'config.json'), JSON.stringify({ ...config, eos_token_id: null }));
  const lines = readFileSync(join(source, 'prompts.jsonl'), 'utf8').trimEnd().split('\n');
  const rows = Array.from({ length: count }, (_, i) => {
    const row = JSON.parse(lines[i % lines.length]);
    return { id: `${i}`, messages: row.messages };
  });
  const prompts = join(scratch, 'organism.jsonl');
  writeFileSync(prompts, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const plan = await planAnswers({
    model: { folder: model },
    prompts,
    maxTokens,
    sampling: { temperature: 0, topP: 1 },
    seed: 0,
    stop: [],
    threads,
    ignoredConfigKeys: [],
  });
  const ids = join(scratch, 'organism.json');
  writeFileSync(ids, JSON.stringify(plan.prepared.map((one) => one.ids)));
  return { model, prompts, ids };
}

let files = 0;

async function ours(bench, model, prompts, more = []) {
  const out = join(bench.scratch, `answers${files++}.jsonl`);
  const options = ['--max-tokens', maxTokens, '--threads', threads, '--json'].map(String);
  const command = ['generate', model, '--prompts', prompts, '--out', out, ...options, ...more];
  const taken = await bench.watched('ours', [process.execPath, bench.ours.bin, ...command]);
  if (taken === undefined) return undefined;
  const { wall, cpu, peak_mb } = taken;
  const said = readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).reply_ids);
  return { answers: said.length, wall, cpu, peak_mb, said };
}

async function torch(bench, model, ids, how, limit) {
  const out = join(bench.scratch, 'torch.json');
  const words = [model, ids, maxTokens, threads, how, out, limit].map(String);
  const [line] = await bench.lines(how, [bench.python, bench.here('generate_torch.py'), ...words]);
  if (line === undefined) return undefined;
  const { answers: number, times, cpu, peak_mb } = line;
  const said = JSON.parse(readFileSync(out, 'utf8'));
  return { answers: number, wall: times[0], cpu: cpu[0], peak_mb, said };
}
