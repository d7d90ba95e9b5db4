/**
 * All that `npm run check` checks: form, types, size, dead code, layers.
 *
 * Every check runs even when an earlier one failed; the table at the end says which did.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

// Named one by one: without names oxlint walks node_modules where there is no .gitignore to read.
const folders = ['src', 'models', 'probes', 'viewer', 'tests', 'bench', '.ci', 'vitest.config.ts'];
const present = folders.filter((path) => existsSync(root + path) && !isEmpty(root + path));

const tsc = 'node_modules/typescript/bin/tsc';
const checks = [
  ['format', 'node_modules/oxfmt/bin/oxfmt', '--check', '.'],
  ['lint', 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings', ...present],
  ['types', tsc, '--noEmit', '-p', '.'],
  ['types of tests', tsc, '--noEmit', '-p', 'tests'],
  ...(existsSync(`${root}viewer/tsconfig.json`)
    ? [['types of viewer', tsc, '--noEmit', '-p', 'viewer']]
    : []),
  ['size', '.ci/size.mjs'],
  ['dead code', 'node_modules/knip/bin/knip.js'],
  ['layers', 'node_modules/vitest/vitest.mjs', 'run', 'tests/architecture.test.ts', '--silent'],
];

const rows = checks.map(([name, program, ...args]) => {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  return { name, passed: status === 0, seconds: (performance.now() - start) / 1000 };
});

console.log('');
for (const { name, passed, seconds } of rows) {
  console.log(`${passed ? 'passed' : 'FAILED'}  ${name.padEnd(16)} ${seconds.toFixed(1)} s`);
}
process.exitCode = rows.every(({ passed }) => passed) ? 0 : 1;

function isEmpty(path) {
  return !path.endsWith('.ts') && readdirSync(path).length === 0;
}
