/** Steady passes, model loaded, one thread: tokens per CPU-second beside the others. */

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { median, printTable } from './measure.mjs';
import { operationsPerToken } from './models.mjs';

/** Few prompts do: a pass takes some seconds, and rounds are worth more than length. */
const sets = [
  ['short', 64],
  ['long', 4],
];
const modes = ['last', 'all'];
const kinds = ['ours', 'hooks', 'nnsight', 'hidden', 'lens'];

/** The process of a contestant that carries out tasks. */
export function commandOf(bench, kind, model, threads, tasks, dtype = 'float32') {
  const text = JSON.stringify(tasks);
  if (kind === 'ours') {
    return [process.execPath, bench.here('contestant.mjs'), model, String(threads), text];
  }
  const python = ['nnsight', 'lens'].includes(kind) ? bench.other : bench.python;
  return [python, bench.here('opponents.py'), kind, model, String(threads), dtype, text];
}

export async function passes(bench, hasTime) {
  const seen = [];
  const tasks = sets.flatMap(([set, limit]) =>
    modes.map((mode) => ({
      prompts: join(bench.inputs, `prompts-${set}.json`),
      limit: bench.some(limit),
      mode,
    })),
  );
  const models = ['llama-160m', 'gpt2-small'];
  for (let round = 0; round === 0 || hasTime(); round++) {
    for (const model of models) {
      for (const kind of kinds) {
        if (bench.other === undefined && ['nnsight', 'lens'].includes(kind)) continue;
        if (round > 0 && !hasTime()) break;
        const command = commandOf(bench, kind, join(bench.inputs, model), 1, tasks);
        const environment = kind === 'ours' ? bench.ours.environment : process.env;
        const peak = bench.peak();
        for (const line of await bench.lines(kind, command, environment)) {
          seen.push({ ...line, round, fma: peak });
          bench.record('passes', seen.at(-1));
        }
      }
    }
  }
  for (const model of models)
    report(
      bench,
      model,
      seen.filter((line) => line.model === model),
    );
}

function report(bench, model, lines) {
  const config = JSON.parse(readFileSync(join(bench.inputs, model, 'config.json'), 'utf8'));
  const operations = operationsPerToken(config);
  const rows = [];
  for (const [set] of sets) {
    for (const mode of modes) {
      const own = lines.filter(
        (line) => line.mode === mode && line.prompts === `prompts-${set}.json`,
      );
      const rates = (kind) =>
        own
          .filter(({ contestant }) => contestant === kind)
          .flatMap(({ tokens, cpu }) => cpu.map((seconds) => tokens / seconds));
      const ours = rates('ours');
      for (const kind of kinds) {
        const theirs = rates(kind);
        if (theirs.length === 0) continue;
        const fma = Math.max(...own.map((line) => line.fma));
        const check = own.find(({ contestant }) => contestant === kind).check;
        rows.push([
          `${set}, ${mode}`,
          kind,
          `${Math.max(...theirs).toFixed(0)} / ${median(theirs).toFixed(0)}`,
          kind === 'ours'
            ? ''
            : `${ratio(Math.max(...ours), Math.max(...theirs))} / ${ratio(median(ours), median(theirs))} ×`,
          `${((Math.max(...theirs) * operations * 100) / fma).toFixed(0)} %`,
          check.toFixed(6),
        ]);
      }
    }
  }
  printTable([
    [
      `${basename(model)}, one thread`,
      '',
      'tokens per CPU-s, best / median',
      'ours is faster, best / median',
      'of FMA peak',
      'mean size',
    ],
    ...rows,
  ]);
}

function ratio(a, b) {
  return (a / b).toFixed(2);
}
