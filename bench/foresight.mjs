/**
 * What `--dry-run` foretells against what then happens: memory, time, disk and scratch files.
 *
 *     node bench/models.mjs && node bench/foresight.mjs [CASE…]
 *
 * Each prediction stands just before its run, so that both meet the same machine. Peak is that of the
 * worker's resident set; scratch files are watched while it runs.
 */

import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../dist/src/base/random.js';
import { cli, inputs, printTable, root, runNode, runWatched, withFolder } from './measure.mjs';

const organism = join(root, 'models', 'organism', 'planb');
const llama = join(inputs, 'llama-160m');
const extraction = '--sites resid_post --positions last --threads 2';

/** Model, prompts (how many, of how many tokens, behind how many in common) and options. */
const cases = {
  'organism, whole': [organism, [4000, 24, 0], `${extraction} --plan whole`],
  'organism, whole, `all`': [
    organism,
    [1500, 24, 0],
    '--sites resid_post --positions all --threads 2 --plan whole',
  ],
  'Llama 160 M, whole': [llama, [48, 48, 0], `${extraction} --plan whole`],
  'Llama 160 M, whole, logits': [
    llama,
    [32, 48, 0],
    '--sites logits --positions last --threads 2 --plan whole',
  ],
  'Llama 160 M, whole, headers': [llama, [96, 20, 100], `${extraction} --plan whole`],
  'Llama 160 M, streamed': [llama, [48, 48, 0], `${extraction} --plan streamed`],
  'organism, streamed': [organism, [4000, 24, 0], `${extraction} --plan streamed`],
  'organism, answers': [organism, [4000, 12, 0], '--max-tokens 20 --threads 2'],
  'organism, answers, headers': [organism, [4000, 12, 40], '--max-tokens 20 --threads 2'],
  'Llama 160 M, answers': [llama, [48, 48, 0], '--max-tokens 20 --threads 2'],
};

const wanted = process.argv.slice(2);
const rows = [];
for (const [name, [model, prompts, options]] of Object.entries(cases)) {
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
  await withFolder(async (folder) => {
    const file = join(folder, 'prompts.jsonl');
    writeFileSync(file, promptLines(prompts));
    const isAnswers = options.startsWith('--max-tokens');
    const out = join(folder, isAnswers ? 'answers.jsonl' : 'run');
    const line = [
      cli,
      isAnswers ? 'generate' : 'extract',
      `m=${String(model)}`,
      '--prompts',
      file,
      '--out',
      out,
      '--json',
      ...options.split(' '),
    ];
    const told = JSON.parse((await runNode([...line, '--dry-run'])).stdout);
    const plan = isAnswers ? told.files[0] : told;
    const watch = watchScratch(out);
    const { stdout, peak } = await runWatched(line);
    const scratch = watch();
    const { seconds } = JSON.parse(stdout);
    const disk = isAnswers ? 0 : sizeOf(join(out, 'activations'));
    const row = [
      name,
      ...beside(plan.predicted_peak_bytes / 2 ** 20, peak, 0),
      ...beside(plan.predicted_seconds, seconds, 2),
      ...(isAnswers
        ? ['', '']
        : beside(plan.predicted_disk_bytes / 1e6, disk / 1e6, 2).slice(0, 2)),
      ...(isAnswers
        ? ['', '']
        : beside(plan.predicted_scratch_bytes / 1e6, scratch / 1e6, 2).slice(0, 2)),
    ];
    console.error(row.join(' | '));
    rows.push(row);
  });
}
const pair = (what) => [`${what} foretold`, 'then'];
printTable([
  [
    '',
    ...pair('peak, MiB,'),
    'ratio',
    ...pair('s'),
    'ratio',
    ...pair('disk, MB,'),
    ...pair('scratch, MB,'),
  ],
  ...rows,
]);

function beside(foretold, happened, decimals) {
  return [foretold.toFixed(decimals), happened.toFixed(decimals), (foretold / happened).toFixed(2)];
}

function promptLines([count, length, common]) {
  const random = new Random(20261129).fork('foresight');
  const drawn = (n) => Array.from({ length: n }, () => 5 + random.below(900));
  const header = drawn(common);
  const line = (i) => {
    const ids = [...header, ...drawn(Math.ceil(length / 2) + random.below(length / 2))];
    return `${JSON.stringify({ id: `p${i}`, ids })}\n`;
  };
  return Array.from({ length: count }, (_, i) => line(i)).join('');
}

function sizeOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** The most that scratch files of a run held; asked when it is over. */
function watchScratch(out) {
  let most = 0;
  const look = () => {
    const folder = join(out, '.partial');
    if (!existsSync(folder)) return;
    try {
      const names = readdirSync(folder, { recursive: true }).filter((name) => /scratch/.test(name));
      const size = names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
      most = Math.max(most, size);
    } catch {
      // A file went between being listed and being looked at.
    }
  };
  const timer = setInterval(look, 10);
  return () => {
    clearInterval(timer);
    return most;
  };
}
