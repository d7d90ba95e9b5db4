/** From the start of a process to its files: wall, CPU and memory; and the shape of 1 B in bfloat16. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readFloats, readSafetensorsHeader } from '../dist/src/files/safetensors.js';
import { median, printTable } from './measure.mjs';
import { commandOf } from './passes.mjs';

/** 128 short prompts, `resid_post` of all blocks at the last token, threads as each program chooses: two here. */
export async function cold(bench, hasTime) {
  const [count, threads] = [bench.some(128), 2];
  for (const model of ['llama-160m']) {
    const folder = join(bench.inputs, model);
    const prompts = join(bench.inputs, 'prompts-short.json');
    const out = join(bench.scratch, 'theirs.safetensors');
    const tasks = [{ prompts, limit: count, mode: 'last', out }];
    const contestants = {
      ours: () => ourCommand(bench, folder, prompts, count, threads),
      'ours, --no-doctor': () => [
        ...ourCommand(bench, folder, prompts, count, threads),
        '--no-doctor',
      ],
    };
    for (const kind of [
      'hooks',
      'hidden',
      ...(bench.other === undefined ? [] : ['nnsight', 'lens']),
    ]) {
      contestants[kind] = () => commandOf(bench, kind, folder, threads, tasks);
    }
    const seen = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
    for (let round = 0; round === 0 || hasTime(); round++) {
      for (const [name, command] of Object.entries(contestants)) {
        if (round > 0 && !hasTime()) break;
        const taken = await bench.watched(name, command());
        if (taken === undefined) continue;
        const { wall, cpu, peak_mb } = taken;
        seen[name].push({ wall, cpu, peak_mb });
        bench.record('cold', { contestant: name, model, round, wall, cpu, peak_mb });
      }
    }
    reportCold(`${model}, ${count} short prompts, ${threads} threads`, seen);
  }
}

let runCount = 0;

function ourCommand(bench, folder, prompts, limit, threads) {
  const rows = JSON.parse(readFileSync(prompts, 'utf8')).slice(0, limit);
  const jsonl = join(bench.scratch, 'prompts.jsonl');
  writeFileSync(jsonl, rows.map((ids, i) => `${JSON.stringify({ id: `p${i}`, ids })}\n`).join(''));
  const out = join(bench.scratch, `run${runCount++}`);
  const options = `--sites resid_post --positions last --threads ${threads} --json`.split(' ');
  return [
    process.execPath,
    bench.ours.bin,
    'extract',
    `m=${folder}`,
    '--prompts',
    jsonl,
    '--out',
    out,
    ...options,
  ];
}

function reportCold(title, seen) {
  const ours = seen.ours;
  const least = (runs, key) => Math.min(...runs.map((run) => run[key]));
  const hasFirst = ours.some(({ first }) => first !== undefined);
  const rows = Object.entries(seen)
    .filter(([, runs]) => runs.length > 0)
    .map(([name, runs]) => [
      name,
      ...(hasFirst ? [least(runs, 'first').toFixed(2)] : []),
      `${least(runs, 'wall').toFixed(2)} / ${median(runs.map(({ wall }) => wall)).toFixed(2)}`,
      `${least(runs, 'cpu').toFixed(2)} / ${median(runs.map(({ cpu }) => cpu)).toFixed(2)}`,
      `${(least(runs, 'wall') / least(ours, 'wall')).toFixed(2)} × / ${(least(runs, 'cpu') / least(ours, 'cpu')).toFixed(2)} ×`,
      Math.max(...runs.map(({ peak_mb }) => peak_mb)).toFixed(0),
    ]);
  printTable([
    [
      title,
      ...(hasFirst ? ['first site in its file, s, least'] : []),
      'wall s, least / median',
      'CPU s, least / median',
      'against ours: wall / CPU',
      'peak, MB',
    ],
    ...rows,
  ]);
}

/** Speed, memory and distance beside transformers in float32 and bfloat16. */
export async function large(bench, hasTime) {
  const folder = join(bench.inputs, 'llama-1b');
  const prompts = join(bench.inputs, 'prompts-short.json');
  const limit = bench.some(32);
  const file = (name) => join(bench.scratch, `${name}.safetensors`);
  const seen = { ours: [] };
  let run;
  const take = (name, { wall, cpu, peak_mb }, more) => {
    (seen[name] ??= []).push({ wall, cpu, peak_mb, first: more.first ?? wall });
    bench.record('large', { contestant: name, wall, cpu, peak_mb, fma: bench.peak(), ...more });
  };
  for (let round = 0; round === 0 || hasTime(); round++) {
    for (const options of ['', ' --no-doctor', ' --plan whole']) {
      const name = `ours${options}`;
      const asked = options.split(' ').slice(1);
      const command = ourCommand(bench, folder, prompts, limit, 1).concat(asked);
      const out = command[command.indexOf('--out') + 1];
      run ??= out;
      const watch = firstRows(out);
      const own = await bench.watched(name, command);
      const first = watch();
      if (own !== undefined) take(name, own, { first });
    }
    for (const dtype of ['float32', 'bfloat16']) {
      const tasks = [{ prompts, limit, mode: 'last', out: file(dtype) }];
      const theirs = await bench.watched(dtype, commandOf(bench, 'hooks', folder, 1, tasks, dtype));
      if (theirs === undefined) continue;
      const line = theirs.stdout.split('\n').find((text) => text.startsWith('{'));
      take(`hooks, ${dtype}`, theirs, JSON.parse(line));
    }
  }
  reportCold(`llama-1b (bfloat16), ${limit} short prompts, 1 thread`, seen);
  const rows = [];
  for (const block of [0, 7, 15]) {
    const key = `resid_post.${block}`;
    const ours = await floats(join(run, 'activations', 'm', `${key}.safetensors`), 'last');
    const [full, half] = [await floats(file('float32'), key), await floats(file('bfloat16'), key)];
    rows.push([key, apart(ours, full), apart(ours, half), apart(full, half)]);
  }
  printTable([
    [
      'rms of the difference / rms',
      'ours, transformers float32',
      'ours, bfloat16',
      'float32, bfloat16',
    ],
    ...rows,
  ]);
}

/** Watches a run for its first site with all rows in the file; gives the seconds that took, or undefined. */
function firstRows(out) {
  const began = performance.now();
  let seconds;
  const look = async () => {
    for (const folder of ['.partial/activations', 'activations']) {
      try {
        const path = join(out, folder, 'm', 'resid_post.0.safetensors');
        const { tensors } = await readSafetensorsHeader(path);
        const rows = await readFloats(tensors.get('last'));
        const width = tensors.get('last').shape[1];
        const isThere = (row) => rows.subarray(row * width, (row + 1) * width).some((v) => v !== 0);
        if (Array.from({ length: rows.length / width }, (_, row) => row).every(isThere)) {
          seconds ??= (performance.now() - began) / 1000;
        }
      } catch {
        // It is not there yet, or was moved to its place this very moment.
      }
    }
  };
  const timer = setInterval(() => void look(), 100);
  return () => {
    clearInterval(timer);
    return seconds;
  };
}

async function floats(path, name) {
  return await readFloats((await readSafetensorsHeader(path)).tensors.get(name));
}

function apart(a, b) {
  let [difference, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return Math.sqrt(difference / size).toExponential(1);
}
