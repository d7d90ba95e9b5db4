/**
 * Streams slices of a model of Llama-3-8B's shape: is the peak of memory flat in blocks and in prompts?
 *
 *     node bench/large.mjs FOLDER [BLOCKS…]        (default 2 4 8; 32 is the whole depth, 16 GB)
 *
 * Peak is VmHWM, the largest resident set, in which mapped pages of weights count like any others.
 */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../dist/src/base/random.js';
import { writeLarge } from './largeModel.mjs';
import { cli, printTable, runNode, runWatched, withFolder } from './measure.mjs';

const [folder, ...given] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: node bench/large.mjs FOLDER [BLOCKS…]');
const depths = given.length === 0 ? [2, 4, 8] : given.map(Number);
if (!depths.every((depth) => existsSync(join(folder, String(depth))))) writeLarge(folder, depths);

const few = 8;
const cases = [
  ...depths.map((depth) => [depth, few]),
  ...(depths.includes(2) ? [[2, 4 * few]] : []),
];
const rows = [];
for (const [depth, prompts] of cases) {
  await withFolder(async (scratch) => {
    const file = join(scratch, 'prompts.jsonl');
    writeFileSync(file, promptLines(prompts));
    const command = [cli, 'extract', `m=${join(folder, String(depth))}`, '--prompts', file];
    const options =
      '--sites resid_post,final_norm,logits --positions last --batch-tokens 128 --threads 1 --memory-budget 1300MB --no-doctor --json';
    const line = [...command, ...options.split(' '), '--out', join(scratch, 'run')];
    const plan = JSON.parse((await runNode([...line, '--dry-run'])).stdout);
    const { stdout, peak, cpu } = await runWatched(line);
    const { tokens, seconds } = JSON.parse(stdout);
    const row = [
      depth,
      prompts,
      tokens,
      plan.plan,
      (plan.predicted_peak_bytes / 2 ** 20).toFixed(0),
      peak.toFixed(0),
      plan.predicted_seconds.toFixed(0),
      seconds.toFixed(0),
      cpu.toFixed(0),
    ];
    console.error(row.join(' '));
    rows.push(row);
  });
}
printTable([
  [
    'blocks',
    'prompts',
    'tokens',
    'plan',
    'peak predicted, MiB',
    'peak, MiB',
    'predicted, s',
    'took, s',
    'CPU-s with hashing',
  ],
  ...rows,
]);

/** Prompts of 40–64 tokens. */
function promptLines(count) {
  const random = new Random(20261128).fork('large prompts');
  const line = (i) => {
    const ids = Array.from({ length: 40 + random.below(25) }, () => random.below(128000));
    return `${JSON.stringify({ id: `p${i}`, ids })}\n`;
  };
  return Array.from({ length: count }, (_, i) => line(i)).join('');
}
