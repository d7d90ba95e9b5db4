/**
 * One process that alternates extraction passes with large matrix products on the same onnxruntime.
 *
 *     node bench/pass.mjs '{"model":"llama-160m","prompts":"short","positions":"last","rounds":3}'
 *
 * A pass is what the command does between opening and closing a session: batches through the graph,
 * rows into files. `gemm` is the rate that a product of two 2048 × 2048 matrices reaches here and now.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeModel } from '../dist/models/compose.js';
import { Builder } from '../dist/src/graph/builder.js';
import { siteKey } from '../dist/src/graph/sites.js';
import { planExtraction, rowShape } from '../dist/src/record/plan.js';
import { identityOf } from '../dist/src/record/resume.js';
import { runPass } from '../dist/src/record/runPass.js';
import { portsOf } from '../dist/src/record/stages.js';
import { openRunWriter } from '../dist/src/record/store.js';
import { openSession } from '../dist/src/runtime/session.js';
import { operationsPerToken } from './models.mjs';
import { inputs, timed, withFolder } from './measure.mjs';

const {
  model,
  prompts,
  positions = 'last',
  sites = 'resid_post',
  rounds = 3,
  threads = 1,
  batchTokens = 1024,
} = JSON.parse(process.argv[2]);

const plan = await planExtraction({
  checkpoints: [{ name: 'm', folder: join(inputs, model) }],
  prompts: join(inputs, `prompts-${prompts}.jsonl`),
  sites,
  positions,
  batchTokens,
  threads,
  store: 'float32',
  ignoredConfigKeys: [],
});
const config = JSON.parse(readFileSync(join(inputs, model, 'config.json'), 'utf8'));
const [task] = plan.checkpoints;
const { architecture, settings } = task.model;
const graph = composeModel(architecture, settings, task.bind, {
  sites: task.sites,
  length: plan.longest,
  ...portsOf(plan.passes),
});
const opening = await timed(() => openSession(graph, { threads }));
const session = opening.result;
const product = await productSession();

await withFolder(async (folder) => {
  const run = await openRunWriter(folder, await identityOf(plan, plan.checkpoints), 'float32');
  const writer = await run.openCheckpoint('m', filesOf());
  const passes = [];
  const products = [];
  await pass(writer);
  for (let round = 0; round < rounds; round++) {
    products.push(await timed(product.run));
    passes.push(await timed(() => pass(writer)));
  }
  const rate = product.operations / Math.min(...products.map(({ cpu }) => cpu));
  const cpu = passes.map((each) => each.cpu);
  const achieved = (plan.tokens * operationsPerToken(config)) / Math.min(...cpu);
  console.log(
    JSON.stringify({
      tokens: plan.tokens,
      batches: plan.passes.length,
      opening: opening.cpu,
      cpu,
      wall: passes.map((each) => each.wall),
      peak: Math.round(process.resourceUsage().maxRSS / 1024),
      gemm: rate,
      fraction: achieved / rate,
    }),
  );
});

function filesOf() {
  return task.sites.map((site) => ({
    site: siteKey(site),
    shape: rowShape(site, task.model, plan.longest),
    positions: plan.positions.map(({ record }) => record),
  }));
}

async function pass(writer) {
  for (const i of plan.passes.keys())
    await runPass(plan, task, i, { session, caches: null, writer });
}

async function productSession() {
  const n = 2048;
  const g = new Builder('product');
  const x = g.input('x', 'float32', ['tokens', n]);
  const weight = g.floats('w', [n, n], new Float32Array(n * n).fill(0.5));
  const y = g.linear(x, weight, undefined, 'out-in');
  const rows = g.input('rows', 'int64', ['rows']);
  const opened = await openSession(g.finish([g.named('y', g.gather(y, rows))]), { threads });
  const feeds = {
    x: { data: new Float32Array(n * n).fill(0.25), shape: [n, n] },
    rows: { data: BigInt64Array.of(0n), shape: [1] },
  };
  const times = 6;
  const run = async () => {
    for (let i = 0; i < times; i++) await opened.run(feeds);
  };
  await run();
  return { run, operations: 2 * n ** 3 * times };
}
