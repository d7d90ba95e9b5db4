/**
 * What is gained where prompts begin alike?
 *
 *     node bench/models.mjs && node bench/prefix.mjs PYTHON [ROUNDS] [SOME]
 *
 * Tokens of all prompts per CPU-second with one thread, interleaved: forward hooks of transformers
 * (PYTHON has torch and transformers), our passes with every prompt read whole, and our passes as the plan
 * shares them. The first two take SOME prompts (default all), since what they cost does not depend on how
 * many there are; the third takes all. Prints one JSON line for each measurement and a table.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { composeModel } from '../dist/models/compose.js';
import { Random } from '../dist/src/base/random.js';
import { Caches, cacheShape } from '../dist/src/record/caches.js';
import { planExtraction } from '../dist/src/record/plan.js';
import { runPass } from '../dist/src/record/runPass.js';
import { sharesPasts, tokensRead } from '../dist/src/record/segments.js';
import { portsOf } from '../dist/src/record/stages.js';
import { openSession } from '../dist/src/runtime/session.js';
import {
  inputs,
  interleaved,
  median,
  printTable,
  runScript,
  timed,
  withFolder,
} from './measure.mjs';

const model = join(inputs, 'llama-160m');

if (process.argv[2] === 'ours') await ours(process.argv[3], process.argv[4]);
else await compare(process.argv[2], Number(process.argv[3] ?? 1), Number(process.argv[4] ?? 256));

/** 256 prompts each: a common header of 200 tokens; pairs that part after 25 of 40; pairs that part at once. */
function sets() {
  const random = new Random(20261128).fork('prefix');
  const drawn = (n) => Array.from({ length: n }, () => 5 + random.below(31995));
  const header = drawn(200);
  const pairs = (before, after) =>
    Array.from({ length: 128 }, () => {
      const [start, end] = [drawn(before), drawn(after)];
      return before > 0
        ? [
            [...start, ...drawn(40 - before)],
            [...start, ...drawn(40 - before)],
          ]
        : [
            [...drawn(40 - after), ...end],
            [...drawn(40 - after), ...end],
          ];
    }).flat();
  return {
    header: Array.from({ length: 256 }, () => [...header, ...drawn(30)]),
    'late pairs': pairs(25, 0),
    'early pairs': pairs(0, 37),
  };
}

async function compare(python, rounds, some) {
  await withFolder(async (folder) => {
    const rows = [['prompts', 'what', 'tokens per CPU-s, best / median', 'passes', 'tokens read']];
    for (const [name, prompts] of Object.entries(sets())) {
      const write = (suffix, of) => {
        const path = join(folder, `${name.replace(' ', '-')}-${suffix}`);
        writeFileSync(`${path}.json`, JSON.stringify(of));
        writeFileSync(
          `${path}.jsonl`,
          of.map((ids, i) => `${JSON.stringify({ id: `p${i}`, ids })}\n`).join(''),
        );
        return path;
      };
      const [all, few] = [write('all', prompts), write('some', prompts.slice(0, some))];
      const results = await interleaved(
        {
          'transformers, hooks': () => theirs(python, few),
          'ours, read whole': () => runScript('prefix.mjs', 'ours', few, 'never'),
          'ours, as planned': () => runScript('prefix.mjs', 'ours', all, 'faster'),
        },
        rounds,
      );
      for (const [what, runs] of Object.entries(results)) {
        for (const run of runs) console.log(JSON.stringify({ name, what, ...run }));
        const rates = runs.map(({ tokens, cpu }) => tokens / cpu);
        const speed = `${Math.max(...rates).toFixed(0)} / ${median(rates).toFixed(0)}`;
        rows.push([name, what, speed, runs[0].passes ?? '', runs[0].read ?? runs[0].tokens]);
      }
    }
    printTable(rows);
  });
}

function theirs(python, path) {
  const script = fileURLToPath(new URL('./prefix.py', import.meta.url));
  const { status, stdout, stderr } = spawnSync(python, [script, model, `${path}.json`], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' },
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** One measurement in a process of its own; the first pass is run once before, to warm up. */
async function ours(path, prefixSharing) {
  const plan = await planExtraction({
    checkpoints: [{ name: 'm', folder: model }],
    prompts: `${path}.jsonl`,
    sites: 'resid_post',
    positions: 'last',
    batchTokens: 512,
    threads: 1,
    store: 'float32',
    ignoredConfigKeys: [],
    prefixSharing,
  });
  const [task] = plan.checkpoints;
  const { architecture, settings } = task.model;
  const isShared = sharesPasts(plan.passes);
  const graph = composeModel(architecture, settings, task.bind, {
    sites: task.sites,
    length: plan.longest,
    ...portsOf(plan.passes),
  });
  const session = await openSession(graph, { threads: 1 });
  const writer = { writeRows() {} };
  const caches = () =>
    isShared ? new Caches(plan.passes, cacheShape(task.model, task.sites)) : null;
  await runPass(plan, task, 0, { session, caches: caches(), writer });
  const kept = caches();
  const { wall, cpu } = await timed(async () => {
    for (const i of plan.passes.keys()) {
      await runPass(plan, task, i, { session, caches: kept, writer });
    }
  });
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  const read = tokensRead(plan.passes);
  console.log(
    JSON.stringify({ tokens: plan.tokens, read, passes: plan.passes.length, wall, cpu, peak }),
  );
}
