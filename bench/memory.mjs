/**
 * Peak memory of the real command against what `--dry-run` says of it.
 *
 *     node bench/memory.mjs
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli, inputs, printTable, runNode, runWatched, withFolder } from './measure.mjs';

/** Few prompts do: the first batch is the largest. */
const cases = [
  ['organism', 'small', 400, 'resid_post', 'last', 512],
  ['organism', 'small', 400, 'resid_post', 'all', 4096],
  ['llama-160m', 'short', 40, 'resid_post', 'last', 512],
  ['llama-160m', 'short', 40, 'resid_post', 'all', 1024],
  ['llama-160m', 'short', 20, 'logits', 'last', 512],
  ['llama-160m', 'long', 4, 'resid_post', 'last', 2048],
  ['llama-160m', 'long', 4, 'resid_post', 'all', 2048],
  ['gpt2-small', 'short', 40, 'resid_post', 'last', 512],
  ['gpt2-small', 'short', 40, 'logits', 'all', 1024],
];

const rows = [];
for (const [model, prompts, count, sites, positions, batchTokens] of cases) {
  await withFolder(async (folder) => {
    const lines = readFileSync(join(inputs, `prompts-${prompts}.jsonl`), 'utf8').split('\n');
    const file = join(folder, 'prompts.jsonl');
    writeFileSync(file, `${lines.slice(0, count).join('\n')}\n`);
    const command = [cli, 'extract', `m=${join(inputs, model)}`, '--prompts', file, '--json'];
    const options = [
      '--sites',
      sites,
      '--positions',
      positions,
      '--batch-tokens',
      String(batchTokens),
    ];
    const line = [...command, ...options, '--threads', '1', '--out', join(folder, 'run')];
    const { stdout } = await runNode([...line, '--dry-run']);
    const predicted = JSON.parse(stdout).predicted_peak_bytes / 2 ** 20;
    const { peak } = await runWatched(line);
    const ratio = (predicted / peak).toFixed(2);
    rows.push([
      model,
      prompts,
      sites,
      positions,
      batchTokens,
      predicted.toFixed(0),
      peak.toFixed(0),
      ratio,
    ]);
  });
}
printTable([
  ['model', 'prompts', 'sites', 'positions', 'batch', 'predicted, MiB', 'peak, MiB', 'ratio'],
  ...rows,
]);
