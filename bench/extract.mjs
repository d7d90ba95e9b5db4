/**
 * How fast is extraction, and what does it cost besides?
 *
 *     node bench/models.mjs && node bench/extract.mjs [speed] [batch] [cold] [start] [reopen]
 *
 * Prints Markdown tables of minimum / median over interleaved rounds; all parts by default.
 */

import { join } from 'node:path';
import { composeModel } from '../dist/models/compose.js';
import { fromCheckpoint } from '../dist/models/bindings.js';
import { openModel } from '../dist/models/model.js';
import { openCheckpoint } from '../dist/src/files/checkpoint.js';
import { openSession } from '../dist/src/runtime/session.js';
import * as m from './measure.mjs';

const parts = { speed, batch, cold, start, reopen };
const wanted = process.argv.slice(2);
for (const name of wanted.length === 0 ? Object.keys(parts) : wanted) await parts[name]();

/** Tokens per CPU-second with one thread, and the share of the product's rate in the same process. */
async function speed() {
  await passes([
    { model: 'llama-160m', prompts: 'short' },
    { model: 'llama-160m', prompts: 'short', positions: 'all' },
    { model: 'llama-160m', prompts: 'long' },
    { model: 'llama-160m', prompts: 'long', positions: 'all' },
    { model: 'gpt2-small', prompts: 'short' },
    { model: 'organism', prompts: 'small' },
  ]);
}

async function batch() {
  const sizes = [256, 512, 1024, 2048, 4096];
  const models = { 'llama-160m': 'short-128', organism: 'small' };
  const tasks = Object.entries(models).map(([model, prompts]) =>
    sizes.map((batchTokens) => ({ model, prompts, batchTokens })),
  );
  await passes(tasks.flat());
}

async function passes(tasks, rounds = 2) {
  const script = (task) => () =>
    m.runScript('pass.mjs', JSON.stringify({ batchTokens: 512, ...task }));
  const contestants = Object.fromEntries(
    tasks.map((task) => [Object.values(task).join(' '), script(task)]),
  );
  const results = Object.entries(await m.interleaved(contestants, rounds)).map(([name, runs]) => {
    const cpu = runs.flatMap((run) => run.cpu);
    const rate = (seconds) => Math.round(runs[0].tokens / seconds);
    const share = m.median(runs.map(({ fraction }) => fraction));
    const speeds = `${rate(Math.min(...cpu))} / ${rate(m.median(cpu))}`;
    return [name, speeds, m.spread(cpu), `${Math.round(share * 100)} %`];
  });
  m.printTable([
    ['task', 'tokens per CPU-s, best / median', 'pass, CPU-s', 'of the product'],
    ...results,
  ]);
}

/** From starting the command to files on disk, 128 short prompts, by threads. */
async function cold() {
  const extract = (model, threads) => () =>
    m.withFolder((folder) =>
      m.runNode([
        m.cli,
        ...`extract m=${join(m.inputs, model)} --prompts ${m.inputs}/prompts-short-128.jsonl`.split(
          ' ',
        ),
        ...`--sites resid_post --positions last --threads ${threads} --out ${folder}/run`.split(
          ' ',
        ),
      ]),
    );
  const contestants = Object.fromEntries(
    ['llama-160m', 'gpt2-small'].flatMap((model) =>
      [1, 2].map((threads) => [`${model}, threads ${threads}`, extract(model, threads)]),
    ),
  );
  await walls(contestants, 3);
}

async function start() {
  await walls(
    { node: () => m.runNode(['-e', '0']), '--help': () => m.runNode([m.cli, '--help']) },
    20,
  );
}

async function walls(contestants, rounds) {
  const results = Object.entries(await m.interleaved(contestants, rounds));
  const rows = results.map(([name, runs]) => [
    name,
    m.spread(
      runs.map(({ wall }) => wall),
      3,
    ),
  ]);
  m.printTable([['process', 'wall, s'], ...rows]);
}

/** Memory of one process that opens and closes 50 checkpoints. */
async function reopen() {
  const model = await openModel(await openCheckpoint(join(m.inputs, 'organism')), {
    ignoredConfigKeys: [],
  });
  const sites = [{ kind: 'resid_post', block: 3 }];
  const rows = [];
  for (let i = 1; i <= 50; i++) {
    const graph = composeModel(model.architecture, model.settings, fromCheckpoint(model), {
      sites,
      length: 64,
    });
    await (await openSession(graph, { threads: 1 })).close();
    if (i % 10 === 0 || i === 1) rows.push([i, (process.memoryUsage.rss() / 2 ** 20).toFixed(0)]);
  }
  m.printTable([['opened and closed', 'resident, MiB'], ...rows]);
}
