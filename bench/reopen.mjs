/**
 * Does memory grow in a process that opens and closes checkpoints all day? Prints one JSON line.
 *
 *     node bench/reopen.mjs 200
 *
 * Each time a run of its own: the bundled organism and its two stages in turn, opened, hashed, compiled, run on a few
 * prompts, written and closed.
 */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { extract, planExtraction } from '../dist/src/index.js';
import { root, withFolder } from './measure.mjs';

const times = Number(process.argv[2] ?? 200);
const names = ['base', 'stage1', 'planb'];
const resident = [];
await withFolder(async (scratch) => {
  const prompts = join(scratch, 'prompts.jsonl');
  const lines = Array.from({ length: 16 }, (_, i) => ({ id: `p${i}`, ids: [1, 5 + i, 9, 2 + i] }));
  writeFileSync(prompts, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  for (let i = 1; i <= times; i++) {
    const plan = await planExtraction({
      checkpoints: [
        { name: 'm', folder: join(root, 'models', 'organism', names[i % names.length]) },
      ],
      prompts,
      sites: 'resid_post',
      positions: 'last',
      batchTokens: 512,
      threads: 1,
      store: 'float32',
      ignoredConfigKeys: [],
    });
    const out = join(scratch, 'run');
    await extract(plan, { out });
    rmSync(out, { recursive: true });
    if (i === 1 || i % 25 === 0) {
      resident.push([i, Math.round(process.memoryUsage.rss() / 2 ** 20)]);
    }
  }
});
console.log(JSON.stringify({ times, resident, peak_mb: process.resourceUsage().maxRSS / 1024 }));
